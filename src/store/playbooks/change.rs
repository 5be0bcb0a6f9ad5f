//! The one write that changes what a playbook holds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use recap_core::playbook::{BulletId, Delta, Operation, Playbook, Source, replay};

use super::super::Store;
use super::super::dialect;
use super::super::engine::Conn;
use super::super::error::{ChangeError, StoreError};
use super::super::jobs::{Lease, complete};
use super::super::record::TrajectoryRow;
use super::super::trajectories::lock_trajectory;
use super::super::value::values;
use super::super::writer::Write;
use super::lessons::{PlaybookLesson, insert_lesson};
use super::reviews::{PlaybookReview, Record, insert_review, pending_review, settle, words_under};
use super::{
    PlaybookError, PlaybookKey, PlaybookRow, insert_delta, json, log_of, read_playbook, run, select_playbook,
    write_state,
};

/// Waiting changes that are read for a decision.
const MOST_WAITING_READ: i64 = 200;

/// What a decision rests on: all of it as it is inside the transaction.
#[derive(Debug, Clone)]
pub struct PlaybookNow {
    /// The playbook; version 0 where it was just made.
    pub row: PlaybookRow,
    /// The trajectory that the change names as stored.
    pub run: Option<TrajectoryRow>,
    /// Earlier deltas that name the same trajectory as their source, oldest first, without those that were reverted.
    pub of_run: Vec<Delta>,
    /// Bullets that were merged since the first of these, with those that took over. Read only where one of these counts
    /// for a bullet that is gone.
    pub heirs: BTreeMap<BulletId, BulletId>,
    /// The waiting change that is to be accepted.
    pub review: Option<PlaybookReview>,
    /// Words of new bullets that wait, those of the newest changes first; empty where the change does not ask for them.
    pub waiting: Vec<Arc<str>>,
}

impl PlaybookNow {
    /// Returns the bullet that has by now what earlier deltas of the run counted for one.
    #[must_use]
    pub fn heir<'a>(&'a self, id: &'a BulletId) -> &'a BulletId {
        self.heirs.get(id).unwrap_or(id)
    }
}

/// What is to be done. Without any operation nothing is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaybookDecision {
    /// Operations that are applied, as [`recap_core::playbook::resolve`] made them.
    pub apply: Vec<Operation>,
    /// Operations that wait for somebody's word, as they were asked for.
    pub wait: Vec<Operation>,
    /// Why they wait.
    pub reasons: Vec<String>,
    /// What is neither applied nor waits.
    pub left_out: LeftOut,
}

/// How many operations of those that were found are left out, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The budget has no room for them.
    pub over_budget: usize,
    /// The bullets that they change have other words by now.
    pub outdated: usize,
    /// Their words are said already.
    pub twin: usize,
    /// They could not be used as they were written.
    pub refused: usize,
    /// Too many changes wait for review already.
    pub reviews_full: usize,
}

impl PlaybookDecision {
    /// Nothing is to be done.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Operations are applied.
    #[must_use]
    pub fn apply(operations: Vec<Operation>) -> Self {
        Self { apply: operations, ..Self::default() }
    }

    /// Operations wait.
    #[must_use]
    pub fn wait(operations: Vec<Operation>, reasons: Vec<String>) -> Self {
        Self { wait: operations, reasons, ..Self::default() }
    }
}

/// A change of a playbook. `decide` may be called more than once: it is pure.
pub struct PlaybookChange<E> {
    /// Which playbook.
    pub key: PlaybookKey,
    /// Whether it is made where it is not there.
    pub create: bool,
    /// The version that the change was made for; another one refuses it.
    pub expected_version: Option<u64>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who.
    pub actor: String,
    /// On what ground; that of the accepted change where one is.
    pub source: Source,
    /// A trajectory that must be there; its deletion waits for the change or comes before it.
    pub run: Option<String>,
    /// The waiting change that is accepted by this.
    pub accepts: Option<String>,
    /// The id of what will wait, if anything does.
    pub review_id: String,
    /// The job that is completed by the change.
    pub job: Option<Lease>,
    /// The recorded run that was learned from, noted with the change.
    pub lesson: Option<PlaybookLesson>,
    /// Whether the decision is told which new bullets wait.
    pub reads_waiting: bool,
    /// What is to be done to the playbook as it is.
    #[expect(clippy::type_complexity, reason = "a function and its error")]
    pub decide: Arc<dyn Fn(&PlaybookNow) -> Result<PlaybookDecision, E> + Send + Sync>,
}

