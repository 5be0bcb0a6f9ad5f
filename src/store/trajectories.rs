//! The trajectories' records.

use serde_json::Value as Json;

use super::Store;
use super::dialect::for_update;
use super::engine::{Conn, Row};
use super::error::{ChangeError, StoreError};
use super::record::{NewTrajectory, OutcomeStatus, Patch, TrajectoryFilter, TrajectoryPage, TrajectoryRow};
use super::value::values;
use super::writer::Write;

macro_rules! select_trajectory {
    ($end:literal) => {
        concat!(
            "SELECT id, namespace, agent, task, model, tools, budget, guideline_set, playbook, policy, metadata, ",
            "agent_kind, length, full_tokens, outcome, forked_from, forked_length, version, created_ms, updated_ms ",
            "FROM trajectories ",
            $end
        )
    };
}

impl Store {
    /// Makes a trajectory.
    ///
    /// # Errors
    /// [`ChangeError::Exists`] when the id is taken.
    pub async fn create_trajectory(&self, new: NewTrajectory) -> Result<(), ChangeError> {
        self.write(Create(new)).await
    }

    /// Returns a trajectory's record.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn trajectory(&self, id: &str) -> Result<Option<TrajectoryRow>, StoreError> {
        let row = self.reader().await?.row(select_trajectory!("WHERE id = $1"), values![id]).await?;
        row.as_ref().map(read_trajectory).transpose()
    }

    /// Returns up to `limit` records, newest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn list_trajectories(
        &self,
        filter: &TrajectoryFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<TrajectoryPage, StoreError> {
        let (before_ms, before_id) = match cursor {
            Some(cursor) => parse_cursor(cursor).map(|(at, id)| (Some(at), Some(id))).ok_or(StoreError::BadCursor)?,
            None => (None, None),
        };
        let sql = select_trajectory!(
            "WHERE ($1 IS NULL OR namespace = $1) AND ($2 IS NULL OR agent = $2) \
             AND ($3 IS NULL OR outcome_status = $3) \
             AND ($4 IS NULL OR LOWER(task) LIKE $4 ESCAPE '!' OR LOWER(id) LIKE $4 ESCAPE '!') \
             AND ($5 IS NULL OR created_ms >= $5) AND ($6 IS NULL OR created_ms < $6) \
             AND ($7 IS NULL OR (created_ms, id) < ($7, $8)) \
             ORDER BY created_ms DESC, id DESC LIMIT $9"
        );
        let bound = values![
            filter.namespace.as_deref(),
            filter.agent.as_deref(),
            filter.outcome.map(OutcomeStatus::as_str),
            filter.q.as_deref().map(like_pattern),
            filter.since_ms,
            filter.until_ms,
            before_ms,
            before_id,
            limit + 1,
        ];
        let rows = self.reader().await?.rows(sql, bound).await?;
        let more = rows.len() > limit;
        let trajectories: Vec<_> = rows.iter().take(limit).map(read_trajectory).collect::<Result<_, _>>()?;
        let next_cursor = trajectories.last().filter(|_| more).map(|last| format!("{}.{}", last.created_ms, last.id));
        Ok(TrajectoryPage { trajectories, next_cursor })
    }

    /// Changes a record and returns it as it now is.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`] and [`ChangeError::VersionMismatch`].
    pub async fn patch_trajectory(&self, id: &str, patch: Patch, now_ms: i64) -> Result<TrajectoryRow, ChangeError> {
        self.write(Change { id: id.to_owned(), patch, now_ms }).await
    }
}

/// Reads a cursor of a list ordered by creation and id.
pub(super) fn parse_cursor(cursor: &str) -> Option<(i64, &str)> {
    let (at, id) = cursor.split_once('.')?;
    Some((at.parse().ok()?, id))
}

fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.to_ascii_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

struct Create(NewTrajectory);

impl Write for Create {
    type Output = ();
    type Error = ChangeError;

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        insert_trajectory(conn, &self.0, None).await
    }
}

/// Inserts an empty trajectory.
pub(super) async fn insert_trajectory(
    conn: &mut Conn,
    new: &NewTrajectory,
    forked_from: Option<(&str, u64)>,
) -> Result<(), ChangeError> {
    let sql = "INSERT INTO trajectories (id, namespace, agent, task, model, tools, budget, guideline_set, playbook, \
               policy, metadata, forked_from, forked_length, length, full_tokens, version, created_ms, updated_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, 1, $14, $14) \
               ON CONFLICT (id) DO NOTHING";
    let bound = values![
        new.id.as_str(),
        new.namespace.as_str(),
        new.agent.as_deref(),
        new.task.as_deref(),
        new.model.as_deref(),
        new.tools.as_deref(),
        new.budget,
        new.guideline_set.as_deref(),
        new.playbook.as_deref(),
        new.policy.as_ref().map(Json::to_string),
        new.metadata.as_ref().map(Json::to_string),
        forked_from.map(|(id, _)| id),
        forked_from.map(|(_, length)| length),
        new.created_ms,
    ];
    match conn.execute(sql, bound).await? {
        0 => Err(ChangeError::Exists),
        _ => Ok(()),
    }
}

