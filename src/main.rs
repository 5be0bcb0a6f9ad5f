//! The `recapd` command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    recapd::cli::run().await
}
