//! Tuning runs: what was asked for, how far they are, their cases, candidates and scores.
//!
//! Every step is a row that is written once: whoever goes on after a crash does what has no row yet.

mod candidates;
mod cases;
mod forget;
mod proposals;
mod runs;

use super::engine::Row;
use super::error::StoreError;

pub use candidates::{CHAMPION, CandidateStatus, CheckedCandidates, TuningCandidate, TuningScore};
pub use cases::TuningCase;
pub(super) use forget::{forget_in_tuning, forget_pair};
pub use runs::{Resumer, TuningChange, TuningPage, TuningRun, TuningSpent, TuningStage, TuningState};

/// Reads a name of a closed list.
fn named<T: Copy>(row: &Row, index: usize, all: &[(T, &str)]) -> Result<T, StoreError> {
    let name = row.text(index)?;
    let found = all.iter().find(|(_, known)| *known == name);
    found.map(|(value, _)| *value).ok_or(StoreError::Unreadable("a name in a tuning run"))
}
