//! The queue as an operator sees it.

use serde::{Deserialize, Serialize};

use super::super::Store;
use super::super::engine::{Conn, Row};
use super::super::error::StoreError;
use super::super::trajectories::parse_cursor;
use super::super::value::values;
use super::super::writer::Write;
use super::wakeups;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// It waits, perhaps for a later time.
    Ready,
    /// A runner holds a lease on it, which may have run out.
    Running,
    /// It failed for good; nobody runs it until it is retried or enqueued again.
    Dead,
}

impl JobState {
    /// Returns the name on the wire and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }

    pub(super) fn of(name: &str) -> Result<Self, StoreError> {
        [Self::Ready, Self::Running, Self::Dead]
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or(StoreError::Unreadable("a job's state"))
    }
}

/// Which jobs are listed; empty fields let all through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// Exactly this namespace.
    pub namespace: Option<String>,
    /// Exactly this kind.
    pub kind: Option<String>,
    /// In this state.
    pub state: Option<JobState>,
}

/// A job without its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its id.
    pub id: String,
    /// What is to be done.
    pub kind: String,
    /// What it is to be done to.
    pub key: String,
    /// The trajectory that it is deleted with.
    pub trajectory: Option<String>,
    /// The namespace that it works for.
    pub namespace: String,
    /// Where it stands.
    pub state: JobState,
    /// Whether it was asked for again while it was running.
    pub again: bool,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When it is due, in milliseconds since 1970.
    pub run_after_ms: i64,
    /// Until when its runner holds it, in milliseconds since 1970.
    pub lease_until_ms: Option<i64>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobRow>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// How many jobs there are. Those that are done are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct JobCounts {
    /// Waiting, perhaps for a later time.
    pub ready: u64,
    /// Held by a runner.
    pub running: u64,
    /// Failed for good.
    pub dead: u64,
}

macro_rules! select_job {
    ($end:literal) => {
        concat!(
            "SELECT id, kind, key, trajectory_id, namespace, state, again, attempts, run_after_ms, lease_until_ms, ",
            "last_error, created_ms, updated_ms FROM jobs ",
            $end
        )
    };
}

impl Store {
    /// Returns up to `limit` jobs, newest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn list_jobs(
        &self,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage, StoreError> {
        let (before_ms, before_id) = match cursor {
            Some(cursor) => parse_cursor(cursor).map(|(at, id)| (Some(at), Some(id))).ok_or(StoreError::BadCursor)?,
            None => (None, None),
        };
        let sql = select_job!(
            "WHERE ($1 IS NULL OR namespace = $1) AND ($2 IS NULL OR kind = $2) AND ($3 IS NULL OR state = $3) \
             AND ($4 IS NULL OR (created_ms, id) < ($4, $5)) ORDER BY created_ms DESC, id DESC LIMIT $6"
        );
        let bound = values![
            filter.namespace.as_deref(),
            filter.kind.as_deref(),
            filter.state.map(JobState::as_str),
            before_ms,
            before_id,
            limit + 1,
        ];
        let rows = self.reader().await?.rows(sql, bound).await?;
        let more = rows.len() > limit;
        let jobs: Vec<_> = rows.iter().take(limit).map(read_job).collect::<Result<_, _>>()?;
        let next_cursor = jobs.last().filter(|_| more).map(|last| format!("{}.{}", last.created_ms, last.id));
        Ok(JobPage { jobs, next_cursor })
    }

    /// Returns the job of a namespace, kind and key; `None` where it is done or was never asked for.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn job(&self, namespace: &str, kind: &str, key: &str) -> Result<Option<JobRow>, StoreError> {
        let sql = select_job!("WHERE namespace = $1 AND kind = $2 AND key = $3");
        let row = self.reader().await?.row(sql, values![namespace, kind, key]).await?;
        row.as_ref().map(read_job).transpose()
    }

    /// Returns how many jobs stand where, of all namespaces.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn count_jobs(&self) -> Result<JobCounts, StoreError> {
        let mut counts = JobCounts::default();
        for row in self.reader().await?.rows("SELECT state, COUNT(*) FROM jobs GROUP BY state", vec![]).await? {
            let count = match JobState::of(&row.text(0)?)? {
                JobState::Ready => &mut counts.ready,
                JobState::Running => &mut counts.running,
                JobState::Dead => &mut counts.dead,
            };
            *count = row.count(1)?;
        }
        Ok(counts)
    }

    /// Makes a job that is dead or waits due at once, with all its attempts before it; one that runs stays as it
    /// is. Returns the job as it now is; `None` if there is none with this id, or not in the namespace, if one
    /// is given.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn retry_job(
        &self,
        id: &str,
        namespace: Option<&str>,
        now_ms: i64,
    ) -> Result<Option<JobRow>, StoreError> {
        self.write(Retry { id: id.to_owned(), namespace: namespace.map(str::to_owned), now_ms }).await
    }
}

fn read_job(row: &Row) -> Result<JobRow, StoreError> {
    Ok(JobRow {
        id: row.text(0)?,
        kind: row.text(1)?,
        key: row.text(2)?,
        trajectory: row.text_or_null(3)?,
        namespace: row.text(4)?,
        state: JobState::of(&row.text(5)?)?,
        again: row.int(6)? != 0,
        attempts: u32::try_from(row.int(7)?).map_err(|_| StoreError::Unreadable("a job's attempts"))?,
        run_after_ms: row.int(8)?,
        lease_until_ms: row.int_or_null(9)?,
        last_error: row.text_or_null(10)?,
        created_ms: row.int(11)?,
        updated_ms: row.int(12)?,
    })
}

struct Retry {
    id: String,
    namespace: Option<String>,
    now_ms: i64,
}

impl Write for Retry {
    type Output = Option<JobRow>;
    type Error = StoreError;

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<Option<JobRow>, StoreError> {
        let sql = "UPDATE jobs SET state = 'ready', attempts = 0, run_after_ms = $3, updated_ms = $3 \
                   WHERE id = $1 AND ($2 IS NULL OR namespace = $2) AND state <> 'running'";
        let bound = values![self.id.as_str(), self.namespace.as_deref(), self.now_ms];
        if conn.execute(sql, bound).await? > 0 {
            wakeups::notify(conn).await?;
        }
        let sql = select_job!("WHERE id = $1 AND ($2 IS NULL OR namespace = $2)");
        let row = conn.row(sql, values![self.id.as_str(), self.namespace.as_deref()]).await?;
        row.as_ref().map(read_job).transpose()
    }
}
