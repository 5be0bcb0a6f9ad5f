//! What all commands share: where the data is, which configuration holds, how results are written.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::app::{Data, models, open_data};
use crate::config::{self, Config, Flags, Layered};
use crate::pipeline::counters::Counters;
use crate::pipeline::keys::Keys;
use crate::pipeline::{Models, Pipeline};
use crate::telemetry;
use crate::world::World;

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Setting {
    /// The data folder; recapd-data where it is left out
    #[arg(long, global = true, env = "RECAPD_DATA_DIR", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The configuration file; recapd.toml in the data folder where it is left out
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A PostgreSQL URL; SQLite in the data folder where it is left out
    #[arg(long, global = true, value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Results as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// The use cases on the data folder, without a daemon.
pub struct Local {
    /// The use cases.
    pub pipeline: Pipeline,
    _data: Data,
}

impl Setting {
    /// Returns the data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| PathBuf::from("recapd-data"))
    }

    /// Reads the configuration; `overrides` are flags of the command.
    ///
    /// # Errors
    ///
    /// [`config::LoadError`]
    pub fn load(&self, overrides: &[(&str, Option<String>)]) -> Result<Layered, config::LoadError> {
        let mut flags = Flags { file: self.config.clone(), data_dir: Some(self.data_dir()), ..Flags::default() };
        let own = [("storage.database_url", self.database_url.clone())];
        for (key, value) in overrides.iter().chain(&own) {
            if let Some(value) = value {
                flags.overrides.insert((*key).to_owned(), value.clone());
            }
        }
        config::load(&flags, environment())
    }

    /// Opens the data folder for a command. Logs of warnings and errors go to standard error.
    ///
    /// # Errors
    ///
    /// Fails where the configuration is wrong, or a daemon uses the data folder.
    pub async fn open(&self) -> anyhow::Result<Local> {
        let config = self.load(&[])?.config;
        self.open_with(config).await
    }

    /// As [`Setting::open`], with a configuration that was read already.
    ///
    /// # Errors
    ///
    /// Fails where a daemon uses the data folder.
    pub async fn open_with(&self, config: Config) -> anyhow::Result<Local> {
        let (data, world) = self.open_folder(&config).await?;
        local(config, data, world, Models::default()).await
    }

    /// As [`Setting::open_with`], with the models that the configuration names.
    ///
    /// # Errors
    ///
    /// As [`Setting::open_with`], and where a model cannot be started.
    pub async fn open_with_models(&self, config: Config) -> anyhow::Result<Local> {
        let (data, world) = self.open_folder(&config).await?;
        let models = models(&config, &data, &world).await?;
        local(config, data, world, models).await
    }

    async fn open_folder(&self, config: &Config) -> anyhow::Result<(Data, World)> {
        let log = config::Log { filter: "warn".to_owned(), ..config.log.clone() };
        telemetry::start_logs(&log)?;
        Ok((open_data(config, &self.data_dir()).await?, World::real()))
    }
}

async fn local(config: Config, data: Data, world: World, models: Models) -> anyhow::Result<Local> {
    let keys = Keys::new(data.store.clone(), world.clone(), None);
    let counters = Counters::load(&config.tokens)?;
    let pipeline = Pipeline::new(data.store.clone(), Arc::new(config), world, counters, keys, models)?;
    pipeline.open_guidelines().await?;
    Ok(Local { pipeline, _data: data })
}

impl Local {
    /// Writes what is left and closes the store.
    ///
    /// # Errors
    ///
    /// Fails where the store does.
    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.pipeline.close().await?)
    }
}

/// Returns what the environment tells candle, which takes its number of threads from nowhere else.
#[expect(clippy::disallowed_methods, reason = "it is candle's own, not a setting of recapd")]
pub(super) fn candle_threads() -> Option<String> {
    std::env::var("CANDLE_NUM_THREADS").ok()
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment, for the configuration")]
fn environment() -> HashMap<String, String> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(key, _)| key.starts_with("RECAPD_"))
        .collect()
}