impl<E> fmt::Debug for PlaybookChange<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaybookChange").field("key", &self.key).field("source", &self.source).finish_non_exhaustive()
    }
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybookChanged {
    /// The playbook as it was.
    pub before: Arc<Playbook>,
    /// The playbook as it is.
    pub row: PlaybookRow,
    /// What was applied.
    pub applied: Option<Delta>,
    /// The id of what waits, and why it does.
    pub waits: Option<(String, Vec<String>)>,
    /// What the decision left out.
    pub left_out: LeftOut,
}

impl Store {
    /// Changes a playbook: all of it or nothing.
    ///
    /// # Errors
    /// [`PlaybookError`]
    pub async fn change_playbook<E: Send + 'static>(
        &self,
        change: PlaybookChange<E>,
    ) -> Result<PlaybookChanged, PlaybookError<E>> {
        self.write(change).await
    }
}

impl<E: Send + 'static> Write for PlaybookChange<E> {
    type Output = PlaybookChanged;
    type Error = PlaybookError<E>;

    fn weight(&self) -> usize {
        // A state of the default budget.
        1 << 16
    }

    fn wakes_runners(&self) -> bool {
        self.job.is_some()
    }

    async fn run(&self, conn: &mut Conn) -> Result<PlaybookChanged, PlaybookError<E>> {
        let now = self.now(conn).await?;
        let decision = (self.decide)(&now).map_err(PlaybookError::Refused)?;
        let PlaybookNow { mut row, review, .. } = now;
        let before = Arc::clone(&row.playbook);
        let source = review.as_ref().map_or(&self.source, |review| &review.source);
        let waits = self.wait(conn, &before, &decision, source).await?;
        if waits.is_some() {
            (row.pending, row.changes) = (row.pending + 1, row.changes + 1);
        }
        let left_out = decision.left_out;
        let applied = self.apply(conn, &mut row, decision.apply, source).await?;
        if let Some(review) = &review {
            settle(conn, &review.id, "accepted", (self.at_ms, &self.actor), Some(row.playbook.version)).await?;
            row.pending = row.pending.saturating_sub(1);
        }
        if let Some(lesson) = &self.lesson {
            insert_lesson(conn, &self.key, lesson, self.at_ms).await?;
        }
        if let Some(job) = &self.job
            && !complete(conn, job, self.at_ms).await?
        {
            return Err(PlaybookError::LeaseLost);
        }
        Ok(PlaybookChanged { before, row, applied, waits, left_out })
    }
}

impl<E> PlaybookChange<E> {
    /// Locks the trajectory, then the playbook, as a deletion does, and reads what a decision rests on.
    async fn now(&self, conn: &mut Conn) -> Result<PlaybookNow, PlaybookError<E>> {
        let run = match &self.run {
            Some(id) => Some(lock_trajectory(conn, id).await.map_err(|error| match error {
                ChangeError::Store(error) => PlaybookError::Store(error),
                _ => PlaybookError::NoTrajectory,
            })?),
            None => None,
        };
        let row = self.locked(conn).await?;
        let current = row.playbook.version;
        if self.expected_version.is_some_and(|expected| expected != current) {
            return Err(PlaybookError::Version { current });
        }
        let review = match &self.accepts {
            Some(id) => Some(pending_review(conn, &self.key, id).await?.ok_or(PlaybookError::NoReview)?),
            None => None,
        };
        let (of_run, heirs) = match &self.run {
            Some(id) => run::of(conn, &self.key, id, &row.playbook).await?,
            None => (Vec::new(), BTreeMap::new()),
        };
        let waiting =
            if self.reads_waiting && row.pending > 0 { waiting_words(conn, &self.key).await? } else { Vec::new() };
        Ok(PlaybookNow { row, run, of_run, heirs, review, waiting })
    }

