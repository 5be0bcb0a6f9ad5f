//! The ledger: attempts at calls of models, with their tokens and cost.
//!
//! Bills outlive what they were for: with a trajectory its calls lose its id and the text of their errors,
//! which may quote it, and keep their numbers.

use std::collections::HashMap;

use super::Store;
use super::engine::{Conn, Row};
use super::error::StoreError;
use super::value::{Value, values};
use super::writer::Write;

/// Most characters of an error that are kept.
const MAX_ERROR_CHARS: usize = 500;

/// One attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelCall {
    /// When it began, in milliseconds since 1970.
    pub at_ms: i64,
    /// The namespace that it was for.
    pub namespace: String,
    /// The agent's name; empty for calls without one.
    pub agent: String,
    /// The trajectory that it was for.
    pub trajectory: Option<String>,
    /// The job that it was part of.
    pub job: Option<String>,
    /// What it was for.
    pub purpose: String,
    /// Where the model runs: `remote` or `local`.
    pub backend: String,
    /// The model's name as configured.
    pub model: String,
    /// How it ended; `ok` with a reply.
    pub outcome: String,
    /// Tokens read, those from the provider's cache included.
    pub prompt_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens written.
    pub reply_tokens: u64,
    /// Millionths of a US dollar; `None` where the price is unknown.
    pub cost_usd_micros: Option<i64>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// What went wrong; at most 500 characters are kept.
    pub error: Option<String>,
}

/// Which attempts are listed; all where nothing is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelCallFilter {
    /// Of one namespace.
    pub namespace: Option<String>,
    /// Of one agent.
    pub agent: Option<String>,
    /// For one trajectory.
    pub trajectory: Option<String>,
    /// Part of one job.
    pub job: Option<String>,
    /// For one purpose.
    pub purpose: Option<String>,
    /// That ended so.
    pub outcome: Option<String>,
    /// That began at this time or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// That began before this time.
    pub until_ms: Option<i64>,
}

/// A page of attempts, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCallPage {
    /// The attempts.
    pub calls: Vec<ModelCall>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// Sums of one agent's attempts for one purpose on one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelUsage {
    /// The namespace.
    pub namespace: String,
    /// The agent's name; empty for calls without one.
    pub agent: String,
    /// Days since 1970-01-01 (UTC).
    pub day: i64,
    /// What the calls were for.
    pub purpose: String,
    /// Attempts.
    pub calls: u64,
    /// Those that did not end `ok`.
    pub failed: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens written.
    pub reply_tokens: u64,
    /// Millionths of a US dollar of all attempts whose cost is known.
    pub cost_usd_micros: i64,
    /// Attempts whose cost is unknown.
    pub unpriced: u64,
}

/// Sums of one minute's attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelSpending {
    /// When the minute began, in milliseconds since 1970.
    pub at_ms: i64,
    /// Tokens read and written.
    pub tokens: u64,
    /// Millionths of a US dollar of all attempts whose cost is known.
    pub cost_usd_micros: i64,
}

macro_rules! columns {
    () => {
        "at_ms, namespace, agent, trajectory_id, job_id, purpose, backend, model, outcome, prompt_tokens, \
         cached_tokens, reply_tokens, cost_usd_micros, ms, error"
    };
}

impl Store {
    /// Adds attempts. Those for a trajectory that is deleted meanwhile are kept without it.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn add_model_calls(&self, calls: Vec<ModelCall>) -> Result<(), StoreError> {
        if calls.is_empty() {
            return Ok(());
        }
        self.write(AddCalls(calls)).await
    }

    /// Returns up to `limit` attempts, newest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn list_model_calls(
        &self,
        filter: &ModelCallFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ModelCallPage, StoreError> {
        let before: Option<i64> = cursor.map(str::parse).transpose().map_err(|_| StoreError::BadCursor)?;
        let sql = concat!(
            "SELECT ",
            columns!(),
            ", id FROM model_calls \
             WHERE ($1 IS NULL OR namespace = $1) AND ($2 IS NULL OR agent = $2) \
             AND ($3 IS NULL OR trajectory_id = $3) AND ($4 IS NULL OR job_id = $4) \
             AND ($5 IS NULL OR purpose = $5) AND ($6 IS NULL OR outcome = $6) \
             AND ($7 IS NULL OR at_ms >= $7) AND ($8 IS NULL OR at_ms < $8) \
             AND ($9 IS NULL OR id < $9) ORDER BY id DESC LIMIT $10"
        );
        let bound = values![
            filter.namespace.as_deref(),
            filter.agent.as_deref(),
            filter.trajectory.as_deref(),
            filter.job.as_deref(),
            filter.purpose.as_deref(),
            filter.outcome.as_deref(),
            filter.since_ms,
            filter.until_ms,
            before,
            limit + 1,
        ];
        let rows = self.reader().await?.rows(sql, bound).await?;
        let page = rows.get(..limit).unwrap_or(&rows);
        let calls = page.iter().map(read_call).collect::<Result<_, _>>()?;
        let last = page.last().filter(|_| rows.len() > limit);
        let next_cursor = last.map(|row| row.int(15)).transpose()?.map(|id| id.to_string());
        Ok(ModelCallPage { calls, next_cursor })
    }

    /// Returns the sums of the days `from..to`, optionally of one namespace, by day, namespace, agent and
    /// purpose.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn model_usage(
        &self,
        namespace: Option<&str>,
        from: i64,
        to: i64,
    ) -> Result<Vec<ModelUsage>, StoreError> {
        let sql = "SELECT namespace, agent, at_ms / 86400000 AS day, purpose, COUNT(*), \
                   COUNT(CASE WHEN outcome <> 'ok' THEN 1 END), CAST(SUM(prompt_tokens) AS BIGINT), \
                   CAST(SUM(cached_tokens) AS BIGINT), CAST(SUM(reply_tokens) AS BIGINT), \
                   CAST(COALESCE(SUM(cost_usd_micros), 0) AS BIGINT), COUNT(*) - COUNT(cost_usd_micros) \
                   FROM model_calls WHERE at_ms >= $1 * 86400000 AND at_ms < $2 * 86400000 \
                   AND ($3 IS NULL OR namespace = $3) \
                   GROUP BY at_ms / 86400000, namespace, agent, purpose \
                   ORDER BY at_ms / 86400000, namespace, agent, purpose";
        let rows = self.reader().await?.rows(sql, values![from, to, namespace]).await?;
        rows.iter().map(read_usage).collect()
    }

    /// Returns what a backend's attempts since a time used, by minute, oldest first.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn model_spending(&self, backend: &str, since_ms: i64) -> Result<Vec<ModelSpending>, StoreError> {
        let sql = "SELECT at_ms / 60000 * 60000, CAST(SUM(prompt_tokens + reply_tokens) AS BIGINT), \
                   CAST(COALESCE(SUM(cost_usd_micros), 0) AS BIGINT) \
                   FROM model_calls WHERE at_ms >= $1 AND backend = $2 \
                   GROUP BY at_ms / 60000 ORDER BY at_ms / 60000";
        let rows = self.reader().await?.rows(sql, values![since_ms, backend]).await?;
        rows.iter()
            .map(|row| Ok(ModelSpending { at_ms: row.int(0)?, tokens: row.count(1)?, cost_usd_micros: row.int(2)? }))
            .collect()
    }
}

