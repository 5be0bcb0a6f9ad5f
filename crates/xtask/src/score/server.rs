//! The daemon under measure: a release build on a fresh data folder and a free port.

use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::{Run, Server};
use crate::workspace;

const PATIENCE: Duration = Duration::from_mins(1);

/// The line that the daemon prints when it is ready, up to its URL.
const READY: &str = "listening on ";

/// A running daemon. Dropping it stops it with SIGTERM, then removes its data.
pub struct Daemon {
    _server: Server,
    _data: TempDir,
    url: String,
}

impl Daemon {
    /// Builds recapd in release mode and starts it.
    ///
    /// # Errors
    ///
    /// Fails when the build does, or when the daemon is not ready after a minute, with the end of its log.
    pub fn start() -> Result<Self> {
        Run::cargo(["build", "--release", "--package", "recapd", "--all-features"])?.show()?;
        let program = workspace::target_dir()?.join("release").join("recapd");
        let data = tempfile::Builder::new().prefix("recapd-score-").tempdir().context("no temporary folder")?;
        let run = Run::new(program, ["serve", "--listen", "127.0.0.1:0", "--data"])?.arg(data.path().join("data"));
        let mut server = run.without_env("RECAPD_").serve(&data.path().join("log"), "TERM")?;
        let url = server.wait_for_line(READY, PATIENCE)?.trim().to_owned();
        Ok(Self { _server: server, _data: data, url })
    }

    /// Returns its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}
