//! The daemon's parts put together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::jobs::{Runner, auditing, distilling, handlers, learning, tuning};
use crate::llm::{self, Loaded};
use crate::pipeline::compress::Compressors;
use crate::pipeline::counters::{Counters, TokenizerError};
use crate::pipeline::guidelines::GuidelineFaults;
use crate::pipeline::keys::Keys;
use crate::pipeline::{Models, Pipeline};
use crate::store::{Store, StoreError, StoreUrl};
use crate::telemetry::{self, TelemetryError};
use crate::world::World;

/// The name of the SQLite file in the data folder.
pub const DATABASE_FILE: &str = "recapd.db";
/// The name of the file whose lock tells that a process uses the data folder.
const LOCK_FILE: &str = "recapd.lock";
/// How often a held lock is tried, and the pause after each try: a second in all.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);
const USAGE_EVERY: Duration = Duration::from_secs(5);
/// For how long what was spent on models counts: a day.
const SPENT_MS: i64 = 86_400_000;
/// How long an idempotency key is remembered: a day.
const IDEMPOTENCY_MS: i64 = 86_400_000;

/// Why the daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be made.
    #[error("the data folder {path} cannot be used: {source}")]
    DataFolder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process uses the data folder.
    #[error("another recapd uses the data folder {0}")]
    InUse(PathBuf),
    /// A file that the configuration names cannot be read.
    #[error("{key}: {path} cannot be read: {source}")]
    File {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that the configuration names holds nothing.
    #[error("{key}: {path} is empty")]
    EmptyFile {
        /// The key.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Keys are needed and there is none.
    #[error("auth.keys_required: there is no key; name auth.key_file or run `recapd key create`")]
    NoKey,
    /// A tokenizer cannot be loaded.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A model cannot be started.
    #[error(transparent)]
    Models(#[from] llm::LoadError),
    /// Guidelines cannot be used.
    #[error(transparent)]
    Guidelines(#[from] GuidelineFaults),
    /// Metrics cannot start.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

/// Everything that a request needs. Cheap to clone.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: Pipeline,
    metrics: PrometheusHandle,
    gate: Semaphore,
    streams: Arc<Semaphore>,
    stopping: CancellationToken,
    tasks: TaskTracker,
    folder: PathBuf,
    // Held for as long as the data folder is used.
    _lock: Option<std::fs::File>,
}

/// Where the data is and who holds it.
pub struct Data {
    /// The open, migrated store.
    pub store: Store,
    /// The data folder.
    pub folder: PathBuf,
    lock: Option<std::fs::File>,
}

/// Returns the store's address under a configuration.
///
/// # Errors
///
/// [`StartError::File`]
pub fn store_url(config: &Config, data_dir: &Path) -> Result<StoreUrl, StartError> {
    let from_file = config.storage.database_url_file.as_deref();
    let from_file = from_file.map(|path| secret_of("storage.database_url_file", path)).transpose()?;
    match config.storage.database_url.as_ref().or(from_file.as_ref()) {
        Some(url) => Ok(url.expose_secret().parse()?),
        None => Ok(StoreUrl::Sqlite(data_dir.join(DATABASE_FILE))),
    }
}

/// Returns the first line of a file with a secret.
///
/// # Errors
///
/// [`StartError::File`], [`StartError::EmptyFile`].
pub fn secret_of(key: &'static str, path: &Path) -> Result<SecretString, StartError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| StartError::File { key, path: path.to_owned(), source })?;
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(line.to_owned().into()),
        _ => Err(StartError::EmptyFile { key, path: path.to_owned() }),
    }
}

/// Opens and migrates the store. The data folder of a SQLite store is locked until the result is dropped.
///
/// # Errors
///
/// [`StartError`]
pub async fn open_data(config: &Config, data_dir: &Path) -> Result<Data, StartError> {
    let url = store_url(config, data_dir)?;
    let lock = match &url {
        StoreUrl::Sqlite(_) => Some(lock_folder(data_dir).await?),
        StoreUrl::Postgres(_) => None,
    };
    let store = Store::open(&url).await?;
    store.migrate().await?;
    Ok(Data { store, folder: data_dir.to_owned(), lock })
}

/// Tells whether a process uses the data folder. Changes nothing.
///
/// # Errors
///
/// [`StartError::DataFolder`]
pub fn is_in_use(data_dir: &Path) -> Result<bool, StartError> {
    let failed = |source| StartError::DataFolder { path: data_dir.to_owned(), source };
    let file = match std::fs::File::options().write(true).open(data_dir.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(std::fs::TryLockError::WouldBlock) => Ok(true),
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Locks the data folder. A process that just ended can leave its lock for a moment to one that was being started from
/// it, so a lock that is held is tried again.
async fn lock_folder(folder: &Path) -> Result<std::fs::File, StartError> {
    let failed = |source| StartError::DataFolder { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let file = std::fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(LOCK_FILE))
        .map_err(failed)?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
    Err(StartError::InUse(folder.to_owned()))
}

/// Starts the models that the configuration names; what the ledger says was spent counts against the limits.
///
/// # Errors
///
/// [`StartError`]
pub async fn models(config: &Config, data: &Data, world: &World) -> Result<Models, StartError> {
    let key = llm_key(config)?;
    let dir = models_dir(config, &data.folder);
    let Loaded { chats, scorer, embedder } = llm::load(config, &dir, key, world)?;
    let since = world.now_ms() - SPENT_MS;
    let spent = data.store.model_spending("remote", since).await?;
    for chat in &chats {
        chat.seed(spent.iter().map(|row| llm::Spent {
            at_ms: row.at_ms,
            tokens: row.tokens,
            cost_usd_micros: row.cost_usd_micros,
        }));
    }
    Ok(Models { compressors: Compressors::new(config, chats, scorer), embedder })
}

/// Returns the key of the remote model's endpoint, if there is one.
///
/// # Errors
///
/// [`StartError::File`], [`StartError::EmptyFile`].
pub fn llm_key(config: &Config) -> Result<Option<SecretString>, StartError> {
    let from_file = config.llm.api_key_file.as_deref();
    let from_file = from_file.map(|path| secret_of("llm.api_key_file", path)).transpose()?;
    Ok(config.llm.api_key.clone().or(from_file))
}

/// Returns the folder of pulled models.
#[must_use]
pub fn models_dir(config: &Config, data_dir: &Path) -> PathBuf {
    config.models.dir.clone().unwrap_or_else(|| data_dir.join("models"))
}

impl App {
    /// Starts everything but the listener.
    ///
    /// # Errors
    ///
    /// [`StartError`]
    pub async fn start(config: Config, data: Data, world: World) -> Result<Self, StartError> {
        let fixed = config.auth.key_file.as_deref().map(|path| secret_of("auth.key_file", path)).transpose()?;
        let counters = Counters::load(&config.tokens)?;
        let keys = Keys::new(data.store.clone(), world.clone(), fixed.as_ref());
        if config.auth.keys_required && !keys.any().await? {
            return Err(StartError::NoKey);
        }
        let models = models(&config, &data, &world).await?;
        let inner = Inner {
            metrics: telemetry::metrics_recorder()?,
            gate: Semaphore::new(config.server.max_concurrent_requests),
            streams: Arc::new(Semaphore::new(config.limits.sse_clients)),
            stopping: CancellationToken::new(),
            tasks: TaskTracker::new(),
            folder: data.folder,
            pipeline: Pipeline::new(data.store, Arc::new(config), world, counters, keys, models)?,
            _lock: data.lock,
        };
        inner.pipeline.open_guidelines().await?;
        inner.pipeline.warn_of_nothing_that_scores();
        let app = Self { inner: Arc::new(inner) };
        app.inner.tasks.spawn(app.clone().keep_house());
        app.inner.tasks.spawn(app.clone().watch_guidelines());
        app.inner.tasks.spawn(app.clone().run_jobs());
        Ok(app)
    }

    /// Writes sums and forgets old idempotency keys until the daemon stops.
    async fn keep_house(self) {
        let mut ticks = tokio::time::interval(USAGE_EVERY);
        let mut count = 0_u64;
        loop {
            tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.pipeline().write_usage().await {
                tracing::warn!(%error, "usage is not written yet");
            }
            if count.is_multiple_of(720) {
                let before = self.pipeline().world().now_ms() - IDEMPOTENCY_MS;
                if let Err(error) = self.pipeline().store().forget_idempotency_keys(before).await {
                    tracing::warn!(%error, "old idempotency keys are still kept");
                }
            }
            count += 1;
        }
    }

    /// Runs background jobs until the daemon stops.
    async fn run_jobs(self) {
        let (store, world) = (self.pipeline().store().clone(), self.pipeline().world().clone());
        let runner = handlers(Runner::new(store, self.config().jobs.clone(), world), self.pipeline());
        let runner = auditing(learning(runner, self.pipeline()), self.pipeline());
        let runner = tuning(runner, self.pipeline(), self.inner.stopping.clone());
        let runner = distilling(runner, self.pipeline(), self.inner.folder.clone(), self.inner.stopping.clone());
        runner.run(self.inner.stopping.clone(), self.config().server.shutdown_grace()).await;
    }

    /// Takes up changed guidelines until the daemon stops.
    async fn watch_guidelines(self) {
        let every = Duration::from_millis(self.config().guidelines.watch_ms);
        while !every.is_zero() {
            tokio::select! {
                () = self.inner.stopping.cancelled() => return,
                () = tokio::time::sleep(every) => {}
            }
            if let Err(error) = self.pipeline().watch_guidelines().await {
                tracing::warn!(%error, "guidelines are not looked at");
            }
        }
    }

    /// Returns the use cases.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.inner.pipeline
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.inner.pipeline.config()
    }

    /// Returns the metrics.
    #[must_use]
    pub fn metrics(&self) -> &PrometheusHandle {
        &self.inner.metrics
    }

    /// Returns the gate of requests in work.
    #[must_use]
    pub fn gate(&self) -> &Semaphore {
        &self.inner.gate
    }

    /// Returns the gate of event streams.
    #[must_use]
    pub fn streams(&self) -> &Arc<Semaphore> {
        &self.inner.streams
    }

    /// Returns the token that is cancelled when the daemon stops.
    #[must_use]
    pub fn stopping(&self) -> &CancellationToken {
        &self.inner.stopping
    }

    /// Tells whether requests on loopback need a key, too: where the configuration asks for it, and for as long
    /// as there is any key.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn keys_needed(&self) -> Result<bool, StoreError> {
        Ok(self.config().auth.keys_required || self.pipeline().keys().any().await?)
    }

    /// Finishes what is in work and closes the store.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.inner.stopping.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.pipeline().close().await
    }
}