/// Takes a trajectory that is being deleted out of the ledger. Returns how many attempts were for it.
pub(super) async fn release_calls(conn: &mut Conn, trajectory: &str) -> Result<u64, StoreError> {
    let sql = "UPDATE model_calls SET trajectory_id = NULL, error = NULL WHERE trajectory_id = $1";
    conn.execute(sql, values![trajectory]).await
}

fn read_call(row: &Row) -> Result<ModelCall, StoreError> {
    Ok(ModelCall {
        at_ms: row.int(0)?,
        namespace: row.text(1)?,
        agent: row.text(2)?,
        trajectory: row.text_or_null(3)?,
        job: row.text_or_null(4)?,
        purpose: row.text(5)?,
        backend: row.text(6)?,
        model: row.text(7)?,
        outcome: row.text(8)?,
        prompt_tokens: row.count(9)?,
        cached_tokens: row.count(10)?,
        reply_tokens: row.count(11)?,
        cost_usd_micros: row.int_or_null(12)?,
        ms: row.count(13)?,
        error: row.text_or_null(14)?,
    })
}

fn read_usage(row: &Row) -> Result<ModelUsage, StoreError> {
    Ok(ModelUsage {
        namespace: row.text(0)?,
        agent: row.text(1)?,
        day: row.int(2)?,
        purpose: row.text(3)?,
        calls: row.count(4)?,
        failed: row.count(5)?,
        prompt_tokens: row.count(6)?,
        cached_tokens: row.count(7)?,
        reply_tokens: row.count(8)?,
        cost_usd_micros: row.int(9)?,
        unpriced: row.count(10)?,
    })
}

struct AddCalls(Vec<ModelCall>);

impl Write for AddCalls {
    type Output = ();
    type Error = StoreError;

    fn weight(&self) -> usize {
        512 * self.0.len()
    }

    async fn run(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let mut exist: HashMap<&str, bool> = HashMap::new();
        let mut rows = Vec::new();
        for call in &self.0 {
            let is_deleted = match call.trajectory.as_deref() {
                Some(id) => !exists(conn, id, &mut exist).await?,
                None => false,
            };
            rows.extend(row_of(call, is_deleted));
        }
        conn.insert_rows(concat!("INSERT INTO model_calls (", columns!(), ")"), 15, "", rows).await?;
        Ok(())
    }
}

async fn exists<'a>(conn: &mut Conn, id: &'a str, known: &mut HashMap<&'a str, bool>) -> Result<bool, StoreError> {
    if let Some(exists) = known.get(id) {
        return Ok(*exists);
    }
    let exists = conn.row("SELECT 1 FROM trajectories WHERE id = $1", values![id]).await?.is_some();
    known.insert(id, exists);
    Ok(exists)
}

fn row_of(call: &ModelCall, is_deleted: bool) -> Vec<Value> {
    let error = call.error.as_deref().filter(|_| !is_deleted);
    values![
        call.at_ms,
        call.namespace.as_str(),
        call.agent.as_str(),
        call.trajectory.as_deref().filter(|_| !is_deleted),
        call.job.as_deref(),
        call.purpose.as_str(),
        call.backend.as_str(),
        call.model.as_str(),
        call.outcome.as_str(),
        call.prompt_tokens,
        call.cached_tokens,
        call.reply_tokens,
        call.cost_usd_micros,
        call.ms,
        error.map(|error| error.chars().filter(|c| *c != '\0').take(MAX_ERROR_CHARS).collect::<String>()),
    ]
}
