//! `recapd tune`: one file for each action.

mod agents;
mod audit;
mod desk;
mod pairs;
mod run;
mod show;

use clap::{Args, Subcommand};

use super::{Done, Setting};

/// Find out what compression loses and why, and look for guidelines that lose less.
#[derive(Debug, Args)]
pub struct Tune {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Replay recorded runs and say what dropped each value that their contexts lost
    Audit(audit::Audit),
    /// Look for a better guideline: propose candidates, score them, and let the gate judge the best one
    Run(Box<run::Run>),
    /// List the tuning runs
    List(desk::Asks<desk::List>),
    /// Show a tuning run: its candidates with what they change, the scores, the verdict with its numbers
    Show(desk::Asks<desk::Show>),
    /// Stop a tuning run after the case that is in work
    Cancel(desk::Asks<desk::Cancel>),
    /// Let the daemon go on with a tuning run that is paused, failed or cancelled
    Resume(desk::Asks<desk::Resume>),
    /// Make the candidate that passed the gate the champion, or put it on trial
    Promote(desk::Asks<desk::Promote>),
    /// Import or list pairs of runs with whole and with compressed contexts
    Pairs(pairs::Pairs),
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
            Action::Run(action) => Box::pin(action.run(setting)).await,
            Action::List(asks) => asks.run(setting).await,
            Action::Show(asks) => asks.run(setting).await,
            Action::Cancel(asks) => asks.run(setting).await,
            Action::Resume(asks) => asks.run(setting).await,
            Action::Promote(asks) => asks.run(setting).await,
            Action::Pairs(action) => action.run(setting).await,
        }
    }
}
