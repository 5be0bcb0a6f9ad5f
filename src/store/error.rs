//! What can go wrong in the store.

use std::sync::Arc;
use std::time::Duration;

/// A failure of the store itself. Nothing of a failed write is stored; writes that shared its transaction
/// fail with the same error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The store's address is neither a file path nor a PostgreSQL URL.
    #[error("not a store: `{0}` (expected a file path, `sqlite:PATH` or `postgres://…`)")]
    BadUrl(String),
    /// The write queue stayed full.
    #[error("the write queue was full for {} ms", .waited.as_millis())]
    Busy {
        /// How long the request waited for room.
        waited: Duration,
    },
    /// Another process held the database for longer than the busy timeout.
    #[error("another process keeps the database locked")]
    Locked(#[source] Arc<sqlx::Error>),
    /// No space is left for the database.
    #[error("the disk is full")]
    DiskFull(#[source] Arc<sqlx::Error>),
    /// The file system or the connection to the server failed.
    #[error("the database cannot be reached or written")]
    Io(#[source] Arc<sqlx::Error>),
    /// The database file is damaged, or is no database.
    #[error("the database is damaged")]
    Damaged(#[source] Arc<sqlx::Error>),
    /// Any other failure of the engine.
    #[error("the database refused a statement")]
    Engine(#[source] Arc<sqlx::Error>),
    /// The schema could not be brought up to date.
    #[error("the schema cannot be migrated: {0}")]
    Migration(#[source] Arc<sqlx::migrate::MigrateError>),
    /// A stored row does not mean anything to this version.
    #[error("a stored row is unreadable: {0}")]
    Unreadable(&'static str),
    /// A short text field holds U+0000, which one of the engines cannot store.
    #[error("a text field holds the character U+0000")]
    NulInText,
    /// A page cursor that this store did not make.
    #[error("not a cursor of this list")]
    BadCursor,
    /// The engine leaves this task to its own tools.
    #[error("{engine} does not do this here: {advice}")]
    NotHere {
        /// The engine's name.
        engine: &'static str,
        /// What to use.
        advice: &'static str,
    },
    /// A file stands where a new one is to be written.
    #[error("`{0}` exists already")]
    FileExists(String),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

/// Why an append, fork or other change of one trajectory was refused. Nothing of it is stored.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChangeError {
    /// There is no such trajectory.
    #[error("no such trajectory")]
    NoTrajectory,
    /// The job that made the change is another runner's by now, or deleted.
    #[error("the lease was lost")]
    LeaseLost,
    /// What an epoch shows of a playbook was erased since it was read.
    #[error("what the epoch shows of a playbook was erased")]
    Erased,
    /// There is no such message.
    #[error("no such message")]
    NoMessage,
    /// A trajectory with this id exists.
    #[error("a trajectory with this id exists")]
    Exists,
    /// `expected_length` differs from the length.
    #[error("the trajectory has {current} messages")]
    LengthMismatch {
        /// The trajectory's length.
        current: u64,
    },
    /// The idempotency key was used for another body.
    #[error("the idempotency key was used for another body")]
    IdempotencyReused,
    /// A fork asked for more messages than there are.
    #[error("the trajectory has only {current} messages")]
    TooShort {
        /// The trajectory's length.
        current: u64,
    },
    /// The record was changed since it was read.
    #[error("the record is at version {current}")]
    VersionMismatch {
        /// The record's version.
        current: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        super::dialect::classify(error)
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migration(Arc::new(error))
    }
}

impl From<sqlx::Error> for ChangeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Tells a failure of the store from a refusal.
pub(super) trait Failure: From<StoreError> + Send + 'static {
    /// Returns the store's failure, or `None` for a refusal.
    fn store_error(&self) -> Option<&StoreError>;
}

impl Failure for StoreError {
    fn store_error(&self) -> Option<&StoreError> {
        Some(self)
    }
}

impl Failure for ChangeError {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
