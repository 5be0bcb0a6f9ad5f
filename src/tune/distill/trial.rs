//! A head tried on runs that it was not trained on: what contexts keep with it, beside what they keep without.

use recap_core::context::ActiveHead;
use recap_core::tuning::{Margins, Objective, Side, Split, Verdict, judge};
use serde::{Serialize, Serializer};

use super::sides::{Measures, Sides};
use crate::config::{Compressor, Config};
use crate::pipeline::guidelines::GuidelineSet;
use crate::store::Measured;
use crate::tune::{RecordedRun, ReplayError, Server};

/// Returns a configuration under which rules serve and nothing scores: examples are the same whatever head is active.
#[must_use]
pub fn by_rules(config: &Config) -> Config {
    with_history(config, Compressor::Rules)
}

/// Returns a configuration under which a head has its word and nothing else scores.
#[must_use]
pub fn asking_heads(config: &Config) -> Config {
    with_history(config, Compressor::Extract)
}

fn with_history(config: &Config, by: Compressor) -> Config {
    let mut config = config.clone();
    config.compress.history = by;
    config.models.reranker = None;
    config
}

/// A trial at work.
pub struct Trial {
    split: Split,
    sides: Sides,
}

/// What a trial came to.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What scored on the champion's side.
    #[serde(rename = "measured", serialize_with = "in_words")]
    pub against: Measured,
    /// What the gate says.
    pub verdict: Verdict,
    /// Runs that cannot be served with what scores now; they are left out on both sides.
    pub unjudged: u64,
    /// The measures at each budget, with what scores now and with the candidate.
    pub measures: Vec<Measures>,
}

pub(super) fn in_words<S: Serializer>(measured: &Measured, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(measured)
}

impl Trial {
    /// Begins a trial of `head` beside what the set's own head does, or rules where it has none.
    #[must_use]
    pub fn new(split: Split, set: &GuidelineSet, head: ActiveHead) -> Self {
        Self { split, sides: Sides::new(set, head) }
    }

    /// Replays a run on both sides if its task is held out. Returns why one side cannot serve it: where that is the
    /// champion's, the run is left out; where it is the candidate's, the gate misses its scores.
    pub fn take(&mut self, run: &RecordedRun, server: &Server<'_>) -> Option<ReplayError> {
        match self.split.side(&run.task) {
            Side::Train => None,
            Side::HeldOut => self.sides.take(run, server),
        }
    }

    /// Has the gate judge.
    #[must_use]
    pub fn judge(&self, margins: &Margins, seed: u64) -> Outcome {
        let (mut champion, mut candidate, mut measures) = (Vec::new(), Vec::new(), Vec::new());
        for scored in self.sides.scored() {
            champion.extend(scored.champion);
            candidate.extend(scored.candidate);
            measures.push(scored.measures);
        }
        Outcome {
            against: self.sides.against(),
            unjudged: self.sides.unserved(),
            verdict: judge(Objective::Utility, &champion, &candidate, margins, seed),
            measures,
        }
    }
}
