//! Distillation runs: what was asked, how far it is, what came of it.

use recap_core::trajectory::OriginalHash;
use serde_json::Value as Json;

use super::Store;
use super::engine::{Conn, Row};
use super::error::{ChangeError, StoreError};
use super::jobs::{Lease, NewJob, complete, enqueue};
use super::trajectories::parse_cursor;
use super::value::{Value, values};
use super::writer::Write;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DistillationState {
    /// It waits for a worker.
    Queued,
    /// It is at work.
    Running,
    /// It came to its end.
    Done,
    /// It cannot be done.
    Failed,
    /// It was given up.
    Cancelled,
}

impl DistillationState {
    const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Failed, Self::Cancelled];

    /// Returns the name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Tells whether nothing more will happen to it.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    fn of(name: &str) -> Result<Self, StoreError> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == name);
        found.ok_or(StoreError::Unreadable("a distillation's state"))
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct DistillationRow {
    /// Its id.
    pub id: String,
    /// The namespace whose trajectories it reads.
    pub namespace: String,
    /// What was asked.
    pub spec: Json,
    /// Where it stands.
    pub state: DistillationState,
    /// What it does, in a word.
    pub stage: String,
    /// What came of it so far. No content of trajectories, which must be erasable.
    pub report: Json,
    /// The head that it trained.
    pub head: Option<OriginalHash>,
    /// Why it failed.
    pub error: Option<String>,
    /// Who asked for it.
    pub actor: String,
    /// When, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// A page of runs, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct DistillationPage {
    /// The runs.
    pub runs: Vec<DistillationRow>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone)]
pub struct DistillationStep {
    /// The run.
    pub id: String,
    /// What it does, in a word.
    pub stage: String,
    /// What came of it so far.
    pub report: Json,
    /// What it goes on from after a restart; what is stored stays where it is left out.
    pub checkpoint: Option<Vec<u8>>,
    /// The present, in milliseconds since 1970.
    pub now_ms: i64,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct DistillationEnd {
    /// The run.
    pub id: String,
    /// What came of it, and the head that it trained; or why it failed.
    pub result: Result<(Json, Option<OriginalHash>), String>,
    /// The present, in milliseconds since 1970.
    pub now_ms: i64,
}

// A run whose job is dead has failed: nobody works on it until the job is retried.
macro_rules! select_run {
    ($end:literal) => {
        concat!(
            "SELECT d.id, d.namespace, d.spec, CASE WHEN dead.id IS NULL THEN d.state ELSE 'failed' END, \
             CASE WHEN dead.id IS NULL THEN d.stage ELSE 'failed' END, d.report, d.head, \
             COALESCE(d.error, dead.last_error), d.actor, d.created_ms, d.updated_ms FROM distillations d \
             LEFT JOIN jobs dead ON dead.kind = 'distill' AND dead.key = d.id AND dead.namespace = d.namespace \
             AND dead.state = 'dead' AND d.state IN ('queued', 'running') ",
            $end
        )
    };
}

impl Store {
    /// Stores a run and enqueues its job, both or neither.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn add_distillation(&self, row: DistillationRow, job: NewJob) -> Result<(), ChangeError> {
        self.write(Add { row, job }).await
    }

    /// Returns a run.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn distillation(&self, id: &str) -> Result<Option<DistillationRow>, StoreError> {
        let row = self.reader().await?.row(select_run!("WHERE d.id = $1"), values![id]).await?;
        row.as_ref().map(read_run).transpose()
    }

    /// Returns what a run goes on from.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn distillation_checkpoint(&self, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT checkpoint FROM distillations WHERE id = $1";
        let row = self.reader().await?.row(sql, values![id]).await?;
        row.map_or(Ok(None), |row| row.bytes_or_null(0))
    }

    /// Returns the trajectories that a run reads, as it stored them.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn distillation_cases(&self, id: &str) -> Result<Option<Json>, StoreError> {
        let row = self.reader().await?.row("SELECT cases FROM distillations WHERE id = $1", values![id]).await?;
        let text = row.map_or(Ok(None), |row| row.text_or_null(0))?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| StoreError::Unreadable("a distillation"))).transpose()
    }

    /// Stores the trajectories that a run reads: it reads the same ones until it is over.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn keep_distillation_cases(&self, id: &str, cases: &Json) -> Result<(), StoreError> {
        self.write(KeepCases { id: id.to_owned(), cases: cases.to_string() }).await
    }

    /// Returns up to `limit` runs, optionally of one namespace, newest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn list_distillations(
        &self,
        namespace: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DistillationPage, StoreError> {
        let (at, before) = match cursor {
            Some(cursor) => parse_cursor(cursor).map(|(at, id)| (Some(at), Some(id))).ok_or(StoreError::BadCursor)?,
            None => (None, None),
        };
        let sql = select_run!(
            "WHERE ($1 IS NULL OR d.namespace = $1) AND ($2 IS NULL OR (d.created_ms, d.id) < ($2, $3)) \
             ORDER BY d.created_ms DESC, d.id DESC LIMIT $4"
        );
        let rows = self.reader().await?.rows(sql, values![namespace, at, before, limit + 1]).await?;
        let runs: Vec<_> = rows.iter().take(limit).map(read_run).collect::<Result<_, _>>()?;
        let last = runs.last().filter(|_| rows.len() > limit);
        let next_cursor = last.map(|last| format!("{}.{}", last.created_ms, last.id));
        Ok(DistillationPage { runs, next_cursor })
    }

    /// Notes how far a run is. Tells whether it is still wanted: one that was cancelled is left as it is.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn note_distillation(&self, step: DistillationStep) -> Result<bool, StoreError> {
        self.write(step).await
    }

    /// Ends a run and completes its job, both or neither. One that was cancelled stays cancelled.
    ///
    /// # Errors
    /// [`ChangeError::LeaseLost`] where the job is another runner's by now.
    pub async fn end_distillation(&self, end: DistillationEnd, lease: Lease) -> Result<(), ChangeError> {
        self.write(End { end, lease }).await
    }

    /// Gives a run up. Tells whether it was not over yet.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn cancel_distillation(&self, id: &str, now_ms: i64) -> Result<bool, StoreError> {
        self.write(Cancel { id: id.to_owned(), now_ms }).await
    }
}

