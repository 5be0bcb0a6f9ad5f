//! Playbooks: what they hold, the log of how that came to be, and changes that wait for somebody's word.
//!
//! The state of a playbook is kept beside its log; replaying the log gives the same state, which
//! [`Store::check`](super::Store::check) proves.

mod change;
mod check;
mod excerpts;
mod forget;
mod lessons;
mod list;
mod reviews;
mod run;

use std::sync::Arc;

use recap_core::playbook::{Delta, Fault, Operation, Playbook, Source};

use super::engine::{Conn, Row};
use super::error::{Failure, StoreError};
use super::value::{Value, values};

pub use change::{LeftOut, PlaybookChange, PlaybookChanged, PlaybookDecision, PlaybookNow};
pub(super) use check::check_playbooks;
pub(super) use excerpts::was_erased_from;
pub(super) use forget::forget_in_playbooks;
pub use lessons::PlaybookLesson;
pub use list::{DeltaPage, PlaybookPage, PlaybookPatch};
pub use reviews::{PlaybookReview, ReviewPage};

/// The name of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaybookKey {
    /// The namespace that keys are held against.
    pub namespace: String,
    /// The name in it.
    pub name: String,
}

/// A stored playbook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybookRow {
    /// Which one.
    pub key: PlaybookKey,
    /// What it holds.
    pub playbook: Arc<Playbook>,
    /// Most tokens; the configuration's where it has none of its own.
    pub budget: Option<u32>,
    /// Whether changes of words wait; as the configuration says where it has no word of its own.
    pub review: Option<bool>,
    /// One more with each change of any of this.
    pub changes: u64,
    /// Changes that wait for somebody's word.
    pub pending: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// Why a playbook was not changed. Nothing of the change is stored.
#[derive(Debug, thiserror::Error)]
pub enum PlaybookError<E> {
    /// There is no such playbook.
    #[error("no such playbook")]
    NoPlaybook,
    /// There is no such change that waits.
    #[error("no such change waits")]
    NoReview,
    /// The trajectory that it was learned from is gone.
    #[error("no such trajectory")]
    NoTrajectory,
    /// The playbook has another version than the expected one.
    #[error("the playbook is at version {current}")]
    Version {
        /// Its version.
        current: u64,
    },
    /// The job that made the change is another runner's by now, or deleted.
    #[error("the lease was lost")]
    LeaseLost,
    /// The operations cannot be applied.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// Whoever decides refused.
    #[error("the change was refused")]
    Refused(E),
    /// The store failed.
    #[error(transparent)]
    Store(StoreError),
}

impl<E> From<StoreError> for PlaybookError<E> {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<E: Send + 'static> Failure for PlaybookError<E> {
    fn store_error(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

macro_rules! select_playbook {
    ($end:literal) => {
        concat!(
            "SELECT namespace, name, state, budget, review, changes, created_ms, updated_ms, \
             (SELECT COUNT(*) FROM playbook_reviews AS r WHERE r.namespace = p.namespace AND r.name = p.name \
             AND r.status = 'pending') FROM playbooks AS p ",
            $end
        )
    };
}
use select_playbook;

impl PlaybookKey {
    fn bound(&self) -> Vec<Value> {
        values![self.namespace.as_str(), self.name.as_str()]
    }
}

fn read_playbook(row: &Row) -> Result<PlaybookRow, StoreError> {
    let playbook = serde_json::from_str(&row.text(2)?).map_err(|_| StoreError::Unreadable("a playbook"))?;
    let budget = row.int_or_null(3)?.map(u32::try_from).transpose();
    Ok(PlaybookRow {
        key: PlaybookKey { namespace: row.text(0)?, name: row.text(1)? },
        playbook: Arc::new(playbook),
        budget: budget.map_err(|_| StoreError::Unreadable("a playbook's budget"))?,
        review: row.int_or_null(4)?.map(|review| review != 0),
        changes: row.count(5)?,
        created_ms: row.int(6)?,
        updated_ms: row.int(7)?,
        pending: row.count(8)?,
    })
}

fn read_delta(row: &Row, index: usize) -> Result<Delta, StoreError> {
    serde_json::from_str(&row.text(index)?).map_err(|_| StoreError::Unreadable("a playbook's delta"))
}

/// Returns a playbook's log up to a version, oldest first.
async fn log_of(conn: &mut Conn, key: &PlaybookKey, until: Option<u64>) -> Result<Vec<Delta>, StoreError> {
    let sql = "SELECT record FROM playbook_deltas WHERE namespace = $1 AND name = $2 \
               AND ($3 IS NULL OR version <= $3) ORDER BY version";
    let mut bound = key.bound();
    bound.extend(values![until]);
    conn.rows(sql, bound).await?.iter().map(|row| read_delta(row, 0)).collect()
}

/// Adds a delta to the log.
async fn insert_delta(conn: &mut Conn, key: &PlaybookKey, delta: &Delta) -> Result<(), StoreError> {
    let sql = "INSERT INTO playbook_deltas (namespace, name, version, at_ms, actor, trajectory, reverts_to, record) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let mut bound = key.bound();
    bound.extend(values![
        delta.version,
        delta.at_ms,
        delta.actor.as_str(),
        delta.source.trajectory.as_deref(),
        reverts_to(delta),
        json(delta)?,
    ]);
    conn.execute(sql, bound).await?;
    mention(conn, key, &delta.source, &delta.operations).await
}

/// Writes a playbook's state.
async fn write_state(conn: &mut Conn, key: &PlaybookKey, playbook: &Playbook, at_ms: i64) -> Result<(), StoreError> {
    let sql = "UPDATE playbooks SET version = $3, state = $4, updated_ms = $5, changes = changes + 1 \
               WHERE namespace = $1 AND name = $2";
    let mut bound = key.bound();
    bound.extend(values![playbook.version, json(playbook)?, at_ms]);
    conn.execute(sql, bound).await?;
    Ok(())
}

/// Notes which trajectories a change names, so that they can be forgotten with it.
async fn mention(
    conn: &mut Conn,
    key: &PlaybookKey,
    source: &Source,
    operations: &[Operation],
) -> Result<(), StoreError> {
    let evidence = operations.iter().filter_map(|operation| match operation {
        Operation::Add { evidence, .. } | Operation::Update { evidence, .. } => Some(evidence),
        _ => None,
    });
    let named = evidence.flatten().map(|evidence| &evidence.trajectory).chain(&source.trajectory);
    let named: std::collections::BTreeSet<&String> = named.collect();
    let bound = named
        .into_iter()
        .flat_map(|trajectory| values![trajectory.as_str(), key.namespace.as_str(), key.name.as_str()]);
    let start = "INSERT INTO playbook_mentions (trajectory, namespace, name)";
    conn.insert_rows(start, 3, "ON CONFLICT (trajectory, namespace, name) DO NOTHING", bound.collect()).await?;
    Ok(())
}

fn reverts_to(delta: &Delta) -> Option<u64> {
    delta.operations.iter().rev().find_map(|operation| match operation {
        Operation::Revert { to } => Some(*to),
        _ => None,
    })
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::Unreadable("a playbook that cannot be written"))
}
