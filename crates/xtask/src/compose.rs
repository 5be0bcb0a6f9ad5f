//! Checks `docker-compose.yml` where a docker client can.

use anyhow::{Context, Result};

use crate::process::{Run, on_path};
use crate::workspace;

/// Has the docker client read `docker-compose.yml`. Says so where there is no client with compose.
///
/// # Errors
///
/// Fails when the client refuses the file.
pub fn check() -> Result<()> {
    let Some(run) = client()? else {
        println!("skipped: no docker client with compose on this machine");
        return Ok(());
    };
    let file = workspace::root()?.join("docker-compose.yml");
    run.arg("-f").arg(&file).arg("config").arg("--quiet").show().context("docker-compose.yml is not valid")
}

fn client() -> Result<Option<Run>> {
    if on_path("docker").is_some() && Run::new("docker", ["compose", "version"])?.stdout().is_ok() {
        return Run::new("docker", ["compose"]).map(Some);
    }
    on_path("docker-compose").map(|client| Run::new(client, [] as [&str; 0])).transpose()
}
