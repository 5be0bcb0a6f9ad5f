//! A stored trajectory with all that was made for it, apart from its live state.

use std::sync::Arc;

use recap_core::context::{Compression, EpochRecord, Session};

use super::Pipeline;
use super::failure::Failure;
use super::guidelines::GuidelineSet;
use super::keys::Caller;
use super::serve_context::record_of;
use crate::store::TrajectoryRow;

/// A stored trajectory.
pub struct StoredRun {
    /// Its record.
    pub row: TrajectoryRow,
    /// All of it, with what models made.
    pub session: Session,
    /// The guidelines that steer it.
    pub guidelines: Arc<GuidelineSet>,
    /// Its epochs by line and number.
    pub epochs: Vec<EpochRecord>,
    /// What models made for it, oldest first.
    pub made: Vec<Compression>,
}

impl Pipeline {
    /// Reads a stored trajectory whole. Its live state is left alone.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn stored_run(&self, caller: &Caller, id: &str) -> Result<StoredRun, Failure> {
        self.record(caller, id).await?;
        let live = self.load(id).await?;
        let made = self.compressions(id).await?;
        let epochs = self.store().epochs(id, None).await?.iter().map(record_of).collect::<Result<_, _>>()?;
        Ok(StoredRun { row: live.row, session: live.session, guidelines: live.guidelines, epochs, made })
    }
}

/// Returns the name of a trajectory's task: runs of one task stand on one side of every split. `metadata.task_id`, else
/// `metadata.task`, else the task's words, else the trajectory's own id.
#[must_use]
pub fn task_of(row: &TrajectoryRow) -> String {
    let told = |name: &str| row.metadata.as_ref()?.get(name)?.as_str().map(str::to_owned);
    let words = || row.task.as_ref().map(|task| blake3::hash(task.as_bytes()).to_hex().to_string());
    told("task_id").or_else(|| told("task")).or_else(words).unwrap_or_else(|| row.id.clone())
}
