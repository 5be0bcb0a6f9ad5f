//! A tuning run's record.

use serde::{Deserialize, Serialize};

use super::super::Store;
use super::super::dialect::for_update;
use super::super::engine::{Conn, Row};
use super::super::error::{ChangeError, StoreError};
use super::super::jobs::{NewJob, enqueue};
use super::super::trajectories::parse_cursor;
use super::super::value::{Value, values};
use super::super::writer::Write;
use super::named;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TuningState {
    /// It waits for its turn.
    Queued,
    /// It is in work.
    Running,
    /// A cap is reached; with larger ones it goes on.
    Paused,
    /// All was done.
    Done,
    /// It cannot go on as it is.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

const STATES: [(TuningState, &str); 6] = [
    (TuningState::Queued, "queued"),
    (TuningState::Running, "running"),
    (TuningState::Paused, "paused"),
    (TuningState::Done, "done"),
    (TuningState::Failed, "failed"),
    (TuningState::Cancelled, "cancelled"),
];

/// Where a run stands that nobody works on and that is not done.
const RESTING: [TuningState; 4] =
    [TuningState::Queued, TuningState::Paused, TuningState::Failed, TuningState::Cancelled];
/// Where a run stands that is not done.
const UNDONE: [TuningState; 5] =
    [TuningState::Queued, TuningState::Running, TuningState::Paused, TuningState::Failed, TuningState::Cancelled];

impl TuningState {
    /// Returns the name on the wire and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        STATES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    /// Tells whether somebody works on it, or will.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TuningStage {
    /// Its cases are found and divided.
    Collect,
    /// The champion is audited on training tasks.
    Audit,
    /// Candidates are proposed and checked.
    Propose,
    /// Candidates are scored on training tasks.
    Score,
    /// Champion and best candidate are scored on held-out tasks, and the gate judges.
    Judge,
}

const STAGES: [(TuningStage, &str); 5] = [
    (TuningStage::Collect, "collect"),
    (TuningStage::Audit, "audit"),
    (TuningStage::Propose, "propose"),
    (TuningStage::Score, "score"),
    (TuningStage::Judge, "judge"),
];

impl TuningStage {
    /// Returns the name on the wire and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        STAGES.iter().find(|(stage, _)| *stage == self).map_or("", |(_, name)| name)
    }
}

/// What a step took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TuningSpent {
    /// Tokens that models read and wrote.
    pub tokens: u64,
    /// Millionths of a US dollar, as far as prices are known.
    pub cost_usd_micros: i64,
    /// Whether a model has no price.
    pub is_unpriced: bool,
    /// Time in work, in milliseconds.
    pub worked_ms: u64,
}

/// A stored run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuningRun {
    /// Its id.
    pub id: String,
    /// The namespace of its cases; `None` for all.
    pub namespace: Option<String>,
    /// Who asked for it.
    pub actor: String,
    /// What was asked for, as JSON.
    pub spec: String,
    /// Where a command works on it: the files that it reads, as JSON. The daemon leaves it alone.
    pub command: Option<String>,
    /// Where it stands.
    pub state: TuningState,
    /// What is done next.
    pub stage: TuningStage,
    /// Why it stands there.
    pub why: Option<String>,
    /// Steps done.
    pub done: u64,
    /// Steps in all, as far as is known.
    pub total: u64,
    /// What was spent.
    pub spent: TuningSpent,
    /// The hash of the version that is to be beaten.
    pub champion: String,
    /// The guidelines of its set that stay as they are, as JSON.
    pub beside: String,
    /// Values of training runs that its leak scan could not remember.
    pub unscanned: u64,
    /// What the gate said, as JSON.
    pub verdict: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// A page of runs, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuningPage {
    /// The runs.
    pub runs: Vec<TuningRun>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// Who works on a run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumer {
    /// The daemon, when it is the run's turn. A run that is in work already is its worker's.
    Daemon,
    /// A command that has the data folder to itself: a run that seems to be in work was cut off.
    Command,
}

/// A change of where a run stands.
#[derive(Debug, Clone, PartialEq)]
pub enum TuningChange {
    /// Work on it begins.
    Begin,
    /// The stage is over, and the next one will take so many steps in all.
    Reach {
        /// What is done next.
        stage: TuningStage,
        /// Steps in all.
        total: u64,
    },
    /// A cap is reached.
    Pause {
        /// Which one.
        why: String,
    },
    /// It cannot go on.
    Fail {
        /// Why.
        why: String,
    },
    /// Somebody stops it.
    Cancel {
        /// Who.
        why: String,
    },
    /// It goes on.
    Resume {
        /// What is asked for now, as JSON.
        spec: String,
        /// The job that works on it; `None` where a command does.
        job: Option<NewJob>,
        /// Who works on it from now on.
        by: Resumer,
    },
    /// All is done.
    End {
        /// What the gate said, as JSON; `None` where it had nothing to judge.
        verdict: Option<String>,
        /// What came out, in words.
        why: Option<String>,
        /// The candidate that passed.
        winner: Option<i64>,
    },
}

