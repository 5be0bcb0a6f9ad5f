//! `recapd distill`: examples of a compressor's work as files, and trained heads in a running daemon.

mod export;
mod heads;
mod report;
mod train;

use clap::{Args, Subcommand};

use super::{BadUse, Done, Setting, output};

/// Export a compressor's work for training elsewhere, and look after the heads that were trained here.
#[derive(Debug, Args)]
pub struct Distill {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write what compressors were asked and wrote as JSONL in chat format
    Export(export::Export),
    /// Train a head on recorded or stored runs, and have the gate judge it
    Train(train::Train),
    /// List the trained heads and what happened to them
    List(heads::Asks<heads::List>),
    /// Show a head: how it was trained, and what the gate said
    Show(heads::Asks<heads::Show>),
    /// Let a head that passed the gate score lines
    Activate(heads::Asks<heads::Activate>),
    /// Go back to the head before this one, or to none
    Rollback(heads::Asks<heads::Rollback>),
}

impl Distill {
    /// Does it.
    ///
    /// # Errors
    ///
    /// What the action fails with.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        match self.action {
            Action::Export(export) => return Box::pin(export.run(setting)).await,
            Action::Train(train) => return Box::pin(train.run(setting)).await,
            Action::List(asks) => asks.desk(setting)?.list().await?,
            Action::Show(asks) => asks.desk(setting)?.show(&asks.what).await?,
            Action::Activate(asks) => asks.desk(setting)?.activate(&asks.what).await?,
            Action::Rollback(asks) => asks.desk(setting)?.roll_back().await?,
        }
        Ok(Done::Well)
    }
}
