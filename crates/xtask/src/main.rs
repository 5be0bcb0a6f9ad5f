//! Developer commands of recapd: `cargo xtask <command>` is the only runner, on a laptop and in CI alike.

#![expect(clippy::print_stdout, reason = "a command line program talks on standard output")]
#![expect(clippy::disallowed_methods, reason = "a developer command reads the clock and the environment itself")]

mod bench;
mod check;
mod ci;
mod compose;
mod curve;
mod daemon;
mod generate;
mod http;
mod llm;
mod load;
mod postgres;
mod process;
mod score;
mod setup;
mod stage;
mod structure;
mod suite;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of recapd.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Installs what the tests need: PostgreSQL's server programs, models, an LLM server; leaves alone what is there
    Setup(setup::Args),
    /// Runs every test, doc tests too, beside a private PostgreSQL server and with the models of `setup`
    Test(suite::Args),
    /// Runs every check of CI in order: fmt, structure, compose, clippy, doc, generate, test, lean, score
    Ci,
    /// Serves a local model over an OpenAI-compatible API until it is stopped
    Llm(llm::Args),
    /// Holds the source tree against the layout and the import directions of the design
    Structure,
    /// Writes the committed generated files anew
    Generate(generate::Args),
    /// Replays recorded trajectories through a release build and measures what its contexts keep
    Score(score::Args),
    /// Runs the benchmarks, each for a bounded time
    Bench(bench::Args),
    /// Measures appends and context reads of a release build over HTTP, under concurrent agents
    Load(load::Args),
    /// Measures what a playbook teaches a small model, on tasks that code checks
    Curve(curve::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = process::stop_children_on_signals().and_then(|()| match cli.command {
        Command::Setup(args) => setup::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Test(args) => suite::run(&args),
        Command::Ci => ci::run(),
        Command::Llm(args) => llm::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Structure => structure::run().map(|()| ExitCode::SUCCESS),
        Command::Generate(args) => generate::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Score(args) => score::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Load(args) => load::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Curve(args) => curve::run(&args).map(|()| ExitCode::SUCCESS),
    });
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
