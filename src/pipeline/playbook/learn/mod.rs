//! What models learn from runs (ACE, arXiv 2510.04618): a reflector looks back, a curator turns that into operations, and
//! what of them stands is decided on the playbook as it is when it is written.
//!
//! `teacher` asks the models, `decide` is pure, `job` learns from a stored run after its outcome, `offline` from a recorded
//! one. In the mode without labels nothing that was said of a run's end is read.

mod decide;
mod job;
mod offline;
mod teacher;

pub use decide::Effect;
pub use job::{LEARN, Learned};
pub use offline::{Recorded, Taught};

use recap_core::playbook::learn::Labels;

use crate::store::Outcome;

/// Who the log names for what models learned.
const ACTOR: &str = "recapd";

/// Returns what a reflector is told of an outcome, and what the log says of that.
fn labels_of(outcome: Option<&Outcome>) -> (Labels<'_>, &'static str) {
    let Some(outcome) = outcome else { return (Labels::None, "none") };
    let feedback = outcome.feedback.as_deref().unwrap_or_default();
    let name = if feedback.trim().is_empty() { "outcome" } else { "feedback" };
    (Labels::Known { status: outcome.status.as_str(), score: outcome.score, feedback }, name)
}
