//! The daemon under measure: a release build on a fresh data folder and a free port.

use std::path::PathBuf;
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
    // Declared before the folder, so that it ends first.
    server: Option<Server>,
    data: TempDir,
    program: PathBuf,
    config: Option<PathBuf>,
    url: String,
}

/// Builds recapd in release mode and returns where it is.
///
/// # Errors
///
/// Fails when the build does.
pub fn built() -> Result<PathBuf> {
    Run::cargo(["build", "--release", "--package", "recapd"])?.show()?;
    Ok(workspace::target_dir()?.join("release").join("recapd"))
}

impl Daemon {
    /// Builds recapd in release mode and starts it on its defaults.
    ///
    /// # Errors
    ///
    /// Fails when the build does, or when the daemon is not ready after a minute, with the end of its log.
    pub fn start() -> Result<Self> {
        Self::start_program(built()?, None)
    }

    /// Starts a recapd that is built already, on its defaults or on a configuration file.
    ///
    /// # Errors
    ///
    /// Fails when it is not ready after a minute, with the end of its log.
    pub fn start_program(program: PathBuf, config: Option<PathBuf>) -> Result<Self> {
        let data = tempfile::Builder::new().prefix("recapd-measure-").tempdir().context("no temporary folder")?;
        let mut daemon = Self { server: None, data, program, config, url: String::new() };
        daemon.serve()?;
        Ok(daemon)
    }

    /// Stops it and starts it again on the same data.
    ///
    /// # Errors
    ///
    /// As [`Daemon::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.server = None;
        self.serve()
    }

    /// Returns its base URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn serve(&mut self) -> Result<()> {
        let data = self.data.path();
        let mut run = Run::new(&self.program, ["serve", "--listen", "127.0.0.1:0", "--data"])?.arg(data.join("data"));
        if let Some(config) = &self.config {
            run = run.arg("--config").arg(config);
        }
        let mut server = run.without_env("RECAPD_").serve(&data.join("log"), "TERM")?;
        server.wait_for_line(READY, PATIENCE)?.trim().clone_into(&mut self.url);
        self.server = Some(server);
        Ok(())
    }
}
