//! What the context planner keeps: epochs of each line, and snapshots of derived state.

use super::Store;
use super::engine::{Conn, Row};
use super::error::{ChangeError, StoreError};
use super::playbooks::{PlaybookKey, was_erased_from};
use super::trajectories::lock_length;
use super::value::values;
use super::writer::Write;

/// A stored epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRow {
    /// The reader's line: format, budget and include as one text.
    pub line: String,
    /// The epoch's number in its line.
    pub n: u64,
    /// Its JSON.
    pub record: String,
    /// When it began, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A live trajectory's derived state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// How many messages it covers.
    pub at_length: u64,
    /// Its bytes.
    pub record: Vec<u8>,
}

impl Store {
    /// Stores an epoch, or replaces the one with the same line and number.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`].
    pub async fn put_epoch(&self, trajectory: &str, epoch: EpochRow) -> Result<(), ChangeError> {
        self.write(PutEpoch { trajectory: trajectory.to_owned(), epoch, shows: None }).await
    }

    /// As [`Store::put_epoch`], for an epoch that shows an excerpt of a playbook as it was at a version.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`]; [`ChangeError::Erased`] where something was erased from the playbook since (law 11).
    pub async fn put_epoch_with_excerpt(
        &self,
        trajectory: &str,
        epoch: EpochRow,
        playbook: PlaybookKey,
        version: u64,
    ) -> Result<(), ChangeError> {
        self.write(PutEpoch { trajectory: trajectory.to_owned(), epoch, shows: Some((playbook, version)) }).await
    }

    /// Returns one epoch of a line.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn epoch(&self, trajectory: &str, line: &str, n: u64) -> Result<Option<EpochRow>, StoreError> {
        let sql = "SELECT line, n, record, created_ms FROM epochs WHERE trajectory_id = $1 AND line = $2 AND n = $3";
        let row = self.reader().await?.row(sql, values![trajectory, line, n]).await?;
        row.as_ref().map(read_epoch).transpose()
    }

    /// Returns the newest epoch of a line.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn latest_epoch(&self, trajectory: &str, line: &str) -> Result<Option<EpochRow>, StoreError> {
        let sql = "SELECT line, n, record, created_ms FROM epochs WHERE trajectory_id = $1 AND line = $2 \
                   ORDER BY n DESC LIMIT 1";
        let row = self.reader().await?.row(sql, values![trajectory, line]).await?;
        row.as_ref().map(read_epoch).transpose()
    }

    /// Returns all epochs of a trajectory, or those of one line, by line and number.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn epochs(&self, trajectory: &str, line: Option<&str>) -> Result<Vec<EpochRow>, StoreError> {
        let sql = "SELECT line, n, record, created_ms FROM epochs \
                   WHERE trajectory_id = $1 AND ($2 IS NULL OR line = $2) ORDER BY line, n";
        self.reader().await?.rows(sql, values![trajectory, line]).await?.iter().map(read_epoch).collect()
    }

    /// Stores a snapshot in place of earlier ones.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`].
    pub async fn put_snapshot(&self, trajectory: &str, snapshot: Snapshot) -> Result<(), ChangeError> {
        self.write(PutSnapshot { trajectory: trajectory.to_owned(), snapshot }).await
    }

    /// Returns the newest snapshot.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn latest_snapshot(&self, trajectory: &str) -> Result<Option<Snapshot>, StoreError> {
        let sql = "SELECT at_length, record FROM snapshots WHERE trajectory_id = $1 ORDER BY at_length DESC LIMIT 1";
        let row = self.reader().await?.row(sql, values![trajectory]).await?;
        row.map(|row| Ok(Snapshot { at_length: row.count(0)?, record: row.bytes(1)? })).transpose()
    }
}

fn read_epoch(row: &Row) -> Result<EpochRow, StoreError> {
    Ok(EpochRow { line: row.text(0)?, n: row.count(1)?, record: row.text(2)?, created_ms: row.int(3)? })
}

struct PutEpoch {
    trajectory: String,
    epoch: EpochRow,
    shows: Option<(PlaybookKey, u64)>,
}

impl Write for PutEpoch {
    type Output = ();
    type Error = ChangeError;

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        lock_length(conn, &self.trajectory).await?;
        if let Some((key, version)) = &self.shows
            && was_erased_from(conn, key, *version).await?
        {
            return Err(ChangeError::Erased);
        }
        let sql = "INSERT INTO epochs (trajectory_id, line, n, record, created_ms) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (trajectory_id, line, n) \
                   DO UPDATE SET record = excluded.record, created_ms = excluded.created_ms";
        let epoch = &self.epoch;
        let bound =
            values![self.trajectory.as_str(), epoch.line.as_str(), epoch.n, epoch.record.as_str(), epoch.created_ms];
        conn.execute(sql, bound).await?;
        Ok(())
    }
}

struct PutSnapshot {
    trajectory: String,
    snapshot: Snapshot,
}

impl Write for PutSnapshot {
    type Output = ();
    type Error = ChangeError;

    fn weight(&self) -> usize {
        self.snapshot.record.len()
    }

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        lock_length(conn, &self.trajectory).await?;
        conn.execute("DELETE FROM snapshots WHERE trajectory_id = $1", values![self.trajectory.as_str()]).await?;
        let sql = "INSERT INTO snapshots (trajectory_id, at_length, record) VALUES ($1, $2, $3)";
        let record = self.snapshot.record.as_slice();
        conn.execute(sql, values![self.trajectory.as_str(), self.snapshot.at_length, record]).await?;
        Ok(())
    }
}
