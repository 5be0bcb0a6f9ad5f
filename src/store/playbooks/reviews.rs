//! Changes that wait for somebody's word.

use std::collections::BTreeMap;
use std::convert::Infallible;

use recap_core::playbook::{BulletId, Operation, Playbook, Source};
use recap_core::trajectory::OriginalHash;
use serde::{Deserialize, Serialize};

use super::super::Store;
use super::super::dialect::for_update;
use super::super::engine::{Conn, Row};
use super::super::error::StoreError;
use super::super::trajectories::parse_cursor;
use super::super::value::values;
use super::super::writer::Write;
use super::{PlaybookError, PlaybookKey, json, mention};

/// A change that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaybookReview {
    /// Its id.
    pub id: String,
    /// When it was asked for, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who asked for it.
    pub actor: String,
    /// On what ground.
    pub source: Source,
    /// What it does, as it was asked for.
    pub operations: Vec<Operation>,
    /// Why it waits.
    pub reasons: Vec<String>,
    /// The addresses of the words that its operations rest on, as they were when it began to wait.
    pub words: BTreeMap<BulletId, OriginalHash>,
}

/// A page of changes that wait, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewPage {
    /// The changes.
    pub reviews: Vec<PlaybookReview>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// What a review's record holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) source: Source,
    pub(super) operations: Vec<Operation>,
    /// None in records that were written without them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) words: BTreeMap<BulletId, OriginalHash>,
}

/// Returns the addresses of the words that operations rest on.
pub(super) fn words_under(playbook: &Playbook, operations: &[Operation]) -> BTreeMap<BulletId, OriginalHash> {
    let bullets = operations.iter().flat_map(Operation::rests_on).filter_map(|id| playbook.bullet(id));
    bullets.map(|bullet| (bullet.id.clone(), bullet.words_hash())).collect()
}

impl Store {
    /// Returns up to `limit` changes that wait, oldest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn playbook_reviews(
        &self,
        key: &PlaybookKey,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ReviewPage, StoreError> {
        let after = cursor.map(|cursor| parse_cursor(cursor).ok_or(StoreError::BadCursor)).transpose()?;
        let sql = "SELECT id, at_ms, actor, reasons, record FROM playbook_reviews \
                   WHERE namespace = $1 AND name = $2 AND status = 'pending' \
                   AND ($3 IS NULL OR (at_ms, id) > ($3, $4)) ORDER BY at_ms, id LIMIT $5";
        let mut bound = key.bound();
        bound.extend(values![after.map(|(at, _)| at), after.map(|(_, id)| id), limit + 1]);
        let rows = self.reader().await?.rows(sql, bound).await?;
        let reviews: Vec<_> = rows.iter().take(limit).map(read_review).collect::<Result<_, _>>()?;
        let last = reviews.last().filter(|_| rows.len() > limit);
        let next_cursor = last.map(|review| format!("{}.{}", review.at_ms, review.id));
        Ok(ReviewPage { reviews, next_cursor })
    }

    /// Rejects a change that waits.
    ///
    /// # Errors
    /// [`PlaybookError::NoReview`]
    pub async fn reject_playbook_review(
        &self,
        key: PlaybookKey,
        id: &str,
        actor: &str,
        at_ms: i64,
    ) -> Result<(), PlaybookError<Infallible>> {
        self.write(Reject { key, id: id.to_owned(), actor: actor.to_owned(), at_ms }).await
    }
}

struct Reject {
    key: PlaybookKey,
    id: String,
    actor: String,
    at_ms: i64,
}

impl Write for Reject {
    type Output = ();
    type Error = PlaybookError<Infallible>;

    async fn run(&self, conn: &mut Conn) -> Result<(), PlaybookError<Infallible>> {
        super::change::lock_playbook(conn, &self.key).await?.ok_or(PlaybookError::NoPlaybook)?;
        let review = pending_review(conn, &self.key, &self.id).await?.ok_or(PlaybookError::NoReview)?;
        settle(conn, &review.id, "rejected", (self.at_ms, &self.actor), None).await?;
        Ok(())
    }
}

fn read_review(row: &Row) -> Result<PlaybookReview, StoreError> {
    let unreadable = |_| StoreError::Unreadable("a waiting change of a playbook");
    let record: Record = serde_json::from_str(&row.text(4)?).map_err(unreadable)?;
    Ok(PlaybookReview {
        id: row.text(0)?,
        at_ms: row.int(1)?,
        actor: row.text(2)?,
        source: record.source,
        operations: record.operations,
        words: record.words,
        reasons: serde_json::from_str(&row.text(3)?).map_err(unreadable)?,
    })
}

/// Reads a change that waits, for a decision.
pub(super) async fn pending_review(
    conn: &mut Conn,
    key: &PlaybookKey,
    id: &str,
) -> Result<Option<PlaybookReview>, StoreError> {
    let sql = for_update!(
        conn,
        "SELECT id, at_ms, actor, reasons, record FROM playbook_reviews \
         WHERE namespace = $1 AND name = $2 AND id = $3 AND status = 'pending'"
    );
    let mut bound = key.bound();
    bound.extend(values![id]);
    conn.row(sql, bound).await?.as_ref().map(read_review).transpose()
}

/// Puts a change on the list of those that wait.
pub(super) async fn insert_review(
    conn: &mut Conn,
    key: &PlaybookKey,
    review: &PlaybookReview,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO playbook_reviews (namespace, name, id, status, at_ms, actor, trajectory, reasons, record) \
               VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8)";
    let record =
        Record { source: review.source.clone(), operations: review.operations.clone(), words: review.words.clone() };
    let mut bound = key.bound();
    bound.extend(values![
        review.id.as_str(),
        review.at_ms,
        review.actor.as_str(),
        review.source.trajectory.as_deref(),
        json(&review.reasons)?,
        json(&record)?,
    ]);
    conn.execute(sql, bound).await?;
    touch(conn, key).await?;
    mention(conn, key, &review.source, &review.operations).await
}

/// Notes what was decided, when and by whom.
pub(super) async fn settle(
    conn: &mut Conn,
    id: &str,
    status: &'static str,
    (at_ms, by): (i64, &str),
    version: Option<u64>,
) -> Result<(), StoreError> {
    let sql = "UPDATE playbook_reviews SET status = $2, decided_ms = $3, decided_by = $4, version = $5 WHERE id = $1";
    conn.execute(sql, values![id, status, at_ms, by, version]).await?;
    Ok(())
}

async fn touch(conn: &mut Conn, key: &PlaybookKey) -> Result<(), StoreError> {
    let sql = "UPDATE playbooks SET changes = changes + 1 WHERE namespace = $1 AND name = $2";
    conn.execute(sql, key.bound()).await?;
    Ok(())
}
