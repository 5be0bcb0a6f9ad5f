//! Logs to standard error, and the recorder of metrics.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::config::{Log, LogFormat};

/// Why logs or metrics cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `log.filter` is no filter.
    #[error("log.filter: {0}")]
    Filter(#[from] ParseError),
    /// Another subscriber is installed.
    #[error("logs cannot start: {0}")]
    Subscriber(String),
    /// The recorder cannot start.
    #[error("metrics cannot start: {0}")]
    Recorder(#[from] BuildError),
}

/// Starts logging.
///
/// # Errors
///
/// [`TelemetryError`] for a wrong filter, or where logging runs already.
pub fn start_logs(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&log.filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| TelemetryError::Subscriber(error.to_string()))
}

/// Starts the process's recorder of metrics, or returns the one that runs.
///
/// # Errors
///
/// [`TelemetryError::Recorder`]
pub fn metrics_recorder() -> Result<PrometheusHandle, TelemetryError> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let seconds = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &seconds)?
        .build_recorder();
    let handle = HANDLE.get_or_init(|| recorder.handle()).clone();
    // A second start in the same process loses this race and keeps the first recorder.
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::debug!("a recorder of metrics runs already");
    }
    Ok(handle)
}
