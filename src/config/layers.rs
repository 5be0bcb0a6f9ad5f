//! Reads the layers in their order and tells where each value comes from.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use config::builder::DefaultState;
use config::{ConfigBuilder, Environment, File, FileFormat, Map, Source, Value, ValueKind};
use serde::de::DeserializeOwned;

use super::sections::Config;
use super::validate::validate;
use super::{DEFAULTS, show};

const SECTIONS: [&str; 15] = [
    "server",
    "storage",
    "limits",
    "auth",
    "context",
    "compress",
    "policies",
    "llm",
    "models",
    "jobs",
    "guidelines",
    "playbook",
    "tuning",
    "tokens",
    "log",
];

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// Key to value, for example `server.listen`.
    pub overrides: BTreeMap<String, String>,
    /// The file named by `--config`; it must exist.
    pub file: Option<PathBuf>,
    /// The data folder, whose `recapd.toml` is read if it exists.
    pub data_dir: Option<PathBuf>,
}

/// One thing that is wrong, with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// For example `context.low_mark`; empty where no key is known.
    pub key: String,
    /// What is wrong with it.
    pub detail: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.detail) } else { write!(f, "{}: {}", self.key, self.detail) }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file named by `--config` is not there.
    #[error("the configuration file {0} cannot be read")]
    NoFile(PathBuf),
    /// A layer cannot be read or parsed.
    #[error("the configuration cannot be read: {0}")]
    Unreadable(#[from] config::ConfigError),
    /// Values are wrong.
    #[error("the configuration is wrong:\n{}", list(.0))]
    Faults(Vec<ConfigFault>),
}

fn list(faults: &[ConfigFault]) -> String {
    faults.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n")
}

/// A configuration with the origin of each value.
#[derive(Debug, Clone)]
pub struct Layered {
    /// The values.
    pub config: Config,
    /// The values as they are shown to people.
    pub shown: Vec<show::Shown>,
}

/// Reads all layers.
///
/// # Errors
///
/// [`LoadError`], naming every fault at once.
#[expect(clippy::implicit_hasher, reason = "the type that `config` takes")]
pub fn load(flags: &Flags, environment: HashMap<String, String>) -> Result<Layered, LoadError> {
    let tree = layers(flags, environment)?.build()?.collect()?;
    let shown = show::flatten(&tree);
    let mut faults = unknown_sections(&tree);
    let config = sections(&tree, &mut faults);
    if let Some(config) = &config {
        faults.extend(validate(config));
    }
    match config {
        Some(config) if faults.is_empty() => Ok(Layered { config, shown }),
        _ => Err(LoadError::Faults(faults)),
    }
}

fn layers(flags: &Flags, environment: HashMap<String, String>) -> Result<ConfigBuilder<DefaultState>, LoadError> {
    let mut builder = config::Config::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    if let Some(file) = file_of(flags)? {
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    // RECAPD_LISTEN and its like have no section: they are flags.
    let sectioned = environment.into_iter().filter(|(key, _)| key.contains("__")).collect::<HashMap<_, _>>();
    builder = builder.add_source(
        Environment::with_prefix("RECAPD")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            .source(Some(sectioned)),
    );
    for (key, value) in &flags.overrides {
        let origin = "flag".to_owned();
        builder = builder.set_override(key, Value::new(Some(&origin), ValueKind::String(value.clone())))?;
    }
    Ok(builder)
}

fn file_of(flags: &Flags) -> Result<Option<PathBuf>, LoadError> {
    if let Some(file) = &flags.file {
        return if file.is_file() { Ok(Some(file.clone())) } else { Err(LoadError::NoFile(file.clone())) };
    }
    Ok(flags.data_dir.as_deref().map(in_data_dir).filter(|file| file.is_file()))
}

fn in_data_dir(folder: &Path) -> PathBuf {
    folder.join("recapd.toml")
}

fn unknown_sections(tree: &Map<String, Value>) -> Vec<ConfigFault> {
    tree.keys()
        .filter(|key| !SECTIONS.contains(&key.as_str()))
        .map(|key| ConfigFault {
            key: key.clone(),
            detail: format!("no such section in this version; there are {}", SECTIONS.join(", ")),
        })
        .collect()
}

fn sections(tree: &Map<String, Value>, faults: &mut Vec<ConfigFault>) -> Option<Config> {
    let server = section(tree, "server", faults);
    let storage = section(tree, "storage", faults);
    let limits = section(tree, "limits", faults);
    let auth = section(tree, "auth", faults);
    let context = section(tree, "context", faults);
    let compress = section(tree, "compress", faults);
    let policies = section(tree, "policies", faults);
    let llm = section(tree, "llm", faults);
    let models = section(tree, "models", faults);
    let jobs = section(tree, "jobs", faults);
    let guidelines = section(tree, "guidelines", faults);
    let playbook = section(tree, "playbook", faults);
    let tuning = section(tree, "tuning", faults);
    let tokens = section(tree, "tokens", faults);
    let log = section(tree, "log", faults);
    Some(Config {
        server: server?,
        storage: storage?,
        limits: limits?,
        auth: auth?,
        context: context?,
        compress: compress?,
        policies: policies?,
        llm: llm?,
        models: models?,
        jobs: jobs?,
        guidelines: guidelines?,
        playbook: playbook?,
        tuning: tuning?,
        tokens: tokens?,
        log: log?,
    })
}

fn section<T: DeserializeOwned>(tree: &Map<String, Value>, name: &str, faults: &mut Vec<ConfigFault>) -> Option<T> {
    let empty = Value::new(None, ValueKind::Table(Map::new()));
    let value = tree.get(name).cloned().unwrap_or(empty);
    match value.try_deserialize() {
        Ok(section) => Some(section),
        Err(error) => {
            faults.push(fault_of(name, &error));
            None
        }
    }
}

fn fault_of(section: &str, error: &config::ConfigError) -> ConfigFault {
    let key = match error {
        config::ConfigError::Type { key: Some(key), .. } | config::ConfigError::At { key: Some(key), .. } => {
            format!("{section}.{key}")
        }
        _ => section.to_owned(),
    };
    ConfigFault { key, detail: error.to_string() }
}
