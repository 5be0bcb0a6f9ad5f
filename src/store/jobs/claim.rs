//! A lease and its ends: claimed, kept, done, failed, given back.

use serde_json::Value as Json;

use super::super::Store;
use super::super::dialect::where_id_taken;
use super::super::engine::{Conn, Row};
use super::super::error::StoreError;
use super::super::value::{Value, values};
use super::super::writer::Write;
use super::list::JobState;
use super::{complete, wakeups};

/// The most characters of an error that are kept.
const MAX_ERROR_CHARS: usize = 1000;

/// The right to finish a job. It ends when another runner claims the job, which it may after the lease's time,
/// and when the job is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job's id.
    pub job: String,
    /// Unique for each claim.
    pub token: String,
}

/// A claimed job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The job's id.
    pub id: String,
    /// What is to be done.
    pub kind: String,
    /// What it is to be done to.
    pub key: String,
    /// The trajectory that it is deleted with.
    pub trajectory: Option<String>,
    /// The namespace that it works for.
    pub namespace: String,
    /// What was said when it was last enqueued.
    pub payload: Json,
    /// Which attempt this is, from 1.
    pub attempts: u32,
}

/// What a claim took.
#[derive(Debug, Clone, PartialEq)]
pub enum Claimed {
    /// A job to be run.
    Job(Job),
    /// A job whose last attempt never came back. It is dead now.
    Dead(Job),
}

/// A claim of one job.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// The kinds that are taken.
    pub kinds: Vec<&'static str>,
    /// The token of the lease: unique for each claim.
    pub token: String,
    /// How long the lease holds, in milliseconds.
    pub lease_ms: u64,
    /// Attempts after which a job that never came back is dead.
    pub max_attempts: u32,
    /// The present, in milliseconds since 1970.
    pub now_ms: i64,
}

impl Store {
    /// Claims the job that is due the longest, if there is one: it waits, or its lease ran out.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn claim_job(&self, claim: ClaimRequest) -> Result<Option<Claimed>, StoreError> {
        self.write(claim).await
    }

    /// Returns when the next job of these kinds is due, in milliseconds since 1970.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn next_job_due(&self, kinds: &[&str]) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT MIN(COALESCE(lease_until_ms, run_after_ms)) FROM jobs \
                   WHERE state <> 'dead' AND REPLACE($1, ',' || kind || ',', '') <> $1";
        let row = self.reader().await?.row(sql, values![between_commas(kinds)]).await?;
        row.map_or(Ok(None), |row| row.int_or_null(0))
    }

    /// Keeps a job until a later time, in milliseconds since 1970. Tells whether the lease is still the caller's.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn extend_lease(&self, lease: Lease, until_ms: i64) -> Result<bool, StoreError> {
        self.write(Extend { lease, until_ms }).await
    }

    /// Completes a job whose effect is stored. Tells whether the lease was still the caller's.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn complete_job(&self, lease: Lease, now_ms: i64) -> Result<bool, StoreError> {
        self.write(Complete { lease, now_ms }).await
    }

    /// Notes that a job failed: it waits until `retry_at_ms`, or is dead without one. If it was asked for again
    /// while it ran, it waits in any case. Returns its state, and `None` if the lease was no longer the caller's.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn fail_job(
        &self,
        lease: Lease,
        why: &str,
        retry_at_ms: Option<i64>,
        now_ms: i64,
    ) -> Result<Option<JobState>, StoreError> {
        let why = why.chars().filter(|&char| char != '\0').take(MAX_ERROR_CHARS).collect();
        self.write(Fail { lease, why, retry_at_ms, now_ms }).await
    }

    /// Gives a job back whose attempt was cut off by no fault of its own: it is due, and the attempt does not
    /// count. Tells whether the lease was still the caller's.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn release_job(&self, lease: Lease, now_ms: i64) -> Result<bool, StoreError> {
        self.write(Release { lease, now_ms }).await
    }
}

/// Returns names in a form in which SQL can look for one of them: `,a,b,`.
fn between_commas(names: &[&str]) -> String {
    format!(",{},", names.join(","))
}

impl Lease {
    fn bound(&self) -> Vec<Value> {
        values![self.job.as_str(), self.token.as_str()]
    }
}

impl Job {
    /// Returns the lease under a claim's token.
    #[must_use]
    pub fn lease(&self, token: String) -> Lease {
        Lease { job: self.id.clone(), token }
    }
}

