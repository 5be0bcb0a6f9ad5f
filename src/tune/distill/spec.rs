//! What a distillation run is asked to do.

use recap_core::tuning::{By, Split};
use serde::{Deserialize, Serialize};

use super::{Course, Outcomes, Terms};
use crate::pipeline::failure::{Failure, Fault};
use crate::store::TrajectoryFilter;

/// Tokens of an input that may be asked for.
const SOURCE_TOKENS: std::ops::RangeInclusive<u32> = 256..=1_000_000;
/// Epochs of a training.
pub const EPOCHS: std::ops::RangeInclusive<u32> = 1..=200;
/// Trajectories of one run.
const MOST_CASES: u32 = 100_000;

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Examples in chat format, as a file in the daemon's data folder.
    Export,
    /// A head that `extract` asks, judged by the gate.
    Train,
}

/// Which stored trajectories are read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// Only of this namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Only of this agent.
    #[serde(default)]
    pub agent: Option<String>,
    /// Only those that were made at or after this, in milliseconds since 1970.
    #[serde(default)]
    pub since_ms: Option<i64>,
    /// At most this many, newest first.
    #[serde(default)]
    pub limit: Option<u32>,
    /// Leaves out those whose largest full context is smaller, the system prompt apart, in tokens.
    #[serde(default)]
    pub min_peak: Option<u32>,
}

impl Cases {
    /// Returns what is listed.
    #[must_use]
    pub fn filter(&self) -> TrajectoryFilter {
        TrajectoryFilter {
            namespace: self.namespace.clone(),
            agent: self.agent.clone(),
            since_ms: self.since_ms,
            ..TrajectoryFilter::default()
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What is made.
    pub kind: Kind,
    /// Of which trajectories.
    #[serde(default)]
    pub cases: Cases,
    /// Parts the examples by task.
    #[serde(default)]
    pub split: Option<Split>,
    /// Whose work.
    #[serde(default)]
    pub compressor: By,
    /// Of runs that ended how.
    #[serde(default)]
    pub outcomes: Outcomes,
    /// Most tokens of an input.
    pub max_source_tokens: u32,
    /// How a head is trained.
    pub course: Course,
}

impl Spec {
    /// Most tokens of an input where nothing else is asked.
    pub const SOURCE_TOKENS: u32 = 32_000;

    /// Checks every number.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with every fault.
    pub fn checked(self) -> Result<Self, Failure> {
        let mut faults = Vec::new();
        let mut fault = |pointer: &str, detail: String| faults.push(Fault { pointer: pointer.to_owned(), detail });
        if let Some(Err(error)) = self.split.map(|split| Split::new(split.seed, split.held_out)) {
            fault("/split/held_out", error.to_string());
        }
        if !SOURCE_TOKENS.contains(&self.max_source_tokens) {
            let (least, most) = (SOURCE_TOKENS.start(), SOURCE_TOKENS.end());
            fault("/max_source_tokens", format!("must be from {least} to {most}"));
        }
        if !EPOCHS.contains(&self.course.epochs) {
            fault("/epochs", format!("must be from {} to {}", EPOCHS.start(), EPOCHS.end()));
        }
        if self.cases.limit.is_some_and(|limit| limit == 0 || limit > MOST_CASES) {
            fault("/cases/limit", format!("must be from 1 to {MOST_CASES}"));
        }
        if faults.is_empty() { Ok(self) } else { Err(Failure::Invalid(faults)) }
    }

    /// The least peak of a run that a head is trained on where nothing else is asked.
    pub const MIN_PEAK: u32 = 4_000;

    /// Returns the least peak of a run that a head is trained on.
    #[must_use]
    pub fn min_peak(&self) -> u32 {
        self.cases.min_peak.unwrap_or(Self::MIN_PEAK)
    }

    /// Returns what is exported.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            by: self.compressor,
            outcomes: self.outcomes,
            most_source_tokens: self.max_source_tokens,
            split: self.split,
        }
    }
}
