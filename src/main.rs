//! The `recapd` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    recapd::cli::run()
}
