//! The log of changes by people and jobs.

use serde_json::Value as Json;

use super::Store;
use super::engine::{Conn, Row};
use super::error::StoreError;
use super::value::values;
use super::writer::Write;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The namespace that it concerns.
    pub namespace: Option<String>,
    /// Who: a key's id, `local`, or a job.
    pub actor: String,
    /// What was done, as an operation id (`delete_trajectory`).
    pub action: String,
    /// The id of what it was done to.
    pub subject: String,
    /// More about it; no content of trajectories, which must be erasable.
    pub detail: Option<Json>,
}

/// A page of the log, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<AuditEntry>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

impl Store {
    /// Adds an entry.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn add_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.write(entry).await
    }

    /// Returns up to `limit` entries, optionally of one namespace, newest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn list_audit(
        &self,
        namespace: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        let before: Option<i64> = cursor
            .map(str::parse)
            .transpose()
            .map_err(|_| StoreError::BadCursor)?;
        let sql = "SELECT at_ms, namespace, actor, action, subject, detail, id FROM audit \
                   WHERE ($1 IS NULL OR namespace = $1) AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3";
        let rows = self
            .reader()
            .await?
            .rows(sql, values![namespace, before, limit + 1])
            .await?;
        let page = rows.get(..limit).unwrap_or(&rows);
        let entries = page.iter().map(read_entry).collect::<Result<_, _>>()?;
        let last = page.last().filter(|_| rows.len() > limit);
        let next_cursor = last
            .map(|row| row.int(6))
            .transpose()?
            .map(|id| id.to_string());
        Ok(AuditPage {
            entries,
            next_cursor,
        })
    }
}

fn read_entry(row: &Row) -> Result<AuditEntry, StoreError> {
    let detail = row
        .text_or_null(5)?
        .map(|text| serde_json::from_str(&text))
        .transpose();
    Ok(AuditEntry {
        at_ms: row.int(0)?,
        namespace: row.text_or_null(1)?,
        actor: row.text(2)?,
        action: row.text(3)?,
        subject: row.text(4)?,
        detail: detail.map_err(|_| StoreError::Unreadable("an audit entry"))?,
    })
}

impl Write for AuditEntry {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<(), StoreError> {
        let sql = "INSERT INTO audit (at_ms, namespace, actor, action, subject, detail) \
                   VALUES ($1, $2, $3, $4, $5, $6)";
        let bound = values![
            self.at_ms,
            self.namespace.as_deref(),
            self.actor.as_str(),
            self.action.as_str(),
            self.subject.as_str(),
            self.detail.as_ref().map(Json::to_string),
        ];
        conn.execute(sql, bound).await?;
        Ok(())
    }
}
