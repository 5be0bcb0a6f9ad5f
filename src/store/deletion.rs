//! Deletion of a trajectory with everything derived from it (law 11).

use std::collections::BTreeSet;

use serde::Serialize;

use super::Store;
use super::dialect;
use super::engine::Conn;
use super::error::{ChangeError, StoreError};
use super::model_calls::release_calls;
use super::playbooks::{PlaybookKey, forget_in_playbooks};
use super::trajectories::lock_length;
use super::tuning::forget_in_tuning;
use super::value::values;
use super::writer::Write;

/// What a deletion removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeletionReport {
    /// Messages.
    pub messages: u64,
    /// Originals that no other trajectory refers to, with their words in the index.
    pub originals: u64,
    /// Bytes of those originals.
    pub original_bytes: u64,
    /// Originals that stay because another trajectory refers to them.
    pub shared_originals: u64,
    /// Epochs of all lines.
    pub epochs: u64,
    /// Compressions by models.
    pub compressions: u64,
    /// Grounding audits.
    pub audits: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Idempotency keys.
    pub idempotency_keys: u64,
    /// Jobs that wait, run or are dead.
    pub jobs: u64,
    /// Forks that stay and no longer name their source.
    pub released_forks: u64,
    /// Entries of the ledger of model calls that stay as bills and no longer name it.
    pub released_model_calls: u64,
    /// Operations that playbooks had learned from it alone.
    pub playbook_operations: u64,
    /// Changes of playbooks that came from it and waited for review or had it.
    pub reviews: u64,
    /// Epochs of other trajectories that showed lessons which are gone; they end.
    pub playbook_excerpts: u64,
    /// Cases of tuning runs, with what they showed.
    pub tuning_cases: u64,
    /// Scores of these cases.
    pub tuning_scores: u64,
    /// Pairs of runs that named it.
    pub pairs: u64,
    /// The trajectories of those epochs.
    #[serde(skip)]
    pub ended: BTreeSet<String>,
    /// The playbooks that named it.
    #[serde(skip)]
    pub playbooks: Vec<PlaybookKey>,
}

impl Store {
    /// Deletes a trajectory and everything derived from it, at a time in milliseconds since 1970. Logs of playbooks name
    /// `by`.
    ///
    /// # Errors
    /// [`ChangeError::NoTrajectory`].
    pub async fn delete_trajectory(&self, id: &str, by: &str, at_ms: i64) -> Result<DeletionReport, ChangeError> {
        self.write(Delete { id: id.to_owned(), by: by.to_owned(), at_ms }).await
    }
}

struct Delete {
    id: String,
    by: String,
    at_ms: i64,
}

impl Write for Delete {
    type Output = DeletionReport;
    type Error = ChangeError;

    async fn run(&self, conn: &mut Conn) -> Result<DeletionReport, ChangeError> {
        lock_length(conn, &self.id).await?;
        let mut report = DeletionReport::default();
        let own = self.own_originals(conn, &mut report).await?;
        let id = self.id.as_str();
        let idempotency = "DELETE FROM idempotency WHERE trajectory_id = $1";
        report.idempotency_keys = conn.execute(idempotency, values![id]).await?;
        report.jobs = conn.execute("DELETE FROM jobs WHERE trajectory_id = $1", values![id]).await?;
        let compressions = "DELETE FROM compressions WHERE trajectory_id = $1";
        report.compressions = conn.execute(compressions, values![id]).await?;
        report.audits = conn.execute("DELETE FROM audits WHERE trajectory_id = $1", values![id]).await?;
        report.snapshots = conn.execute("DELETE FROM snapshots WHERE trajectory_id = $1", values![id]).await?;
        report.epochs = conn.execute("DELETE FROM epochs WHERE trajectory_id = $1", values![id]).await?;
        conn.execute("DELETE FROM message_originals WHERE trajectory_id = $1", values![id]).await?;
        report.messages = conn.execute("DELETE FROM messages WHERE trajectory_id = $1", values![id]).await?;
        let forks = "UPDATE trajectories SET forked_from = NULL, forked_length = NULL WHERE forked_from = $1";
        report.released_forks = conn.execute(forks, values![id]).await?;
        report.released_model_calls = release_calls(conn, id).await?;
        let forgotten = forget_in_playbooks(conn, id, (self.at_ms, &self.by)).await?;
        report.playbook_operations = forgotten.operations;
        report.reviews = forgotten.reviews;
        report.playbook_excerpts = forgotten.excerpts;
        report.ended = forgotten.trajectories;
        report.playbooks = forgotten.playbooks;
        let forgotten = forget_in_tuning(conn, id).await?;
        report.tuning_cases = forgotten.cases;
        report.tuning_scores = forgotten.scores;
        report.pairs = forgotten.pairs;
        conn.execute("DELETE FROM trajectories WHERE id = $1", values![id]).await?;
        conn.delete_by_number(dialect::forget_words(conn), &own).await?;
        conn.delete_by_number("DELETE FROM originals WHERE id IN", &own).await?;
        Ok(report)
    }
}

impl Delete {
    /// Returns the originals that only this trajectory refers to.
    async fn own_originals(&self, conn: &mut Conn, report: &mut DeletionReport) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT o.id, CAST(LENGTH(o.text) AS BIGINT) FROM originals o \
                   WHERE o.hash IN (SELECT hash FROM message_originals WHERE trajectory_id = $1) \
                   AND NOT EXISTS (SELECT 1 FROM message_originals m WHERE m.hash = o.hash AND m.trajectory_id <> $1)";
        let mut own = Vec::new();
        for row in conn.rows(sql, values![self.id.as_str()]).await? {
            own.push(row.int(0)?);
            report.original_bytes += row.count(1)?;
        }
        let sql = "SELECT COUNT(DISTINCT hash) FROM message_originals WHERE trajectory_id = $1";
        let all = conn.number(sql, values![self.id.as_str()]).await?;
        report.originals = own.len() as u64;
        report.shared_originals = u64::try_from(all).unwrap_or(0).saturating_sub(report.originals);
        Ok(own)
    }
}
