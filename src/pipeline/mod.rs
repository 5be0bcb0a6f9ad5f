//! The use cases: where core and store meet. Imports `store`, `config` and recap-core; nothing of HTTP.
//!
//! One file for each use case, named by its verb; `sessions` keeps the live trajectories, `live` is one of them.

pub mod append_messages;
pub mod checks;
pub mod compress;
pub mod compress_once;
pub mod counters;
pub mod events;
pub mod failure;
pub mod guidelines;
pub mod heads;
pub mod keys;
pub mod hindsight;
mod lessons;
mod live;
pub mod playbook;
pub mod policy;
mod prepare;
mod repeats;
pub mod find_originals;
pub mod rehearse;
pub mod serve_context;
mod sessions;
mod settings;
pub mod stored_run;
pub mod task;
pub mod tally;
pub mod trajectories;
pub mod usage;

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::llm::Embedder;
use crate::store::{Store, StoreError};
use crate::world::World;

use compress::Compressors;
use counters::Counters;
use events::Events;
use failure::Failure;
use guidelines::{GuidelineFaults, Guidelines};
use keys::Keys;
use playbook::{Embeddings, Shelf};
use sessions::Sessions;
use usage::Usage;

/// The models that were started.
#[derive(Default)]
pub struct Models {
    /// Those that compress.
    pub compressors: Compressors,
    /// What tells texts of the same meaning.
    pub embedder: Option<Embedder>,
}

/// The use cases over one store. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    config: Arc<Config>,
    world: World,
    counters: Counters,
    guidelines: Guidelines,
    compressors: Compressors,
    sessions: Sessions,
    playbooks: Shelf,
    embeddings: Embeddings,
    events: Events,
    keys: Keys,
    usage: Usage,
    tasks: TaskTracker,
    /// Held by the one who prepares an epoch.
    preparing: Semaphore,
}

impl Pipeline {
    /// Makes the use cases over an open, migrated store.
    ///
    /// # Errors
    ///
    /// [`GuidelineFaults`] where guidelines cannot be used.
    pub fn new(
        store: Store,
        config: Arc<Config>,
        world: World,
        counters: Counters,
        keys: Keys,
        models: Models,
    ) -> Result<Self, GuidelineFaults> {
        let sessions = Sessions::new(config.limits.cache_sessions);
        let events = Events::new(config.limits.sse_buffer);
        let inner = Inner {
            store,
            embeddings: Embeddings::new(models.embedder, world.clone()),
            world,
            playbooks: Shelf::new(counters.of(None)),
            counters,
            guidelines: Guidelines::load(&config.guidelines)?,
            compressors: models.compressors,
            sessions,
            events,
            keys,
            usage: Usage::default(),
            config,
            tasks: TaskTracker::new(),
            preparing: Semaphore::new(1),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// Returns the clock and source of ids.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.inner.world
    }

    /// Returns the events of trajectories.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.inner.events
    }

    /// Returns the guideline sets.
    #[must_use]
    pub fn guidelines(&self) -> &Guidelines {
        &self.inner.guidelines
    }

    /// Returns the models that compress.
    #[must_use]
    pub fn compressors(&self) -> &Compressors {
        &self.inner.compressors
    }

    /// Returns the tokenizers.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    /// Returns the keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.inner.keys
    }

    /// Finishes what is in work, then writes what is left and closes the store.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.inner.tasks.close();
        self.inner.embeddings.close();
        self.inner.tasks.wait().await;
        self.write_usage().await?;
        self.inner.store.close().await;
        Ok(())
    }

    /// Runs work to its end even where the caller goes away: what is stored and what is live stay the same.
    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let task = self.inner.tasks.spawn(work);
        task.await.unwrap_or(Err(Failure::CutOff("a task of the pipeline failed")))
    }
}

/// Runs work for the processor: beside the async workers where it is large.
async fn compute<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    const LARGE_BYTES: usize = 100_000;
    if bytes <= LARGE_BYTES {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| Failure::CutOff("a computation failed"))
}
