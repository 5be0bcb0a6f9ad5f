//! `recapd tune`: one file for each action.

mod audit;

use clap::{Args, Subcommand};

use super::{Done, Setting};

/// Find out what compression loses and why.
#[derive(Debug, Args)]
pub struct Tune {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Replay recorded runs and say what dropped each value that their contexts lost
    Audit(audit::Audit),
}

impl Tune {
    /// Runs the action.
    ///
    /// # Errors
    ///
    /// Fails as the action does.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        match self.action {
            Action::Audit(action) => action.run(setting).await,
        }
    }
}