struct Change {
    id: String,
    patch: Patch,
    now_ms: i64,
}

impl Write for Change {
    type Output = TrajectoryRow;
    type Error = ChangeError;

    async fn run(&self, conn: &mut Conn) -> Result<TrajectoryRow, ChangeError> {
        let mut row = lock_trajectory(conn, &self.id).await?;
        if self.patch.expected_version.is_some_and(|expected| expected != row.version) {
            return Err(ChangeError::VersionMismatch { current: row.version });
        }
        apply(&mut row, &self.patch);
        row.version += 1;
        row.updated_ms = self.now_ms;
        let sql = "UPDATE trajectories SET tools = $2, budget = $3, policy = $4, metadata = $5, agent_kind = $6, \
                   outcome_status = $7, outcome = $8, version = $9, updated_ms = $10 WHERE id = $1";
        let outcome = row.outcome.as_ref().map(serde_json::to_string).transpose();
        let bound = values![
            row.id.as_str(),
            row.tools.as_deref(),
            row.budget,
            row.policy.as_ref().map(Json::to_string),
            row.metadata.as_ref().map(Json::to_string),
            row.agent_kind.as_deref(),
            row.outcome.as_ref().map(|outcome| outcome.status.as_str()),
            outcome.map_err(|_| StoreError::Unreadable("an outcome"))?,
            row.version,
            row.updated_ms,
        ];
        conn.execute(sql, bound).await?;
        Ok(row)
    }
}

fn apply(row: &mut TrajectoryRow, patch: &Patch) {
    fn set<T: Clone>(field: &mut Option<T>, change: Option<&Option<T>>) {
        if let Some(value) = change {
            field.clone_from(value);
        }
    }
    set(&mut row.tools, patch.tools.as_ref());
    set(&mut row.budget, patch.budget.as_ref());
    set(&mut row.policy, patch.policy.as_ref());
    set(&mut row.metadata, patch.metadata.as_ref());
    set(&mut row.agent_kind, patch.agent_kind.as_ref());
    set(&mut row.outcome, patch.outcome.as_ref());
}

/// Reads a record that the transaction is about to change; on PostgreSQL no other one can until it ends.
pub(super) async fn lock_trajectory(conn: &mut Conn, id: &str) -> Result<TrajectoryRow, ChangeError> {
    let sql =
        super::dialect::text(conn, select_trajectory!("WHERE id = $1"), select_trajectory!("WHERE id = $1 FOR UPDATE"));
    let row = conn.row(sql, values![id]).await?.ok_or(ChangeError::NoTrajectory)?;
    Ok(read_trajectory(&row)?)
}

/// Reads a trajectory's length, version and tokens for a change; on PostgreSQL no other one can until it ends.
pub(super) async fn lock_length(conn: &mut Conn, id: &str) -> Result<(u64, u64), ChangeError> {
    let sql = for_update!(conn, "SELECT length, full_tokens FROM trajectories WHERE id = $1");
    let row = conn.row(sql, values![id]).await?.ok_or(ChangeError::NoTrajectory)?;
    Ok((row.count(0)?, row.count(1)?))
}

fn read_trajectory(row: &Row) -> Result<TrajectoryRow, StoreError> {
    let json = |index| -> Result<Option<Json>, StoreError> {
        let text = row.text_or_null(index)?;
        text.map(|text| serde_json::from_str(&text)).transpose().map_err(|_| StoreError::Unreadable("a record's JSON"))
    };
    let outcome = row.text_or_null(14)?.map(|text| serde_json::from_str(&text)).transpose();
    Ok(TrajectoryRow {
        id: row.text(0)?,
        namespace: row.text(1)?,
        agent: row.text_or_null(2)?,
        task: row.text_or_null(3)?,
        model: row.text_or_null(4)?,
        tools: row.text_or_null(5)?,
        budget: row.count_or_null(6)?,
        guideline_set: row.text_or_null(7)?,
        playbook: row.text_or_null(8)?,
        policy: json(9)?,
        metadata: json(10)?,
        agent_kind: row.text_or_null(11)?,
        length: row.count(12)?,
        full_tokens: row.count(13)?,
        outcome: outcome.map_err(|_| StoreError::Unreadable("an outcome"))?,
        forked_from: row.text_or_null(15)?.zip(row.count_or_null(16)?),
        version: row.count(17)?,
        created_ms: row.int(18)?,
        updated_ms: row.int(19)?,
    })
}
