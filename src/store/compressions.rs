//! What compressors with models made for trajectories.

use super::Store;
use super::engine::Conn;
use super::error::{ChangeError, StoreError};
use super::jobs::{Lease, complete};
use super::trajectories::lock_length;
use super::value::values;
use super::writer::Write;

/// One stored compression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompressionRow {
    /// The hash of compressor, guideline and input.
    pub key: String,
    /// The namespace in which it may be used again.
    pub namespace: String,
    /// Its JSON.
    pub record: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

impl Store {
    /// Stores compressions and completes the job that made them, both or neither. One that is there stays.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`]; [`ChangeError::LeaseLost`] where the job is another runner's by now.
    pub async fn put_compressions(
        &self,
        trajectory: &str,
        rows: Vec<CompressionRow>,
        lease: Lease,
        now_ms: i64,
    ) -> Result<(), ChangeError> {
        self.write(PutCompressions { trajectory: trajectory.to_owned(), rows, lease, now_ms }).await
    }

    /// Returns what was made for a trajectory, in the order in which it was made.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn compressions(&self, trajectory: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT record FROM compressions WHERE trajectory_id = $1 ORDER BY created_ms, key";
        self.reader().await?.rows(sql, values![trajectory]).await?.iter().map(|row| row.text(0)).collect()
    }

    /// Returns how many rows are derived from a trajectory: epochs and compressions. It changes when another daemon adds one.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn derived_rows(&self, trajectory: &str) -> Result<u64, StoreError> {
        let sql = "SELECT (SELECT COUNT(*) FROM epochs WHERE trajectory_id = $1) \
                   + (SELECT COUNT(*) FROM compressions WHERE trajectory_id = $1)";
        let row = self.reader().await?.row(sql, values![trajectory]).await?;
        row.map_or(Ok(0), |row| row.count(0))
    }

    /// Returns what the same work led to for any trajectory of a namespace.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn compression(&self, namespace: &str, key: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT record FROM compressions WHERE namespace = $1 AND key = $2 LIMIT 1";
        let row = self.reader().await?.row(sql, values![namespace, key]).await?;
        row.map(|row| row.text(0)).transpose()
    }
}

struct PutCompressions {
    trajectory: String,
    rows: Vec<CompressionRow>,
    lease: Lease,
    now_ms: i64,
}

impl Write for PutCompressions {
    type Output = ();
    type Error = ChangeError;

    fn weight(&self) -> usize {
        self.rows.iter().map(|row| row.record.len()).sum()
    }

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        lock_length(conn, &self.trajectory).await?;
        let sql = "INSERT INTO compressions (trajectory_id, key, namespace, record, created_ms) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT (trajectory_id, key) DO NOTHING";
        for row in &self.rows {
            let bound = values![
                self.trajectory.as_str(),
                row.key.as_str(),
                row.namespace.as_str(),
                row.record.as_str(),
                row.created_ms
            ];
            conn.execute(sql, bound).await?;
        }
        if complete(conn, &self.lease, self.now_ms).await? { Ok(()) } else { Err(ChangeError::LeaseLost) }
    }
}