    async fn locked(&self, conn: &mut Conn) -> Result<PlaybookRow, PlaybookError<E>> {
        if self.create {
            let sql = "INSERT INTO playbooks (namespace, name, version, state, changes, created_ms, updated_ms) \
                       VALUES ($1, $2, 0, $3, 0, $4, $4) ON CONFLICT (namespace, name) DO NOTHING";
            let mut bound = self.key.bound();
            bound.extend(values![json(&Playbook::default())?, self.at_ms]);
            conn.execute(sql, bound).await?;
        }
        lock_playbook(conn, &self.key).await?.ok_or(PlaybookError::NoPlaybook)
    }

    async fn wait(
        &self,
        conn: &mut Conn,
        playbook: &Playbook,
        decision: &PlaybookDecision,
        source: &Source,
    ) -> Result<Option<(String, Vec<String>)>, StoreError> {
        if decision.wait.is_empty() {
            return Ok(None);
        }
        let review = PlaybookReview {
            id: self.review_id.clone(),
            at_ms: self.at_ms,
            actor: self.actor.clone(),
            source: source.clone(),
            operations: decision.wait.clone(),
            reasons: decision.reasons.clone(),
            words: words_under(playbook, &decision.wait),
        };
        insert_review(conn, &self.key, &review).await?;
        Ok(Some((review.id, review.reasons)))
    }

    async fn apply(
        &self,
        conn: &mut Conn,
        row: &mut PlaybookRow,
        operations: Vec<Operation>,
        source: &Source,
    ) -> Result<Option<Delta>, PlaybookError<E>> {
        if operations.is_empty() {
            return Ok(None);
        }
        let delta = Delta {
            version: row.playbook.version + 1,
            at_ms: self.at_ms,
            actor: self.actor.clone(),
            source: source.clone(),
            operations,
        };
        let earlier = earlier(conn, &self.key, &delta, row.playbook.version).await?;
        let mut playbook = Playbook::clone(&row.playbook);
        playbook.apply(&delta, |_| earlier.clone())?;
        insert_delta(conn, &self.key, &delta).await?;
        write_state(conn, &self.key, &playbook, self.at_ms).await?;
        row.playbook = Arc::new(playbook);
        row.updated_ms = self.at_ms;
        row.changes += 1;
        Ok(Some(delta))
    }
}

/// Reads a playbook that the transaction is about to change; on PostgreSQL no other one can until it ends.
pub(super) async fn lock_playbook(conn: &mut Conn, key: &PlaybookKey) -> Result<Option<PlaybookRow>, StoreError> {
    let sql = dialect::text(
        conn,
        select_playbook!("WHERE namespace = $1 AND name = $2"),
        select_playbook!("WHERE namespace = $1 AND name = $2 FOR UPDATE"),
    );
    conn.row(sql, key.bound()).await?.as_ref().map(read_playbook).transpose()
}

/// Returns the version that a delta goes back to, if it does and there was one.
async fn earlier(
    conn: &mut Conn,
    key: &PlaybookKey,
    delta: &Delta,
    current: u64,
) -> Result<Option<Playbook>, StoreError> {
    let Some(to) = super::reverts_to(delta).filter(|to| *to <= current) else { return Ok(None) };
    let log = log_of(conn, key, Some(to)).await?;
    replay(&log, Some(to)).map(Some).map_err(|_| StoreError::Unreadable("a playbook's log"))
}

/// Returns the words of the new bullets that wait.
async fn waiting_words(conn: &mut Conn, key: &PlaybookKey) -> Result<Vec<Arc<str>>, StoreError> {
    let sql = "SELECT record FROM playbook_reviews WHERE namespace = $1 AND name = $2 AND status = 'pending' \
               ORDER BY at_ms DESC, id DESC LIMIT $3";
    let mut bound = key.bound();
    bound.extend(values![MOST_WAITING_READ]);
    let mut words = Vec::new();
    for row in conn.rows(sql, bound).await? {
        let record: Record = serde_json::from_str(&row.text(0)?)
            .map_err(|_| StoreError::Unreadable("a waiting change of a playbook"))?;
        words.extend(record.operations.into_iter().filter_map(|operation| match operation {
            Operation::Add { content, .. } => Some(content),
            _ => None,
        }));
    }
    Ok(words)
}
