//! How one trajectory did under one version: what a gate compares.

use serde::{Deserialize, Serialize};

use super::replay::TrajectoryScore;

/// How one trajectory did. Counts are ratios' two sides; sizes are tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseScore {
    /// The trajectory.
    pub case: String,
    /// The task: cases of one task stand on one side of a split and are resampled together.
    pub task: String,
    /// Whether the agent succeeded, where it was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<bool>,
    /// Values that actions needed.
    pub need: usize,
    /// Of those, present in the served context.
    pub kept: usize,
    /// Of those, present near the words that gave them meaning.
    pub bound: usize,
    /// Values from older observations that were used for the first time.
    pub first: usize,
    /// Of those, bound.
    pub first_kept: usize,
    /// Input tokens, an unchanged prefix at 0.1.
    pub billed: f64,
    /// The same without compression.
    pub full_billed: f64,
    /// Contexts that were over the budget, invalid, or could not be served.
    pub faults: usize,
}

impl CaseScore {
    /// Takes what a replay counted.
    #[must_use]
    pub fn of(case: &str, task: &str, score: &TrajectoryScore) -> Self {
        Self {
            case: case.to_owned(),
            task: task.to_owned(),
            success: None,
            need: score.need,
            kept: score.kept,
            bound: score.bound,
            first: score.first,
            first_kept: score.first_kept,
            billed: score.billed,
            full_billed: score.full_billed,
            faults: score.over + score.invalid,
        }
    }
}