impl Write for ClaimRequest {
    type Output = Option<Claimed>;
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<Option<Claimed>, StoreError> {
        let until_ms = self.now_ms.saturating_add_unsigned(self.lease_ms);
        let bound =
            values![self.now_ms, between_commas(&self.kinds), self.token.as_str(), until_ms, self.max_attempts,];
        // The right sides see the row as it was. One that was asked for again meanwhile gets another attempt.
        let sql = where_id_taken!(
            conn,
            "UPDATE jobs SET \
             state = CASE WHEN state = 'running' AND again = 0 AND attempts >= $5 THEN 'dead' ELSE 'running' END, \
             lease_token = CASE WHEN state = 'running' AND again = 0 AND attempts >= $5 THEN NULL ELSE $3 END, \
             lease_until_ms = CASE WHEN state = 'running' AND again = 0 AND attempts >= $5 THEN NULL ELSE $4 END, \
             attempts = attempts + CASE WHEN state = 'running' AND again = 0 AND attempts >= $5 THEN 0 ELSE 1 END, \
             last_error = CASE state WHEN 'running' THEN 'the lease ran out' ELSE last_error END, \
             again = 0, updated_ms = $1 WHERE ",
            "SELECT id FROM jobs WHERE state <> 'dead' AND COALESCE(lease_until_ms, run_after_ms) <= $1 \
             AND REPLACE($2, ',' || kind || ',', '') <> $2 \
             ORDER BY COALESCE(lease_until_ms, run_after_ms), id LIMIT 1",
            " RETURNING id, kind, key, trajectory_id, namespace, payload, attempts, state"
        );
        conn.row(sql, bound).await?.as_ref().map(read_claimed).transpose()
    }
}

fn read_claimed(row: &Row) -> Result<Claimed, StoreError> {
    let job = Job {
        id: row.text(0)?,
        kind: row.text(1)?,
        key: row.text(2)?,
        trajectory: row.text_or_null(3)?,
        namespace: row.text(4)?,
        payload: serde_json::from_str(&row.text(5)?).map_err(|_| StoreError::Unreadable("a job's payload"))?,
        attempts: u32::try_from(row.int(6)?).map_err(|_| StoreError::Unreadable("a job's attempts"))?,
    };
    Ok(match JobState::of(&row.text(7)?)? {
        JobState::Dead => Claimed::Dead(job),
        JobState::Ready | JobState::Running => Claimed::Job(job),
    })
}

struct Extend {
    lease: Lease,
    until_ms: i64,
}

impl Write for Extend {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let sql = "UPDATE jobs SET lease_until_ms = $3 WHERE id = $1 AND lease_token = $2";
        let mut bound = self.lease.bound();
        bound.extend(values![self.until_ms]);
        Ok(conn.execute(sql, bound).await? > 0)
    }
}

struct Complete {
    lease: Lease,
    now_ms: i64,
}

impl Write for Complete {
    type Output = bool;
    type Error = StoreError;

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        complete(conn, &self.lease, self.now_ms).await
    }
}

struct Fail {
    lease: Lease,
    why: String,
    retry_at_ms: Option<i64>,
    now_ms: i64,
}

impl Write for Fail {
    type Output = Option<JobState>;
    type Error = StoreError;

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<Option<JobState>, StoreError> {
        let sql = "UPDATE jobs SET \
                   state = CASE WHEN $4 IS NULL AND again = 0 THEN 'dead' ELSE 'ready' END, \
                   attempts = CASE WHEN $4 IS NULL AND again = 1 THEN 0 ELSE attempts END, \
                   run_after_ms = COALESCE($4, run_after_ms), \
                   again = 0, lease_token = NULL, lease_until_ms = NULL, last_error = $3, updated_ms = $5 \
                   WHERE id = $1 AND lease_token = $2 RETURNING state";
        let mut bound = self.lease.bound();
        bound.extend(values![self.why.as_str(), self.retry_at_ms, self.now_ms]);
        let Some(row) = conn.row(sql, bound).await? else {
            return Ok(None);
        };
        let state = JobState::of(&row.text(0)?)?;
        if state == JobState::Ready {
            wakeups::notify(conn).await?;
        }
        Ok(Some(state))
    }
}

struct Release {
    lease: Lease,
    now_ms: i64,
}

impl Write for Release {
    type Output = bool;
    type Error = StoreError;

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let sql = "UPDATE jobs SET state = 'ready', again = 0, attempts = attempts - 1, run_after_ms = $3, \
                   lease_token = NULL, lease_until_ms = NULL, updated_ms = $3 \
                   WHERE id = $1 AND lease_token = $2";
        let mut bound = self.lease.bound();
        bound.extend(values![self.now_ms]);
        let held = conn.execute(sql, bound).await? > 0;
        if held {
            wakeups::notify(conn).await?;
        }
        Ok(held)
    }
}
