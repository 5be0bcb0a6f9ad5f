//! Playbooks read: one, many, their logs; and their own settings.

use std::convert::Infallible;

use recap_core::playbook::Delta;

use super::super::Store;
use super::super::engine::Conn;
use super::super::error::StoreError;
use super::super::value::values;
use super::super::writer::Write;
use super::change::lock_playbook;
use super::{PlaybookError, PlaybookKey, PlaybookRow, log_of, read_delta, read_playbook, select_playbook};

/// A page of playbooks by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybookPage {
    /// The playbooks.
    pub playbooks: Vec<PlaybookRow>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// A page of a log, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaPage {
    /// The deltas.
    pub deltas: Vec<Delta>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// Changes of a playbook's settings: `None` leaves one as it is, `Some(None)` leaves it to the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlaybookPatch {
    /// Most tokens.
    pub budget: Option<Option<u32>>,
    /// Whether changes of words wait.
    pub review: Option<Option<bool>>,
}

impl Store {
    /// Returns a playbook.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn playbook(&self, key: &PlaybookKey) -> Result<Option<PlaybookRow>, StoreError> {
        let sql = select_playbook!("WHERE namespace = $1 AND name = $2");
        self.reader().await?.row(sql, key.bound()).await?.as_ref().map(read_playbook).transpose()
    }

    /// Returns a number that is another one after each change of a playbook or its settings; `None` without one.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn playbook_changes(&self, key: &PlaybookKey) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT changes FROM playbooks WHERE namespace = $1 AND name = $2";
        self.reader().await?.row(sql, key.bound()).await?.map(|row| row.count(0)).transpose()
    }

    /// Returns up to `limit` playbooks, optionally of one namespace, by namespace and name.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn list_playbooks(
        &self,
        namespace: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<PlaybookPage, StoreError> {
        let after = cursor.map(|cursor| cursor.split_once('/').ok_or(StoreError::BadCursor)).transpose()?;
        let sql = select_playbook!(
            "WHERE ($1 IS NULL OR namespace = $1) AND ($2 IS NULL OR (namespace, name) > ($2, $3)) \
             ORDER BY namespace, name LIMIT $4"
        );
        let bound = values![namespace, after.map(|(namespace, _)| namespace), after.map(|(_, name)| name), limit + 1];
        let rows = self.reader().await?.rows(sql, bound).await?;
        let playbooks: Vec<_> = rows.iter().take(limit).map(read_playbook).collect::<Result<_, _>>()?;
        let last = playbooks.last().filter(|_| rows.len() > limit);
        let next_cursor = last.map(|row| format!("{}/{}", row.key.namespace, row.key.name));
        Ok(PlaybookPage { playbooks, next_cursor })
    }

    /// Returns up to `limit` deltas of a playbook, newest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn playbook_deltas(
        &self,
        key: &PlaybookKey,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DeltaPage, StoreError> {
        let before: Option<u64> = cursor.map(str::parse).transpose().map_err(|_| StoreError::BadCursor)?;
        let sql = "SELECT record FROM playbook_deltas WHERE namespace = $1 AND name = $2 \
                   AND ($3 IS NULL OR version < $3) ORDER BY version DESC LIMIT $4";
        let mut bound = key.bound();
        bound.extend(values![before, limit + 1]);
        let rows = self.reader().await?.rows(sql, bound).await?;
        let deltas: Vec<_> = rows.iter().take(limit).map(|row| read_delta(row, 0)).collect::<Result<_, _>>()?;
        let last = deltas.last().filter(|_| rows.len() > limit);
        let next_cursor = last.map(|delta| delta.version.to_string());
        Ok(DeltaPage { deltas, next_cursor })
    }

    /// Returns a playbook's log up to a version, oldest first.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn playbook_log(&self, key: &PlaybookKey, until: Option<u64>) -> Result<Vec<Delta>, StoreError> {
        log_of(&mut self.reader().await?, key, until).await
    }

    /// Changes a playbook's settings and returns it as it now is.
    ///
    /// # Errors
    /// [`PlaybookError::NoPlaybook`]
    pub async fn patch_playbook(
        &self,
        key: PlaybookKey,
        patch: PlaybookPatch,
        at_ms: i64,
    ) -> Result<PlaybookRow, PlaybookError<Infallible>> {
        self.write(Change { key, patch, at_ms }).await
    }
}

struct Change {
    key: PlaybookKey,
    patch: PlaybookPatch,
    at_ms: i64,
}

impl Write for Change {
    type Output = PlaybookRow;
    type Error = PlaybookError<Infallible>;

    async fn run(&self, conn: &mut Conn) -> Result<PlaybookRow, PlaybookError<Infallible>> {
        let mut row = lock_playbook(conn, &self.key).await?.ok_or(PlaybookError::NoPlaybook)?;
        row.budget = self.patch.budget.unwrap_or(row.budget);
        row.review = self.patch.review.unwrap_or(row.review);
        row.changes += 1;
        row.updated_ms = self.at_ms;
        let sql = "UPDATE playbooks SET budget = $3, review = $4, changes = $5, updated_ms = $6 \
                   WHERE namespace = $1 AND name = $2";
        let mut bound = self.key.bound();
        bound.extend(values![row.budget.map(i64::from), row.review.map(i64::from), row.changes, self.at_ms]);
        conn.execute(sql, bound).await?;
        Ok(row)
    }
}
