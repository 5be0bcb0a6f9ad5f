//! A head tried on runs that it was not trained on: what contexts keep with it, beside what they keep without.

use std::sync::Arc;

use recap_core::context::ActiveHead;
use recap_core::tuning::{CaseScore, Margins, MessageCache, Objective, Side, Split, Summary, Verdict, judge};
use serde::{Serialize, Serializer};

use super::samples::BUDGETS;
use crate::config::{Compressor, Config};
use crate::pipeline::guidelines::GuidelineSet;
use crate::store::Measured;
use crate::tune::{RecordedRun, ReplayError, Round, Server};

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
    champion: Half,
    candidate: Half,
    taken: usize,
    unserved: u64,
}

/// One side of a trial, at every budget.
struct Half {
    set: GuidelineSet,
    rounds: Vec<Round>,
    /// Each run's place among those that were taken, its id and its task.
    runs: Vec<(usize, String, String)>,
}

impl Half {
    fn new(set: GuidelineSet) -> Self {
        Self { set, rounds: BUDGETS.map(Round::new).into(), runs: Vec::new() }
    }

    /// Replays a run at every budget; one that cannot be served at each of them counts at none.
    fn replay(
        &mut self,
        (n, run): (usize, &RecordedRun),
        cache: &mut MessageCache,
        server: &Server<'_>,
    ) -> Result<(), ReplayError> {
        for round in &mut self.rounds {
            if let Err(error) = round.replay(run, cache, &Server { guideline: &self.set, ..*server }) {
                for round in &mut self.rounds {
                    round.ids.truncate(self.runs.len());
                    round.scores.truncate(self.runs.len());
                }
                return Err(error);
            }
        }
        self.runs.push((n, run.id.clone(), run.task.clone()));
        Ok(())
    }

    /// One case for each run and budget.
    fn cases(&self) -> Vec<CaseScore> {
        let of = |(at, round): (usize, &Round)| -> Vec<CaseScore> {
            let scored = self.runs.iter().zip(&round.scores);
            scored.map(|((n, id, task), score)| CaseScore::of(&format!("{n}:{id}@{at}"), task, score)).collect()
        };
        self.rounds.iter().enumerate().flat_map(of).collect()
    }
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

/// The measures at one budget.
#[derive(Debug, Serialize)]
pub struct Measures {
    /// The budget.
    pub budget: serde_json::Value,
    /// With what scores now.
    pub champion: Summary,
    /// With the candidate.
    pub candidate: Summary,
}

fn in_words<S: Serializer>(measured: &Measured, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(measured)
}

impl Trial {
    /// Begins a trial of `head` beside what the set's own head does, or rules where it has none.
    #[must_use]
    pub fn new(split: Split, set: &GuidelineSet, head: ActiveHead) -> Self {
        let candidate = GuidelineSet { head: Some(Arc::new(head)), ..set.clone() };
        Self { split, champion: Half::new(set.clone()), candidate: Half::new(candidate), taken: 0, unserved: 0 }
    }

    /// Replays a run on both sides if its task is held out. Returns why one side cannot serve it: where that is the
    /// champion's, the run is left out; where it is the candidate's, the gate misses its scores.
    pub fn take(&mut self, run: &RecordedRun, server: &Server<'_>) -> Option<ReplayError> {
        if self.split.side(&run.task) == Side::Train {
            return None;
        }
        let mut cache = MessageCache::default();
        self.taken += 1;
        if let Err(error) = self.champion.replay((self.taken, run), &mut cache, server) {
            self.unserved += 1;
            return Some(error);
        }
        self.candidate.replay((self.taken, run), &mut cache, server).err()
    }

    /// Has the gate judge.
    #[must_use]
    pub fn judge(&self, margins: &Margins, seed: u64) -> Outcome {
        let [champion, candidate] = [&self.champion, &self.candidate].map(Half::cases);
        let rounds = self.champion.rounds.iter().zip(&self.candidate.rounds);
        let measures = rounds.map(|(champion, candidate)| Measures {
            budget: champion.budget.to_json(),
            champion: Summary::of(&champion.scores),
            candidate: Summary::of(&candidate.scores),
        });
        Outcome {
            against: Measured::of(self.champion.set.head.as_ref().map(|head| head.hash)),
            unjudged: self.unserved,
            verdict: judge(Objective::Utility, &champion, &candidate, margins, seed),
            measures: measures.collect(),
        }
    }
}
