//! `recapd playbook`

mod learn;

use clap::{Args, Subcommand};

use super::{Done, Setting};

/// Grow the lessons that agents are served with.
#[derive(Debug, Args)]
pub struct Playbook {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Have models learn from recorded runs, without a daemon
    Learn(learn::Learn),
}

impl Playbook {
    /// Does it.
    ///
    /// # Errors
    ///
    /// What the action fails with.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        match self.action {
            Action::Learn(learn) => Box::pin(learn.run(setting)).await,
        }
    }
}
