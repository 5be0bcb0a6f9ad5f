//! The chat model for async callers.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::generate::{Finish, Generated, Generation};
use super::model::{ChatModel, LoadOptions};
use super::template::Prompt;
use crate::handle::tells_about_its_thread;
use crate::{ModelError, ModelThread};

/// A chat model on its thread. Cheap to clone. Requests are answered one after the other.
#[derive(Debug, Clone)]
pub struct Chat {
    thread: ModelThread<ChatModel>,
    name: Arc<str>,
    about: Arc<OnceLock<About>>,
}

/// What is known once the model is loaded.
#[derive(Debug)]
struct About {
    hash: String,
    window: usize,
}

impl Chat {
    /// Starts a thread that loads the file (see [`ChatModel::load`]) and answers requests, of which at most `queue` wait.
    /// `name` is what results call the model.
    ///
    /// # Errors
    ///
    /// [`ModelError::Thread`]; a file that cannot be loaded is told by [`Chat::health`] and [`Chat::ready`].
    pub fn start(name: &str, path: PathBuf, options: LoadOptions, queue: usize) -> Result<Self, ModelError> {
        let about = Arc::new(OnceLock::new());
        let told = Arc::clone(&about);
        let thread = ModelThread::spawn("recapd-chat", queue, move || {
            let model = ChatModel::load(&path, &options)?;
            told.get_or_init(|| About { hash: model.hash().to_owned(), window: model.window() });
            Ok(model)
        })?;
        Ok(Self { thread, name: name.into(), about })
    }

    /// Replies to a prompt: [`ChatModel::generate`] on the model's thread. Dropping the future ends the work at the next
    /// token.
    ///
    /// # Errors
    ///
    /// As [`ModelThread::ask`] and [`ChatModel::generate`]. A reply is never half of what was asked for because the thread
    /// was stopped: that is [`ModelError::Stopped`].
    pub async fn complete(
        &self,
        system: String,
        user: String,
        generation: Generation,
    ) -> Result<Generated, ModelError> {
        let work = move |model: &mut ChatModel, wanted: &dyn Fn() -> bool| {
            let generated = model.generate(&Prompt { system: &system, user: &user }, &generation, wanted)?;
            if generated.finish == Finish::Cancelled { Err(ModelError::Cancelled) } else { Ok(generated) }
        };
        self.thread.ask(work).await
    }

    /// Returns each unit's mean bits per token: [`ChatModel::unit_scores`] on the model's thread.
    ///
    /// # Errors
    ///
    /// As [`ModelThread::ask`] and [`ChatModel::unit_scores`]. Dropping the future ends the work at the next chunk.
    pub async fn unit_scores(&self, units: Vec<String>) -> Result<Vec<f32>, ModelError> {
        let work = move |model: &mut ChatModel, wanted: &dyn Fn() -> bool| {
            let units: Vec<&str> = units.iter().map(String::as_str).collect();
            model.unit_scores(&units, wanted)
        };
        self.thread.ask(work).await
    }

    /// Returns how many tokens a text has for this model.
    ///
    /// # Errors
    ///
    /// As [`ModelThread::ask`] and [`ChatModel::count`].
    pub async fn count(&self, text: String) -> Result<usize, ModelError> {
        self.thread.ask(move |model, _| model.count(&text)).await
    }

    /// Returns what results call the model.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the BLAKE3 hash of the model's file, in hexadecimal; nothing until it is loaded.
    #[must_use]
    pub fn hash(&self) -> Option<&str> {
        self.about.get().map(|about| about.hash.as_str())
    }

    /// Returns how many tokens prompt and reply may have together; nothing until the model is loaded.
    #[must_use]
    pub fn window(&self) -> Option<usize> {
        self.about.get().map(|about| about.window)
    }
}

tells_about_its_thread!(Chat);
