//! The command line: one file for each command. Imports everything; nothing imports it.
//!
//! Exit codes: 0 done, 1 failed, 2 bad use. Results go to standard output, all else to standard error.

mod compress;
mod client;
mod config;
mod context;
mod db;
mod distill;
mod doctor;
mod editor;
mod export;
mod guideline;
mod import;
mod key;
mod model;
mod openapi;
mod output;
mod playbook;
mod reference;
mod quickstart;
mod replay;
mod runs;
mod serve;
mod served;
mod setting;
#[cfg(feature = "local-models")]
mod share;
mod tune;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use setting::Setting;

/// The memory daemon for long-horizon agents: whole trajectories go in, a recap that fits the budget comes out.
#[derive(Debug, Parser)]
#[command(name = "recapd", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    setting: Setting,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::Serve),
    /// See recapd at work: a daemon, and a small agent that explores this folder
    Quickstart(quickstart::Quickstart),
    /// Store recorded conversations: files and folders of JSON, JSONL or JSONL.gz
    Import(import::Import),
    /// Write trajectories as JSONL, their messages as they were sent
    Export(export::Export),
    /// Replay recorded trajectories at given budgets and measure what the contexts cost and keep
    Replay(replay::Replay),
    /// Find out what compression loses and why
    Tune(tune::Tune),
    /// Print the context that an agent would be served
    Context(context::Context),
    /// Compress messages from a file or standard input; nothing is stored
    Compress(compress::Compress),
    /// See and change what steers compression
    Guideline(guideline::Guideline),
    /// See, change and grow the lessons that agents are served with
    Playbook(playbook::Playbook),
    /// Export a compressor's work for training elsewhere, and look after the heads that were trained here
    Distill(distill::Distill),
    /// List, fetch, check and measure the models that run in this process
    Model(model::Model),
    /// Make and revoke API keys
    Key(key::Key),
    /// Check, back up and tend the database
    Db(db::Db),
    /// Look for what keeps recapd from working
    Doctor(doctor::Doctor),
    /// Check and show the configuration
    Config(config::Config),
    /// Print the `OpenAPI` document
    Openapi(openapi::Openapi),
    /// Print the reference of all commands
    #[command(hide = true)]
    Reference(reference::Reference),
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// All of it was done.
    Well,
    /// Some or all of it was not; the command said what.
    Badly,
}

/// A use that cannot be meant.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUse(pub String);

/// Runs the command of this process's arguments, on an async runtime of its own.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "local-models")]
    share::hold(&cli);
    let done = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(Box::pin(dispatch(cli))),
        Err(error) => Err(anyhow::Error::new(error).context("the async runtime does not start")),
    };
    match done {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Badly) => ExitCode::from(1),
        Err(error) => {
            output::complain(&format!("{error:#}"));
            let bad_use = error.is::<BadUse>() || error.is::<crate::config::LoadError>();
            ExitCode::from(if bad_use { 2 } else { 1 })
        }
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<Done> {
    let setting = &cli.setting;
    match cli.command {
        Command::Serve(command) => command.run(setting).await,
        Command::Quickstart(command) => Box::pin(command.run(setting)).await,
        Command::Import(command) => Box::pin(command.run(setting)).await,
        Command::Export(command) => command.run(setting).await,
        Command::Replay(command) => command.run(setting),
        Command::Tune(command) => Box::pin(command.run(setting)).await,
        Command::Context(command) => command.run(setting).await,
        Command::Compress(command) => command.run(setting).await,
        Command::Guideline(command) => Box::pin(command.run(setting)).await,
        Command::Playbook(command) => Box::pin(command.run(setting)).await,
        Command::Distill(command) => Box::pin(command.run(setting)).await,
        Command::Model(command) => Box::pin(command.run(setting)).await,
        Command::Key(command) => command.run(setting).await,
        Command::Db(command) => command.run(setting).await,
        Command::Doctor(command) => Box::pin(command.run(setting)).await,
        Command::Config(command) => command.run(setting),
        Command::Openapi(openapi::Openapi) => openapi::Openapi::run(setting),
        Command::Reference(reference::Reference) => reference::Reference::run(setting),
    }
}

#[cfg(test)]
mod tests;
