//! The encoders for async callers: each on a thread of its own.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::bert::{CrossEncoder, SentenceEncoder};
use crate::extract::score_units;
use crate::{ModelError, ModelThread};

/// A cross-encoder on its thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reranker {
    thread: ModelThread<CrossEncoder>,
    about: About,
}

/// A sentence encoder on its thread. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Encoder {
    thread: ModelThread<SentenceEncoder>,
    about: About,
}

/// What names a model in the results that it helped to make.
#[derive(Debug, Clone)]
struct About {
    name: Arc<str>,
    hash: Arc<OnceLock<String>>,
}

impl About {
    fn new(name: &str) -> Self {
        Self { name: name.into(), hash: Arc::default() }
    }
}

impl Reranker {
    /// Starts a thread that loads the folder (see [`CrossEncoder::load`]) and answers requests, of which at most `queue`
    /// wait. `name` is what results call the model.
    ///
    /// # Errors
    ///
    /// [`ModelError::Thread`]; a folder that cannot be loaded is told by [`Reranker::health`] and [`Reranker::ready`].
    pub fn start(name: &str, folder: PathBuf, queue: usize) -> Result<Self, ModelError> {
        let about = About::new(name);
        let hash = Arc::clone(&about.hash);
        let thread = ModelThread::spawn("recapd-reranker", queue, move || {
            let model = CrossEncoder::load(&folder)?;
            hash.get_or_init(|| model.hash().to_owned());
            Ok(model)
        })?;
        Ok(Self { thread, about })
    }

    /// Returns a logit for each text: [`CrossEncoder::score`] on the model's thread.
    ///
    /// # Errors
    ///
    /// As [`ModelThread::ask`] and [`CrossEncoder::score`]. Dropping the future ends the work after the batch in hand.
    pub async fn score(&self, query: String, texts: Vec<String>) -> Result<Vec<f32>, ModelError> {
        self.thread.ask(move |model, wanted| model.score(&query, &borrowed(&texts), wanted)).await
    }

    /// Returns each unit's score, 0 to 1: [`score_units`] on the model's thread.
    ///
    /// # Errors
    ///
    /// As [`Reranker::score`].
    pub async fn score_units(
        &self,
        query: String,
        units: Vec<String>,
        max_tokens: usize,
    ) -> Result<Vec<Option<f32>>, ModelError> {
        let work = move |model: &mut CrossEncoder, wanted: &dyn Fn() -> bool| {
            score_units(model, &query, &borrowed(&units), max_tokens, wanted)
        };
        self.thread.ask(work).await
    }
}

impl Encoder {
    /// Starts a thread that loads the folder (see [`SentenceEncoder::load`]) and answers requests, of which at most
    /// `queue` wait. `name` is what results call the model.
    ///
    /// # Errors
    ///
    /// [`ModelError::Thread`]; a folder that cannot be loaded is told by [`Encoder::health`] and [`Encoder::ready`].
    pub fn start(name: &str, folder: PathBuf, queue: usize) -> Result<Self, ModelError> {
        let about = About::new(name);
        let hash = Arc::clone(&about.hash);
        let thread = ModelThread::spawn("recapd-encoder", queue, move || {
            let model = SentenceEncoder::load(&folder)?;
            hash.get_or_init(|| model.hash().to_owned());
            Ok(model)
        })?;
        Ok(Self { thread, about })
    }

    /// Returns an embedding of length 1 for each text: [`SentenceEncoder::embed`] on the model's thread.
    ///
    /// # Errors
    ///
    /// As [`ModelThread::ask`] and [`SentenceEncoder::embed`]. Dropping the future ends the work after the batch in hand.
    pub async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, ModelError> {
        self.thread.ask(move |model, wanted| model.embed(&borrowed(&texts), wanted)).await
    }

    /// Returns the length of the embeddings.
    ///
    /// # Errors
    ///
    /// As [`ModelThread::ask`].
    pub async fn dimensions(&self) -> Result<usize, ModelError> {
        self.thread.ask(|model, _| Ok(model.dimensions())).await
    }
}

/// What every handle tells about its model's thread.
macro_rules! tells_about_its_thread {
    ($handle:ty) => {
        impl $handle {
            /// Returns the model's state, without waiting.
            #[must_use]
            pub fn health(&self) -> $crate::Health {
                self.thread.health()
            }

            /// Waits until the model is loaded.
            ///
            /// # Errors
            ///
            /// As [`ModelThread::ready`].
            pub async fn ready(&self) -> Result<(), $crate::ModelError> {
                self.thread.ready().await
            }

            /// Ends the model's thread and waits until it has ended: see [`ModelThread::stop`].
            pub async fn stop(&self) {
                self.thread.stop().await;
            }
        }
    };
}
pub(crate) use tells_about_its_thread;

/// What both encoders tell about their model.
macro_rules! tells_about_its_model {
    ($handle:ty) => {
        tells_about_its_thread!($handle);

        impl $handle {
            /// Returns the name that results give the model.
            #[must_use]
            pub fn name(&self) -> &str {
                &self.about.name
            }

            /// Returns the BLAKE3 hash, in hex, of weights, tokenizer and configuration; `None` until they are loaded.
            #[must_use]
            pub fn hash(&self) -> Option<&str> {
                self.about.hash.get().map(String::as_str)
            }
        }
    };
}

tells_about_its_model!(Reranker);
tells_about_its_model!(Encoder);

fn borrowed(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}