macro_rules! select_run {
    ($end:literal) => {
        concat!(
            "SELECT id, namespace, actor, spec, command, state, stage, why, done, total, tokens, cost_usd_micros, ",
            "unpriced, worked_ms, champion, beside, verdict, created_ms, updated_ms, unscanned FROM tuning_runs ",
            $end
        )
    };
}

impl Store {
    /// Makes a run, and the job that works on it.
    ///
    /// # Errors
    /// [`ChangeError::Exists`]
    pub async fn create_tuning_run(&self, run: TuningRun, job: Option<NewJob>) -> Result<(), ChangeError> {
        self.write(Create { run, job }).await
    }

    /// Returns a run.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn tuning_run(&self, id: &str) -> Result<Option<TuningRun>, StoreError> {
        let row = self.reader().await?.row(select_run!("WHERE id = $1"), values![id]).await?;
        row.as_ref().map(read_run).transpose()
    }

    /// Returns the oldest run that the daemon has to work on, of those made after `passed_over`.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn next_tuning_run(&self, passed_over: Option<&TuningRun>) -> Result<Option<TuningRun>, StoreError> {
        let (after_ms, after_id) = passed_over.map(|run| (run.created_ms, run.id.as_str())).unzip();
        let sql = select_run!(
            "WHERE command IS NULL AND (state = 'queued' OR state = 'running') \
             AND ($1 IS NULL OR (created_ms, id) > ($1, $2)) ORDER BY created_ms, id LIMIT 1"
        );
        self.reader().await?.row(sql, values![after_ms, after_id]).await?.as_ref().map(read_run).transpose()
    }

    /// Returns up to `limit` runs, optionally of one namespace, newest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn list_tuning_runs(
        &self,
        namespace: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<TuningPage, StoreError> {
        let before = cursor.map(|cursor| parse_cursor(cursor).ok_or(StoreError::BadCursor)).transpose()?;
        let (before_ms, before_id) = before.unzip();
        let sql = select_run!(
            "WHERE ($1 IS NULL OR namespace = $1) AND ($2 IS NULL OR (created_ms, id) < ($2, $3)) \
             ORDER BY created_ms DESC, id DESC LIMIT $4"
        );
        let rows = self.reader().await?.rows(sql, values![namespace, before_ms, before_id, limit + 1]).await?;
        let runs: Vec<_> = rows.iter().take(limit).map(read_run).collect::<Result<_, _>>()?;
        let last = runs.last().filter(|_| rows.len() > limit);
        let next_cursor = last.map(|run| format!("{}.{}", run.created_ms, run.id));
        Ok(TuningPage { runs, next_cursor })
    }

    /// Changes where a run stands, if it stands where that can be. Returns it as it is since, and whether it was changed;
    /// `None` where there is no such run.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn change_tuning_run(
        &self,
        id: &str,
        change: TuningChange,
        now_ms: i64,
    ) -> Result<Option<(TuningRun, bool)>, ChangeError> {
        self.write(Change { id: id.to_owned(), change, now_ms }).await
    }
}

fn read_run(row: &Row) -> Result<TuningRun, StoreError> {
    Ok(TuningRun {
        id: row.text(0)?,
        namespace: row.text_or_null(1)?,
        actor: row.text(2)?,
        spec: row.text(3)?,
        command: row.text_or_null(4)?,
        state: named(row, 5, &STATES)?,
        stage: named(row, 6, &STAGES)?,
        why: row.text_or_null(7)?,
        done: row.count(8)?,
        total: row.count(9)?,
        spent: TuningSpent {
            tokens: row.count(10)?,
            cost_usd_micros: row.int(11)?,
            is_unpriced: row.int(12)? != 0,
            worked_ms: row.count(13)?,
        },
        champion: row.text(14)?,
        beside: row.text(15)?,
        verdict: row.text_or_null(16)?,
        created_ms: row.int(17)?,
        updated_ms: row.int(18)?,
        unscanned: row.count(19)?,
    })
}

struct Create {
    run: TuningRun,
    job: Option<NewJob>,
}

impl Write for Create {
    type Output = ();
    type Error = ChangeError;

    fn wakes_runners(&self) -> bool {
        self.job.is_some()
    }

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        let run = &self.run;
        let sql = "INSERT INTO tuning_runs (id, namespace, actor, spec, command, state, stage, why, done, total, tokens, \
                   cost_usd_micros, unpriced, worked_ms, champion, beside, created_ms, updated_ms) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, 0, 0, $11, $12, $13, $13) \
                   ON CONFLICT (id) DO NOTHING";
        let bound = values![
            run.id.as_str(),
            run.namespace.as_deref(),
            run.actor.as_str(),
            run.spec.as_str(),
            run.command.as_deref(),
            run.state.as_str(),
            run.stage.as_str(),
            run.why.as_deref(),
            run.done,
            run.total,
            run.champion.as_str(),
            run.beside.as_str(),
            run.created_ms,
        ];
        if conn.execute(sql, bound).await? == 0 {
            return Err(ChangeError::Exists);
        }
        if let Some(job) = &self.job {
            enqueue(conn, job).await?;
        }
        Ok(())
    }
}

