//! What is kept: trajectories, messages, originals and what is derived from them, in SQLite or PostgreSQL.
//!
//! The only place with SQL. Imports recap-core's types, nothing else of the daemon. Each statement's text
//! stands once and runs on both engines; where they differ, `dialect` says so. All writes go through
//! `writer`, which answers only when they are durable.

mod append;
mod audit;
mod audits;
mod compressions;
mod deletion;
mod dialect;
mod distillations;
mod engine;
mod epochs;
mod error;
mod fork;
mod heads;
mod jobs;
mod guidelines;
mod keys;
mod maintenance;
mod messages;
mod model_calls;
mod native;
mod originals;
mod pairs;
mod playbooks;
mod record;
mod search;
mod trajectories;
mod tuning;
mod usage;
mod value;
mod words;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::{PgPool, SqlitePool};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use append::{AppendRequest, Appended, IdempotencyKey, NewMessage};
pub use audit::{AuditEntry, AuditPage};
pub use audits::AuditRow;
pub use compressions::CompressionRow;
pub use deletion::DeletionReport;
pub use distillations::{DistillationEnd, DistillationPage, DistillationRow, DistillationState, DistillationStep};
pub use engine::Engine;
pub use epochs::{EpochRow, Snapshot};
pub use error::{ChangeError, StoreError};
pub use fork::Fork;
pub use guidelines::{
    GuidelineChange, GuidelineError, GuidelineEvent, GuidelineHead, GuidelineKey, GuidelineStep, GuidelineVersion,
};
pub use heads::{
    Expected, HeadChange, HeadError, HeadEvent, HeadRow, HeadState, HeadStep, HeadVerdict, Measured, NewHead,
};
pub use jobs::{ClaimRequest, Claimed, Enqueued, Job, JobCounts, JobFilter, JobPage, JobRow, JobState, Lease, NewJob};
pub use keys::KeyRow;
pub use maintenance::{CheckReport, Health};
pub use messages::{MessageRow, Pinned};
pub use model_calls::{ModelCall, ModelCallFilter, ModelCallPage, ModelSpending, ModelUsage};
pub use originals::HandleError;
pub use pairs::{PairPage, PairRow};
pub use playbooks::{
    DeltaPage, LeftOut, PlaybookChange, PlaybookChanged, PlaybookDecision, PlaybookError, PlaybookKey, PlaybookLesson,
    PlaybookNow, PlaybookPage, PlaybookPatch, PlaybookReview, PlaybookRow, ReviewPage,
};
pub use record::{NewTrajectory, Outcome, OutcomeStatus, Patch, TrajectoryFilter, TrajectoryPage, TrajectoryRow};
pub use search::{Hit, Hits, Recalled, SearchRequest};
pub use tuning::{
    CHAMPION, CandidateStatus, CheckedCandidates, Resumer, TuningCandidate, TuningCase, TuningChange, TuningPage,
    TuningRun, TuningScore, TuningSpent, TuningStage, TuningState,
};
pub use usage::UsageRow;

use engine::Conn;
use writer::{Queue, Write};

/// Where the data is: a SQLite file or a PostgreSQL database.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// The path of a SQLite file.
    Sqlite(PathBuf),
    /// A `postgres://` URL. May hold a password, so it is never printed.
    Postgres(String),
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(…)"),
        }
    }
}

impl FromStr for StoreUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Ok(Self::Postgres(text.to_owned()));
        }
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or(text);
        if path.is_empty() || path.contains("://") || path.starts_with(":memory:") {
            // The text may be a URL with a password.
            let scheme = text.split_once("://").map_or(text, |(scheme, _)| scheme);
            return Err(StoreError::BadUrl(scheme.to_owned()));
        }
        Ok(Self::Sqlite(path.into()))
    }
}

/// The store. Cheap to clone; all clones share connections and writer.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pools: Pools,
    tasks: TaskTracker,
    closing: CancellationToken,
    job_wakeups: watch::Sender<()>,
}

#[derive(Debug)]
enum Pools {
    Sqlite { path: PathBuf, writer: SqlitePool, readers: SqlitePool, queue: Queue },
    Postgres { pool: PgPool },
}

impl Store {
    /// Opens a store and starts its writer. A SQLite file that does not exist is made; the schema is left
    /// as it is: see [`Store::migrate`].
    ///
    /// # Errors
    /// Fails when the file or server cannot be opened.
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        let tasks = TaskTracker::new();
        let closing = CancellationToken::new();
        let pools = match url {
            StoreUrl::Sqlite(path) => {
                let (writer, readers) = dialect::open_sqlite(path).await?;
                let (queue, task) = Queue::new(writer.clone(), closing.clone());
                tasks.spawn(task);
                Pools::Sqlite { path: path.clone(), writer, readers, queue }
            }
            StoreUrl::Postgres(url) => Pools::Postgres { pool: dialect::open_postgres(url).await? },
        };
        Ok(Self { inner: Arc::new(Inner { pools, tasks, closing, job_wakeups: watch::Sender::new(()) }) })
    }

    /// Returns the engine that holds the data.
    #[must_use]
    pub fn engine(&self) -> Engine {
        match self.inner.pools {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres { .. } => Engine::Postgres,
        }
    }

    /// Refuses further writes, finishes those that were accepted, and closes all connections.
    pub async fn close(&self) {
        self.inner.closing.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        match &self.inner.pools {
            Pools::Sqlite { writer, readers, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres { pool } => pool.close().await,
        }
    }

    /// Runs a write and returns when it is durable. Once accepted it runs to its end, even if the caller
    /// goes away.
    async fn write<W: Write>(&self, write: W) -> Result<W::Output, W::Error> {
        let wakes_runners = write.wakes_runners();
        let written = self.write_durably(write).await;
        if wakes_runners && written.is_ok() {
            self.wake_runners();
        }
        written
    }

    async fn write_durably<W: Write>(&self, write: W) -> Result<W::Output, W::Error> {
        match &self.inner.pools {
            Pools::Sqlite { queue, .. } => queue.write(write).await,
            Pools::Postgres { pool } => {
                if self.inner.closing.is_cancelled() {
                    return Err(StoreError::Closed.into());
                }
                let pool = pool.clone();
                let task = self.inner.tasks.spawn(async move { writer::write_postgres(&pool, &write).await });
                task.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
            }
        }
    }

    /// Returns a connection for a single statement.
    async fn reader(&self) -> Result<Conn, StoreError> {
        Ok(match &self.inner.pools {
            Pools::Sqlite { readers, .. } => Conn::Sqlite(readers.acquire().await?),
            Pools::Postgres { pool } => Conn::Postgres(pool.acquire().await?),
        })
    }

    /// Returns a connection whose statements all see the same state.
    async fn snapshot(&self) -> Result<Conn, StoreError> {
        Ok(match &self.inner.pools {
            Pools::Sqlite { readers, .. } => Conn::SqliteTx(readers.begin_with(dialect::SQLITE_SNAPSHOT).await?),
            Pools::Postgres { pool } => Conn::PostgresTx(pool.begin_with(dialect::POSTGRES_SNAPSHOT).await?),
        })
    }
}

#[cfg(test)]
mod tests;
