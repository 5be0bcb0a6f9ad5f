//! `cargo xtask llm`: a real LLM server in the foreground, for work by hand.

use anyhow::{Context, Result};

use crate::process::Run;
use crate::setup::{self, DEFAULT};

/// The server, relative to the workspace's root.
const SERVER: &str = "tests/llm_server.py";

/// What `cargo xtask llm` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Chat model of the catalogue, fetched where it is missing: smollm2, qwen05 or qwen15
    #[arg(long, default_value = DEFAULT, value_name = "NAME")]
    model: String,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Tokens of context
    #[arg(long, default_value_t = 4096)]
    context: u32,
    /// Threads of computation
    #[arg(long, default_value_t = 1)]
    threads: u32,
}

/// Runs `cargo xtask llm` until it is stopped from outside.
///
/// # Errors
///
/// Fails when the model is no chat model or cannot be fetched, and when the server ends, whatever ends it.
pub fn run(args: &Args) -> Result<()> {
    let model = setup::find(&args.model)?;
    let file = model.gguf().with_context(|| format!("{} is no chat model", model.name))?;
    setup::ensure_models(&[model])?;
    let python = setup::LLM.python()?;
    let run = Run::new(python, [SERVER])?.arg(setup::models_folder()?.join(file)).arg(args.port.to_string());
    let run = run.arg("--context").arg(args.context.to_string()).arg("--threads").arg(args.threads.to_string());
    run.with_open_stdin().show()
}
