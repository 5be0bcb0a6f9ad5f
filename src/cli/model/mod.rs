//! `recapd model`: the models of this machine, apart from the daemon. The daemon fetches nothing.

#[cfg(feature = "local-models")]
mod bench;
mod check;
mod list;
mod probe;
mod pull;
#[cfg(feature = "local-models")]
mod trial;

use clap::{Args, Subcommand};

use super::{Done, Setting};
use crate::app::models_dir;
use crate::config::Config;
use crate::llm;
use crate::models::{Entry, Kind, Shelf};

/// Models that run in this process: list, fetch, check and measure them. `probe` also asks a remote model.
#[derive(Debug, Args)]
pub struct Model {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the models of the folder, and the known ones that can be pulled
    List(list::List),
    /// Fetch a model into the folder: by a known name, from the hub, or from a path
    Pull(pull::Pull),
    /// Hash and load models and ask each one thing; exit code 1 where one fails
    Check(check::Check),
    /// Measure how fast a model is on this machine
    #[cfg(feature = "local-models")]
    Bench(bench::Bench),
    /// Measure how finding a planted value falls with the length of the context, and propose a budget
    Probe(probe::Probe),
}

impl Model {
    /// Lists, fetches, checks or measures.
    ///
    /// # Errors
    ///
    /// Fails where the configuration is wrong, or a model cannot be found, fetched or asked.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        match self.action {
            Action::List(list::List) => list::List::run(setting),
            Action::Pull(command) => command.run(setting).await,
            Action::Check(command) => command.run(setting).await,
            #[cfg(feature = "local-models")]
            Action::Bench(command) => command.run(setting).await,
            Action::Probe(command) => command.run(setting).await,
        }
    }

    /// Tells whether models compute in this process.
    #[cfg(feature = "local-models")]
    pub(super) fn computes(&self) -> bool {
        !matches!(self.action, Action::List(_) | Action::Pull(_))
    }

    /// Returns the threads that the command line asks for.
    #[cfg(feature = "local-models")]
    pub(super) fn threads(&self) -> Option<usize> {
        if let Action::Bench(bench) = &self.action { bench.threads } else { None }
    }
}

fn shelf(setting: &Setting, config: &Config) -> Shelf {
    Shelf::new(models_dir(config, &setting.data_dir()))
}

/// Finds a model by its name or path.
fn entry(shelf: &Shelf, name: &str) -> anyhow::Result<Entry> {
    let found = shelf.find(name)?;
    found.ok_or_else(|| {
        anyhow::anyhow!("there is no model `{name}` in {}; see `recapd model list`", shelf.dir().display())
    })
}

/// Returns the models that the configuration names: key, name, and where it is.
fn configured(config: &Config, shelf: &Shelf) -> Vec<(Kind, String, Result<std::path::PathBuf, llm::LoadError>)> {
    let models = &config.models;
    let keys = [(Kind::Chat, &models.chat), (Kind::Reranker, &models.reranker), (Kind::Encoder, &models.encoder)];
    let named = keys.into_iter().filter_map(|(kind, name)| Some((kind, name.clone()?)));
    named.map(|(kind, name)| (kind, name.clone(), llm::find(kind.name(), &name, shelf.dir()))).collect()
}

/// Returns a number of bytes in MiB, in words.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
