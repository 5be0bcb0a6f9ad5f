//! `cargo xtask curve`: what a playbook teaches a small model, on tasks whose outcome code decides.
//!
//! A chat model behind an OpenAI-compatible server on loopback is the agent, and the daemon's reflector and curator. What
//! the agent knows beyond its task reaches it through the daemon's contexts alone.

mod agent;
mod memory;
mod report;
mod run;
mod stats;
mod task;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::daemon::{Daemon, built};
use crate::process::{Run, Server};
use crate::setup;

use agent::Agent;
use report::Report;
use run::{Condition, Plan};

/// The server of models, relative to the workspace's root, and the model of the catalogue where none is named.
const SERVER: &str = "tests/llm_server.py";
const MODEL: &str = "qwen15";
/// Tokens of the server's context, of which recapd uses all, and of the agent's contexts.
const WINDOW_TOKENS: u32 = 8_192;
const BUDGET_TOKENS: u32 = 4_096;
/// How long a model may take to load.
const LOADING: Duration = Duration::from_mins(2);

/// What `cargo xtask curve` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Chat model, a GGUF file; Qwen2.5-Coder 1.5B of the catalogue where it is left out
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Tasks to learn from; 6 are a block of the curve
    #[arg(long, default_value_t = 18)]
    tasks: usize,
    /// New tasks at the end, without learning
    #[arg(long, default_value_t = 24)]
    held_out: usize,
    /// What the agent is served with
    #[arg(long, value_enum, value_delimiter = ',', default_value = "none,online,shuffled,oracle,shuffled-oracle")]
    conditions: Vec<Condition>,
    /// Rounds of looking back on one run
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Draws other names and numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads of the model's server
    #[arg(long, default_value_t = 2)]
    threads: u32,
    /// Measures this recapd instead of building one
    #[arg(long)]
    program: Option<PathBuf>,
    /// Writes every try and the learned bullets there
    #[arg(long, value_name = "OUT")]
    json: Option<PathBuf>,
}

/// Runs `cargo xtask curve`.
///
/// # Errors
///
/// Fails when the model cannot be fetched or served, and when the daemon does or refuses a request.
pub fn run(args: &Args) -> Result<()> {
    let model = args.model.clone().map_or_else(of_catalogue, Ok)?;
    let program = args.program.clone().map_or_else(built, Ok)?;
    let sha256 = setup::sha256(&model)?;
    let work = tempfile::Builder::new().prefix("recapd-curve-").tempdir().context("no temporary folder")?;
    let (server, url) = serve(&model, args.threads, work.path())?;
    let config = work.path().join("recapd.toml");
    std::fs::write(&config, configuration(&url, &name(&model), args.rounds)).context("cannot write a configuration")?;
    let daemon = Daemon::start_program(program, Some(config))?;
    let agent = Agent { memory: daemon.url().to_owned(), model: url };
    let plan =
        Plan { seed: args.seed, tasks: args.tasks, held_out: args.held_out, conditions: args.conditions.clone() };
    let began = Instant::now();
    let measured = run::run(&plan, &agent)?;
    drop((daemon, server));
    let (model, command, seconds) = (name(&model), args.command(), began.elapsed().as_secs());
    let report = Report { model, sha256, command, seed: args.seed, seconds, measured };
    if let Some(out) = &args.json {
        let text = serde_json::to_string_pretty(&report.json())?;
        std::fs::write(out, text).with_context(|| format!("cannot write {}", out.display()))?;
    }
    print!("{}", report.markdown());
    Ok(())
}

impl Args {
    /// Returns the command that repeats the measurement.
    fn command(&self) -> String {
        let model = self.model.as_deref().map(|file| format!(" --model {}", name(file))).unwrap_or_default();
        let conditions: Vec<&str> = self.conditions.iter().map(|condition| condition.name()).collect();
        format!(
            "cargo xtask curve{model} --tasks {} --held-out {} --conditions {} --rounds {} --seed {} --threads {}",
            self.tasks,
            self.held_out,
            conditions.join(","),
            self.rounds,
            self.seed,
            self.threads
        )
    }
}

fn of_catalogue() -> Result<PathBuf> {
    let model = setup::find(MODEL)?;
    setup::ensure_models(&[model])?;
    let file = model.gguf().with_context(|| format!("{MODEL} is no chat model"))?;
    Ok(setup::models_folder()?.join(file))
}

/// Starts the model's server and returns it with its URL.
fn serve(model: &Path, threads: u32, work: &Path) -> Result<(Server, String)> {
    let run = Run::new(setup::LLM.python()?, [SERVER])?.arg(std::path::absolute(model)?).arg("0");
    let run = run.arg("--context").arg(WINDOW_TOKENS.to_string()).arg("--threads").arg(threads.to_string());
    let mut server = run.with_open_stdin().serve(&work.join("llm.log"), "TERM")?;
    let url = server.wait_for_line("listening on ", LOADING)?.trim().to_owned();
    Ok((server, url))
}

/// Returns the daemon's configuration: the same model looks back on runs, and nothing else asks it.
fn configuration(url: &str, model: &str, rounds: u32) -> String {
    let timeout_ms = agent::PATIENCE.as_millis();
    format!(
        "[context]\nbudget = {BUDGET_TOKENS}\n\n\
         [llm]\nbase_url = \"{url}/v1\"\nmodel = \"{model}\"\ntimeout_ms = {timeout_ms}\nconcurrency = 1\n\
         max_tokens_per_hour = 100000000\nwindow_tokens = {WINDOW_TOKENS}\nmax_reply_tokens = 1024\n\n\
         [playbook]\nrounds = {rounds}\n"
    )
}

fn name(file: &Path) -> String {
    file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
