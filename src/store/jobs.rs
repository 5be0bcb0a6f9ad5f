//! Leased background work: a job is enqueued with the write that makes it necessary, claimed by one runner at a
//! time, and done in the same transaction as its effect.
//!
//! One row stands for one (namespace, kind, key): work that is asked for many times is done once. A claim gives
//! a lease with a token; whoever lost the lease to another runner can change nothing any more.

mod claim;
mod list;
#[cfg(test)]
mod tests;
mod wakeups;

use serde_json::Value as Json;

use super::Store;
use super::engine::Conn;
use super::error::{ChangeError, StoreError};
use super::value::values;
use super::writer::Write;

pub use claim::{ClaimRequest, Claimed, Job, Lease};
pub use list::{JobCounts, JobFilter, JobPage, JobRow, JobState};

/// Work to be done in the background.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// A new unique id.
    pub id: String,
    /// What is to be done: the name of a handler. Holds no comma.
    pub kind: String,
    /// What it is to be done to. Within a namespace and kind there is one job for a key.
    pub key: String,
    /// The trajectory that it is deleted with.
    pub trajectory: Option<String>,
    /// The namespace that it works for.
    pub namespace: String,
    /// What the handler is told.
    pub payload: Json,
    /// When it is due, in milliseconds since 1970.
    pub run_after_ms: i64,
    /// The present, in milliseconds since 1970.
    pub now_ms: i64,
}

/// What became of a job that was enqueued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is a new job.
    Added,
    /// The job with this key waits, or was dead and waits again; it has the new payload.
    Merged,
    /// The job with this key is running and will run once more, with the new payload.
    Again,
}

impl Store {
    /// Enqueues a job and wakes the runners.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`] when it names a trajectory that is not there.
    pub async fn enqueue_job(&self, job: NewJob) -> Result<Enqueued, ChangeError> {
        self.write(job).await
    }
}

impl Write for NewJob {
    type Output = Enqueued;
    type Error = ChangeError;

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<Enqueued, ChangeError> {
        enqueue(conn, self).await
    }
}

/// Enqueues a job in the caller's transaction. The caller's [`Write::wakes_runners`] must be true.
///
/// A job that waits and has not failed yet becomes due at the earlier of both times; one that failed keeps its
/// time, so that new requests do not outrun the backoff. One that is dead starts over.
///
/// # Errors
/// [`ChangeError::NoTrajectory`] when it names a trajectory that is not there.
pub(super) async fn enqueue(conn: &mut Conn, job: &NewJob) -> Result<Enqueued, ChangeError> {
    let sql = "INSERT INTO jobs (id, kind, key, trajectory_id, namespace, payload, state, again, attempts, \
               run_after_ms, created_ms, updated_ms) \
               SELECT $1, $2, $3, $4, $5, $6, 'ready', 0, 0, $7, $8, $8 \
               WHERE $4 IS NULL OR EXISTS (SELECT 1 FROM trajectories WHERE id = $4) \
               ON CONFLICT (namespace, kind, key) DO UPDATE SET \
               payload = excluded.payload, trajectory_id = excluded.trajectory_id, \
               updated_ms = excluded.updated_ms, \
               state = CASE jobs.state WHEN 'running' THEN 'running' ELSE 'ready' END, \
               again = CASE jobs.state WHEN 'running' THEN 1 ELSE 0 END, \
               attempts = CASE jobs.state WHEN 'dead' THEN 0 ELSE jobs.attempts END, \
               run_after_ms = CASE \
                   WHEN jobs.state = 'dead' OR (jobs.state = 'running' AND jobs.again = 0) THEN excluded.run_after_ms \
                   WHEN jobs.state = 'ready' AND jobs.attempts > 0 THEN jobs.run_after_ms \
                   WHEN jobs.run_after_ms < excluded.run_after_ms THEN jobs.run_after_ms \
                   ELSE excluded.run_after_ms END \
               RETURNING id, state, run_after_ms";
    let bound = values![
        job.id.as_str(),
        job.kind.as_str(),
        job.key.as_str(),
        job.trajectory.as_deref(),
        job.namespace.as_str(),
        job.payload.to_string(),
        job.run_after_ms,
        job.now_ms,
    ];
    let row = conn.row(sql, bound).await?.ok_or(ChangeError::NoTrajectory)?;
    if row.text(1)? == JobState::Running.as_str() {
        return Ok(Enqueued::Again);
    }
    if row.int(2)? == job.run_after_ms {
        wakeups::notify(conn).await?;
    }
    Ok(if row.text(0)? == job.id { Enqueued::Added } else { Enqueued::Merged })
}

/// Completes a job in the transaction of its effect. Tells whether the lease was still the caller's; if it was
/// not, the effect must be undone by an error. The effect comes first: it locks the trajectory before the job,
/// as a deletion does. A job that was asked for again waits again: the caller's [`Write::wakes_runners`] must be
/// true.
///
/// # Errors
/// Fails when the store does.
pub(super) async fn complete(conn: &mut Conn, lease: &Lease, now_ms: i64) -> Result<bool, StoreError> {
    let sql = "DELETE FROM jobs WHERE id = $1 AND lease_token = $2 AND again = 0";
    if conn.execute(sql, values![lease.job.as_str(), lease.token.as_str()]).await? > 0 {
        return Ok(true);
    }
    let sql = "UPDATE jobs SET state = 'ready', again = 0, attempts = 0, last_error = NULL, \
               lease_token = NULL, lease_until_ms = NULL, updated_ms = $3 \
               WHERE id = $1 AND lease_token = $2";
    let held = conn.execute(sql, values![lease.job.as_str(), lease.token.as_str(), now_ms]).await? > 0;
    if held {
        wakeups::notify(conn).await?;
    }
    Ok(held)
}
