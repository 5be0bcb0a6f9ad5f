//! A stored trajectory seen again from its start: with what it was served before each action.

use std::collections::BTreeMap;

use recap_core::context::{Admitted, Compression, ContextRequest, EpochRecord, Session};
use serde_json::Value;

use super::Pipeline;
use super::failure::Failure;
use super::keys::Caller;
use super::serve_context::record_of;
use crate::store::{AuditRow, EpochRow, NewJob, TrajectoryRow};

/// The kind of jobs that look back on a trajectory's grounding.
pub const AUDIT: &str = "audit";

/// Messages after which a trajectory without an outcome is looked back on again.
const AUDIT_EVERY: u64 = 128;
/// How long such a look back waits for others to come along, and for more urgent work.
const AUDIT_AFTER_MS: i64 = 30_000;

/// A stored trajectory, ready to be appended message by message to an empty session.
pub struct Hindsight {
    /// Its record.
    pub row: TrajectoryRow,
    /// Under its settings of now, without messages.
    pub session: Session,
    /// All its messages.
    pub messages: Vec<Admitted>,
    /// What models made for it, recaps in the order of their turns.
    pub made: Vec<Compression>,
    /// How the agent reads.
    pub request: ContextRequest,
    /// The epochs of these reads, oldest first.
    pub epochs: Vec<EpochRecord>,
}

impl Pipeline {
    /// Reads a stored trajectory with the epochs of the line of reads that has most of them, which is the agent's own.
    /// `None` where nobody ever read it.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], and what the store fails with.
    pub async fn hindsight(&self, id: &str) -> Result<Option<Hindsight>, Failure> {
        let Some((request, rows)) = own_line(self.store().epochs(id, None).await?) else { return Ok(None) };
        let epochs = rows.iter().map(record_of).collect::<Result<_, _>>()?;
        let made = self.compressions(id).await?;
        let live = self.load(id).await?;
        let session = live.session.rewound();
        Ok(Some(Hindsight { row: live.row, session, messages: live.session.into_messages(), made, request, epochs }))
    }

    /// Returns a trajectory's newest audit.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`] where there is no such trajectory, or it was not audited.
    pub async fn grounding_audit(&self, caller: &Caller, id: &str) -> Result<AuditRow, Failure> {
        self.record(caller, id).await?;
        let audit = self.store().audit_of(id).await?;
        audit.ok_or_else(|| Failure::NotFound(format!("an audit of trajectory `{id}`")))
    }

    /// Has the grounding of an ended run looked back on, where that is wanted.
    pub(super) async fn ask_to_audit(&self, row: &TrajectoryRow) -> Result<(), Failure> {
        self.enqueue_audit(row, 0).await
    }

    /// Has the grounding of a run looked back on that goes on, each time it has grown by some messages. It may be left
    /// out: an append does not fail with it.
    pub(super) async fn audit_along(&self, row: TrajectoryRow, appended: u64) {
        let before = row.length.saturating_sub(appended);
        if before / AUDIT_EVERY == row.length / AUDIT_EVERY {
            return;
        }
        if let Err(error) = self.enqueue_audit(&row, AUDIT_AFTER_MS).await {
            tracing::warn!(%error, trajectory = row.id, "a look back on its grounding is left out");
        }
    }

    async fn enqueue_audit(&self, row: &TrajectoryRow, after_ms: i64) -> Result<(), Failure> {
        if !self.config().tuning.audit {
            return Ok(());
        }
        let now_ms = self.world().now_ms();
        let job = NewJob {
            id: self.world().new_id(),
            kind: AUDIT.to_owned(),
            key: row.id.clone(),
            trajectory: Some(row.id.clone()),
            namespace: row.namespace.clone(),
            payload: Value::Null,
            run_after_ms: now_ms.saturating_add(after_ms),
            now_ms,
        };
        self.store().enqueue_job(job).await.map_err(|error| Failure::of_change(error, &row.id))?;
        Ok(())
    }
}

/// The line with most epochs, the newest of several, with its epochs in order.
fn own_line(rows: Vec<EpochRow>) -> Option<(ContextRequest, Vec<EpochRow>)> {
    let mut lines: BTreeMap<String, Vec<EpochRow>> = BTreeMap::new();
    for row in rows {
        lines.entry(row.line.clone()).or_default().push(row);
    }
    let newest = |rows: &[EpochRow]| rows.iter().map(|row| row.created_ms).max();
    let read = lines.into_iter().filter_map(|(line, rows)| Some((ContextRequest::of_line(&line)?, rows)));
    let (request, mut rows) = read.max_by_key(|(_, rows)| (rows.len(), newest(rows)))?;
    rows.sort_by_key(|row| row.n);
    Some((request, rows))
}
