//! What hindsight says of the contexts that trajectories were served.

use super::Store;
use super::engine::Conn;
use super::error::{ChangeError, StoreError};
use super::jobs::{Lease, complete};
use super::trajectories::lock_length;
use super::value::values;
use super::writer::Write;

/// The newest grounding audit of one trajectory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// The hash of code and configuration that made it.
    pub maker: String,
    /// Its JSON.
    pub record: String,
    /// When it was made, in milliseconds since 1970.
    pub at_ms: i64,
}

impl Store {
    /// Stores a trajectory's audit in place of the one before and completes the job that made it, both or neither.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`]; [`ChangeError::LeaseLost`] where the job is another runner's by now.
    pub async fn put_audit(&self, trajectory: &str, audit: AuditRow, lease: Lease) -> Result<(), ChangeError> {
        self.write(PutAudit { trajectory: trajectory.to_owned(), audit, lease }).await
    }

    /// Returns a trajectory's audit, if there is one.
    ///
    /// # Errors
    /// Fails when the store does.
    pub async fn audit_of(&self, trajectory: &str) -> Result<Option<AuditRow>, StoreError> {
        let sql = "SELECT maker, record, at_ms FROM audits WHERE trajectory_id = $1";
        let row = self.reader().await?.row(sql, values![trajectory]).await?;
        row.map(|row| Ok(AuditRow { maker: row.text(0)?, record: row.text(1)?, at_ms: row.int(2)? })).transpose()
    }
}

struct PutAudit {
    trajectory: String,
    audit: AuditRow,
    lease: Lease,
}

impl Write for PutAudit {
    type Output = ();
    type Error = ChangeError;

    fn weight(&self) -> usize {
        self.audit.record.len()
    }

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        lock_length(conn, &self.trajectory).await?;
        let sql = "INSERT INTO audits (trajectory_id, maker, record, at_ms) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (trajectory_id) \
                   DO UPDATE SET maker = excluded.maker, record = excluded.record, at_ms = excluded.at_ms";
        let AuditRow { maker, record, at_ms } = &self.audit;
        let bound = values![self.trajectory.as_str(), maker.as_str(), record.as_str(), *at_ms];
        conn.execute(sql, bound).await?;
        if complete(conn, &self.lease, *at_ms).await? { Ok(()) } else { Err(ChangeError::LeaseLost) }
    }
}