fn read_run(row: &Row) -> Result<DistillationRow, StoreError> {
    let json = |text: String| serde_json::from_str(&text).map_err(|_| StoreError::Unreadable("a distillation"));
    let head = row.bytes_or_null(6)?.map(|bytes| {
        let bytes = bytes.as_slice().try_into().map_err(|_| StoreError::Unreadable("a head's hash"))?;
        Ok::<_, StoreError>(OriginalHash::from_bytes(bytes))
    });
    Ok(DistillationRow {
        id: row.text(0)?,
        namespace: row.text(1)?,
        spec: json(row.text(2)?)?,
        state: DistillationState::of(&row.text(3)?)?,
        stage: row.text(4)?,
        report: json(row.text(5)?)?,
        head: head.transpose()?,
        error: row.text_or_null(7)?,
        actor: row.text(8)?,
        created_ms: row.int(9)?,
        updated_ms: row.int(10)?,
    })
}

struct Add {
    row: DistillationRow,
    job: NewJob,
}

impl Write for Add {
    type Output = ();
    type Error = ChangeError;

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        let row = &self.row;
        let sql = "INSERT INTO distillations (id, namespace, spec, state, stage, report, actor, created_ms, updated_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)";
        let bound = values![
            row.id.as_str(),
            row.namespace.as_str(),
            row.spec.to_string(),
            row.state.as_str(),
            row.stage.as_str(),
            row.report.to_string(),
            row.actor.as_str(),
            row.created_ms,
        ];
        conn.execute(sql, bound).await?;
        enqueue(conn, &self.job).await?;
        Ok(())
    }
}

impl Write for DistillationStep {
    type Output = bool;
    type Error = StoreError;

    fn weight(&self) -> usize {
        self.checkpoint.as_ref().map_or(0, Vec::len)
    }

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let sql = "UPDATE distillations SET state = 'running', stage = $2, report = $3, \
                   checkpoint = COALESCE($4, checkpoint), updated_ms = $5 \
                   WHERE id = $1 AND state IN ('queued', 'running')";
        let checkpoint = Value::Bytes(self.checkpoint.as_deref().map(Into::into));
        let bound = values![self.id.as_str(), self.stage.as_str(), self.report.to_string(), checkpoint, self.now_ms];
        Ok(conn.execute(sql, bound).await? > 0)
    }
}

struct KeepCases {
    id: String,
    cases: String,
}

impl Write for KeepCases {
    type Output = ();
    type Error = StoreError;

    fn weight(&self) -> usize {
        self.cases.len()
    }

    async fn run(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let sql = "UPDATE distillations SET cases = $2 WHERE id = $1 AND state IN ('queued', 'running')";
        conn.execute(sql, values![self.id.as_str(), self.cases.as_str()]).await?;
        Ok(())
    }
}

struct End {
    end: DistillationEnd,
    lease: Lease,
}

impl Write for End {
    type Output = ();
    type Error = ChangeError;

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        let DistillationEnd { id, result, now_ms } = &self.end;
        let (state, report, head, error) = match result {
            Ok((report, head)) => ("done", Some(report.to_string()), head.as_ref(), None),
            Err(why) => ("failed", None, None, Some(why.as_str())),
        };
        let sql = "UPDATE distillations SET state = $2, stage = $2, report = COALESCE($3, report), head = $4, \
                   error = $5, checkpoint = NULL, cases = NULL, \
                   updated_ms = $6 WHERE id = $1 AND state IN ('queued', 'running')";
        let head = Value::Bytes(head.map(|hash| hash.as_bytes().as_slice().into()));
        conn.execute(sql, values![id.as_str(), state, report, head, error, *now_ms]).await?;
        if complete(conn, &self.lease, *now_ms).await? { Ok(()) } else { Err(ChangeError::LeaseLost) }
    }
}

struct Cancel {
    id: String,
    now_ms: i64,
}

impl Write for Cancel {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        let sql = "UPDATE distillations SET state = 'cancelled', stage = 'cancelled', checkpoint = NULL, cases = NULL, \
                   updated_ms = $2 WHERE id = $1 AND state IN ('queued', 'running')";
        Ok(conn.execute(sql, values![self.id.as_str(), self.now_ms]).await? > 0)
    }
}
