//! The models that a configuration names, started.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{Backend, Embedder, Remote, RemoteError, Scorer};
use crate::config::Config;
use crate::world::World;

/// Why a model cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The remote one.
    #[error("llm: {0}")]
    Remote(#[from] RemoteError),
    /// A file or folder is not there.
    #[error(
        "models.{key}: there is neither {path} nor a model `{name}` in {dir}; `recapd model list` tells what there is"
    )]
    Missing {
        /// The key.
        key: &'static str,
        /// What it says.
        name: String,
        /// It as a path.
        path: PathBuf,
        /// The folder of models.
        dir: PathBuf,
    },
    /// The system gave no thread.
    #[cfg(feature = "local-models")]
    #[error("models: {0}")]
    Local(#[from] recap_model::ModelError),
}

/// The models that were started.
#[derive(Default)]
pub struct Loaded {
    /// Chat models in the order in which they are asked.
    pub chats: Vec<Backend>,
    /// What scores lines.
    pub scorer: Option<Scorer>,
    /// What tells texts of the same meaning.
    pub embedder: Option<Embedder>,
}

/// Starts the models of a configuration: the remote one, then the local ones, which load on their own threads. `dir` is the
/// folder of pulled models, `key` that of the endpoint.
///
/// # Errors
///
/// [`LoadError`]; files that cannot be loaded are told by the model's state.
pub fn load(config: &Config, dir: &Path, key: Option<SecretString>, world: &World) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    if config.llm.model.is_some() {
        loaded.chats.push(Backend::Remote(Remote::new(&config.llm, key, world.clone())?));
    }
    local(config, dir, world, &mut loaded)?;
    Ok(loaded)
}

#[cfg(feature = "local-models")]
fn local(config: &Config, dir: &Path, world: &World, loaded: &mut Loaded) -> Result<(), LoadError> {
    use std::time::Duration;

    use recap_model::causal::{Chat, LoadOptions};

    use super::Local;

    let models = &config.models;
    if models.chat.is_none() && models.reranker.is_none() && models.encoder.is_none() {
        return Ok(());
    }
    let threads = recap_model::bound_threads(models.threads);
    tracing::info!(?threads, "local models compute within bounds");
    let timeout = Duration::from_millis(models.timeout_ms);
    if let Some(name) = &models.chat {
        let path = find("chat", name, dir)?;
        let options = LoadOptions { max_window: models.window_tokens as usize, ..LoadOptions::default() };
        let chat = Chat::start(&shown(name), path, options, models.queue)?;
        loaded.chats.push(Backend::Local(Local::new(chat, timeout, config.llm.max_reply_tokens, world.clone())));
    }
    if let Some(name) = &models.reranker {
        let path = find("reranker", name, dir)?;
        let reranker = recap_model::Reranker::start(&shown(name), path, models.queue)?;
        loaded.scorer = Some(Scorer::new(reranker, timeout));
    }
    if let Some(name) = &models.encoder {
        let path = find("encoder", name, dir)?;
        let encoder = recap_model::Encoder::start(&shown(name), path, models.queue)?;
        loaded.embedder = Some(Embedder::new(encoder, timeout));
    }
    Ok(())
}

#[cfg(not(feature = "local-models"))]
#[expect(clippy::unnecessary_wraps, reason = "as with local models")]
fn local(_: &Config, _: &Path, _: &World, _: &mut Loaded) -> Result<(), LoadError> {
    Ok(())
}

/// Returns where a model is: a name in the folder of models, or a path.
///
/// # Errors
///
/// [`LoadError::Missing`]
pub fn find(key: &'static str, name: &str, dir: &Path) -> Result<PathBuf, LoadError> {
    let candidates = [dir.join(name), dir.join(format!("{name}.gguf")), PathBuf::from(name)];
    candidates.into_iter().find(|path| path.exists()).ok_or_else(|| LoadError::Missing {
        key,
        name: name.to_owned(),
        path: PathBuf::from(name),
        dir: dir.to_owned(),
    })
}

/// The last part of a path, without `.gguf`: what results call the model.
#[cfg(feature = "local-models")]
fn shown(name: &str) -> String {
    let path = Path::new(name);
    let last = path.file_name().map_or_else(|| name.into(), |name| name.to_string_lossy());
    last.trim_end_matches(".gguf").to_owned()
}
