//! Pairs of runs of one task, with whole and with compressed contexts.

use super::Store;
use super::engine::{Conn, Row};
use super::error::{ChangeError, StoreError};
use super::trajectories::{lock_length, parse_cursor};
use super::tuning::forget_pair;
use super::value::values;
use super::writer::Write;

/// A stored pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairRow {
    /// Its id.
    pub id: String,
    /// The namespace that keys are held against.
    pub namespace: String,
    /// The hash of what it says: the same is stored once in a namespace.
    pub key: String,
    /// The task's name.
    pub task: String,
    /// Where it comes from: `import`.
    pub origin: String,
    /// The stored run with whole contexts.
    pub full_trajectory: Option<String>,
    /// The stored run with compressed contexts.
    pub compressed_trajectory: Option<String>,
    /// How both ended, and messages of runs that are not stored, as JSON.
    pub record: String,
    /// When it was stored, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A page of pairs, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairPage {
    /// The pairs.
    pub pairs: Vec<PairRow>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

macro_rules! select_pair {
    ($end:literal) => {
        concat!(
            "SELECT id, namespace, key, task, origin, full_trajectory, compressed_trajectory, record, created_ms ",
            "FROM pairs ",
            $end
        )
    };
}

impl Store {
    /// Stores pairs, all or none, and returns which of them are new.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`] where one names a trajectory that is not there.
    pub async fn add_pairs(&self, pairs: Vec<PairRow>) -> Result<Vec<bool>, ChangeError> {
        self.write(AddPairs(pairs)).await
    }

    /// Returns a pair.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn pair(&self, id: &str) -> Result<Option<PairRow>, StoreError> {
        let row = self.reader().await?.row(select_pair!("WHERE id = $1"), values![id]).await?;
        row.as_ref().map(read_pair).transpose()
    }

    /// Returns up to `limit` pairs, optionally of one namespace, newest first.
    ///
    /// # Errors
    /// [`StoreError::BadCursor`] when the cursor is not one of this list.
    pub async fn list_pairs(
        &self,
        namespace: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<PairPage, StoreError> {
        let before = cursor.map(|cursor| parse_cursor(cursor).ok_or(StoreError::BadCursor)).transpose()?;
        let (before_ms, before_id) = before.unzip();
        let sql = select_pair!(
            "WHERE ($1 IS NULL OR namespace = $1) AND ($2 IS NULL OR (created_ms, id) < ($2, $3)) \
             ORDER BY created_ms DESC, id DESC LIMIT $4"
        );
        let rows = self.reader().await?.rows(sql, values![namespace, before_ms, before_id, limit + 1]).await?;
        let pairs: Vec<_> = rows.iter().take(limit).map(read_pair).collect::<Result<_, _>>()?;
        let last = pairs.last().filter(|_| rows.len() > limit);
        let next_cursor = last.map(|pair| format!("{}.{}", pair.created_ms, pair.id));
        Ok(PairPage { pairs, next_cursor })
    }

    /// Erases a pair with everything that tuning runs know of it. Tells whether there was one.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn delete_pair(&self, id: &str) -> Result<bool, StoreError> {
        self.write(DeletePair(id.to_owned())).await
    }
}

fn read_pair(row: &Row) -> Result<PairRow, StoreError> {
    Ok(PairRow {
        id: row.text(0)?,
        namespace: row.text(1)?,
        key: row.text(2)?,
        task: row.text(3)?,
        origin: row.text(4)?,
        full_trajectory: row.text_or_null(5)?,
        compressed_trajectory: row.text_or_null(6)?,
        record: row.text(7)?,
        created_ms: row.int(8)?,
    })
}

struct AddPairs(Vec<PairRow>);

impl Write for AddPairs {
    type Output = Vec<bool>;
    type Error = ChangeError;

    fn weight(&self) -> usize {
        self.0.iter().map(|pair| 256 + pair.record.len()).sum()
    }

    async fn run(&self, conn: &mut Conn) -> Result<Vec<bool>, ChangeError> {
        let sql = "INSERT INTO pairs (id, namespace, key, task, origin, full_trajectory, compressed_trajectory, record, \
                   created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (namespace, key) DO NOTHING";
        let mut is_new = Vec::new();
        for pair in &self.0 {
            for trajectory in [&pair.full_trajectory, &pair.compressed_trajectory].into_iter().flatten() {
                lock_length(conn, trajectory).await?;
            }
            let bound = values![
                pair.id.as_str(),
                pair.namespace.as_str(),
                pair.key.as_str(),
                pair.task.as_str(),
                pair.origin.as_str(),
                pair.full_trajectory.as_deref(),
                pair.compressed_trajectory.as_deref(),
                pair.record.as_str(),
                pair.created_ms,
            ];
            is_new.push(conn.execute(sql, bound).await? > 0);
        }
        Ok(is_new)
    }
}

struct DeletePair(String);

impl Write for DeletePair {
    type Output = bool;
    type Error = StoreError;

    async fn run(&self, conn: &mut Conn) -> Result<bool, StoreError> {
        Ok(forget_pair(conn, &self.0).await?.pairs > 0)
    }
}