/// Reads a run for a change; on PostgreSQL no other one can until it ends.
pub(super) async fn lock_run(conn: &mut Conn, id: &str) -> Result<Option<TuningRun>, StoreError> {
    let sql = for_update!(
        conn,
        "SELECT id, namespace, actor, spec, command, state, stage, why, done, total, tokens, cost_usd_micros, \
         unpriced, worked_ms, champion, beside, verdict, created_ms, updated_ms, unscanned FROM tuning_runs WHERE id = $1"
    );
    conn.row(sql, values![id]).await?.as_ref().map(read_run).transpose()
}

/// Adds what a step took to a run, and the steps that it was.
pub(super) async fn add_spent(conn: &mut Conn, id: &str, steps: u64, spent: &TuningSpent) -> Result<(), StoreError> {
    let sql = "UPDATE tuning_runs SET done = done + $2, tokens = tokens + $3, cost_usd_micros = cost_usd_micros + $4, \
               unpriced = CASE WHEN unpriced + $5 > 0 THEN 1 ELSE 0 END, worked_ms = worked_ms + $6 WHERE id = $1";
    let unpriced = i64::from(spent.is_unpriced);
    let bound = values![id, steps, spent.tokens, spent.cost_usd_micros, unpriced, spent.worked_ms];
    conn.execute(sql, bound).await?;
    Ok(())
}

#[allow(clippy::struct_field_names, reason = "the words of the field")]
struct Change {
    id: String,
    change: TuningChange,
    now_ms: i64,
}

impl Write for Change {
    type Output = Option<(TuningRun, bool)>;
    type Error = ChangeError;

    fn wakes_runners(&self) -> bool {
        matches!(self.change, TuningChange::Resume { job: Some(_), .. })
    }

    async fn run(&self, conn: &mut Conn) -> Result<Option<(TuningRun, bool)>, ChangeError> {
        let Some(run) = lock_run(conn, &self.id).await? else { return Ok(None) };
        let Some(changed) = self.changed(&run) else { return Ok(Some((run, false))) };
        let sql = "UPDATE tuning_runs SET spec = $2, command = $3, state = $4, stage = $5, why = $6, done = $7, \
                   total = $8, verdict = $9, updated_ms = $10 WHERE id = $1";
        let bound = values![
            self.id.as_str(),
            changed.spec.as_str(),
            changed.command.as_deref(),
            changed.state.as_str(),
            changed.stage.as_str(),
            changed.why.as_deref(),
            changed.done,
            changed.total,
            changed.verdict.as_deref(),
            self.now_ms,
        ];
        conn.execute(sql, bound).await?;
        match &self.change {
            TuningChange::Resume { job: Some(job), .. } => {
                enqueue(conn, job).await?;
            }
            TuningChange::End { winner, .. } => self.end(conn, *winner).await?,
            _ => {}
        }
        Ok(Some((changed, true)))
    }
}

impl Change {
    /// Returns the run as the change makes it; `None` where it does not stand where that can be.
    fn changed(&self, run: &TuningRun) -> Option<TuningRun> {
        let mut next = TuningRun { updated_ms: self.now_ms, ..run.clone() };
        let (from, to): (&[TuningState], TuningState) = match &self.change {
            TuningChange::Begin => (&[TuningState::Queued, TuningState::Running], TuningState::Running),
            TuningChange::Reach { stage, total } => {
                next.stage = *stage;
                next.total = *total;
                (&[TuningState::Running], TuningState::Running)
            }
            TuningChange::Pause { why } => {
                next.why = Some(why.clone());
                (&[TuningState::Running], TuningState::Paused)
            }
            TuningChange::Fail { why } => {
                next.why = Some(why.clone());
                (&[TuningState::Queued, TuningState::Running], TuningState::Failed)
            }
            TuningChange::Cancel { why } => {
                next.why = Some(why.clone());
                (&[TuningState::Queued, TuningState::Running, TuningState::Paused], TuningState::Cancelled)
            }
            TuningChange::Resume { spec, by, .. } => {
                next.spec.clone_from(spec);
                next.why = None;
                match by {
                    Resumer::Daemon => (&RESTING, TuningState::Queued),
                    Resumer::Command => (&UNDONE, TuningState::Running),
                }
            }
            TuningChange::End { verdict, why, .. } => {
                next.verdict.clone_from(verdict);
                next.why.clone_from(why);
                next.done = next.total;
                (&[TuningState::Running], TuningState::Done)
            }
        };
        next.state = to;
        from.contains(&run.state).then_some(next)
    }

    /// Marks the winner, and lets go of words of trajectories that nobody needs any more.
    async fn end(&self, conn: &mut Conn, winner: Option<i64>) -> Result<(), StoreError> {
        let run = || -> Vec<Value> { values![self.id.as_str()] };
        conn.execute("UPDATE tuning_cases SET evidence = NULL WHERE run_id = $1", run()).await?;
        if let Some(winner) = winner {
            let sql = "UPDATE tuning_candidates SET status = 'winner' WHERE run_id = $1 AND n = $2";
            conn.execute(sql, values![self.id.as_str(), winner]).await?;
        }
        Ok(())
    }
}
