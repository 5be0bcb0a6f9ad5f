//! `recapd openapi`

use clap::Args;

use super::{Done, Setting, output};

/// Print the OpenAPI document of the daemon's HTTP interface.
#[derive(Debug, Args)]
pub struct Openapi;

impl Openapi {
    /// Prints it.
    ///
    /// # Errors
    ///
    /// Fails where standard output is gone.
    pub fn run(_: &Setting) -> anyhow::Result<Done> {
        output::say(crate::http::openapi_text().trim_end())?;
        Ok(Done::Well)
    }
}
