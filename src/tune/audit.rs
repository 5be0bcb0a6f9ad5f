//! The grounding audit of one recorded run: what its contexts keep, and what dropped the rest.

use recap_core::tuning::{Loss, MessageCache, TrajectoryScore};

use super::recorded::RecordedRun;
use super::replay::{Budget, ReplayError, Round, Server};

/// What the audit of one run found.
#[derive(Debug)]
pub struct Audited {
    /// What its contexts keep and cost.
    pub score: TrajectoryScore,
    /// Each value that they lost, with what dropped it.
    pub losses: Vec<Loss>,
}

/// Replays a run through the code that serves and says what dropped each value that its contexts lost.
///
/// # Errors
///
/// [`ReplayError`] where a context cannot be served.
pub fn audit_run(server: &Server<'_>, run: &RecordedRun, budget: Budget) -> Result<Audited, ReplayError> {
    let mut round = Round::new(budget);
    let losses = round.audit(run, &mut MessageCache::default(), server)?;
    Ok(Audited { score: round.scores.pop().unwrap_or_default(), losses })
}
