//! A head looked at on runs of another domain. This is told beside a trial and judges nothing.

use std::collections::HashSet;

use recap_core::context::ActiveHead;
use recap_core::tuning::{Comparison, Margins, compare};
use serde::Serialize;

use super::sides::{Measures, Sides};
use super::trial::in_words;
use crate::pipeline::guidelines::GuidelineSet;
use crate::store::Measured;
use crate::tune::{RecordedRun, ReplayError, Server};

/// A look elsewhere at work.
pub struct Look {
    known: HashSet<String>,
    left_out: u64,
    sides: Sides,
}

/// What a look elsewhere found.
#[derive(Debug, Serialize)]
pub struct Elsewhere {
    /// What scored beside the head.
    #[serde(rename = "measured", serialize_with = "in_words")]
    pub against: Measured,
    /// Runs that were compared.
    pub runs: usize,
    /// Tasks that they are of.
    pub tasks: usize,
    /// Runs that were left out because a run of the training has the same task.
    pub known: u64,
    /// Runs that were left out because they cannot be served with what scores now.
    pub unserved: u64,
    /// The measures at each budget.
    pub measures: Vec<Compared>,
}

/// The measures at one budget, and how the head's differ.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// The measures with what scores now and with the head.
    #[serde(flatten)]
    pub of: Measures,
    /// How the head's differ, by task.
    #[serde(flatten)]
    pub change: Comparison,
    /// The members in which the head is surely worse.
    pub harms: Vec<&'static str>,
}

impl Look {
    /// Begins to look at `head` beside what the set's own head does, or rules where it has none. `known` are the tasks of all
    /// runs that the training was given.
    #[must_use]
    pub fn new(known: HashSet<String>, set: &GuidelineSet, head: ActiveHead) -> Self {
        Self { known, left_out: 0, sides: Sides::new(set, head) }
    }

    /// Replays a run on both sides unless its task is known. Returns why one side cannot serve it: where that is what scores
    /// now, the run is left out; where it is the head, its scores are missing.
    pub fn take(&mut self, run: &RecordedRun, server: &Server<'_>) -> Option<ReplayError> {
        if self.known.contains(&run.task) {
            self.left_out += 1;
            return None;
        }
        self.sides.take(run, server)
    }

    /// Compares what was taken.
    #[must_use]
    pub fn told(&self, margins: &Margins, seed: u64) -> Elsewhere {
        let measures = self.sides.scored().map(|scored| {
            let change = compare(&scored.champion, &scored.candidate, margins, seed);
            Compared { of: scored.measures, harms: change.harms(), change }
        });
        Elsewhere {
            against: self.sides.against(),
            runs: self.sides.runs(),
            tasks: self.sides.tasks(),
            known: self.left_out,
            unserved: self.sides.unserved(),
            measures: measures.collect(),
        }
    }
}
