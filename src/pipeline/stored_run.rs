//! A stored trajectory with all that was made for it, apart from its live state.

use std::sync::Arc;

use recap_core::context::{Compression, EpochRecord, Session};

use super::Pipeline;
use super::failure::Failure;
use super::guidelines::GuidelineSet;
use super::keys::Caller;
use super::serve_context::record_of;
use super::task::{OPENING, TaskTold};
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
    /// Its task's name.
    pub task: String,
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
        let opening = self.store().messages(id, 0..OPENING as u64).await?;
        let told = TaskTold::from(&live.row).name(opening.iter().map(|message| message.native.as_ref()));
        let task = told.unwrap_or_else(|| id.to_owned());
        Ok(StoredRun { row: live.row, session: live.session, guidelines: live.guidelines, epochs, made, task })
    }
}
