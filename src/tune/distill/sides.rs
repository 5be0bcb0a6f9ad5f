//! Runs replayed on two sides, with what scores now and with a head, and what the contexts of both keep.

use std::collections::HashSet;
use std::sync::Arc;

use recap_core::context::ActiveHead;
use recap_core::tuning::{CaseScore, MessageCache, Summary};
use serde::Serialize;

use super::samples::BUDGETS;
use crate::pipeline::guidelines::GuidelineSet;
use crate::store::Measured;
use crate::tune::{Heard, RecordedRun, ReplayError, Round, Server};

/// Both sides at every budget.
pub(super) struct Sides {
    champion: Half,
    candidate: Half,
    taken: usize,
    unserved: u64,
}

/// One side, at every budget.
struct Half {
    set: GuidelineSet,
    rounds: Vec<Round>,
    /// Each run's place among those that were taken, its id and its task.
    runs: Vec<(usize, String, String)>,
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
    /// In how many epochs the candidate had a word.
    #[serde(flatten)]
    pub heard: Heard,
}

/// The scores of both sides at one budget.
pub(super) struct Scored {
    pub(super) measures: Measures,
    /// One case for each run.
    pub(super) champion: Vec<CaseScore>,
    /// The same of the candidate.
    pub(super) candidate: Vec<CaseScore>,
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
                    round.heard.truncate(self.runs.len());
                }
                return Err(error);
            }
        }
        self.runs.push((n, run.id.clone(), run.task.clone()));
        Ok(())
    }

    /// One case for each run at the budget of that place.
    fn cases(&self, at: usize, round: &Round) -> Vec<CaseScore> {
        let scored = self.runs.iter().zip(&round.scores);
        scored.map(|((n, id, task), score)| CaseScore::of(&format!("{n}:{id}@{at}"), task, score)).collect()
    }
}

impl Sides {
    /// Begins with `head` beside what the set's own head does, or rules where it has none.
    pub(super) fn new(set: &GuidelineSet, head: ActiveHead) -> Self {
        let candidate = GuidelineSet { head: Some(Arc::new(head)), ..set.clone() };
        Self { champion: Half::new(set.clone()), candidate: Half::new(candidate), taken: 0, unserved: 0 }
    }

    /// Replays a run on both sides. Returns why one cannot serve it: where that is the champion's, the run is left out;
    /// where it is the candidate's, that misses its scores.
    pub(super) fn take(&mut self, run: &RecordedRun, server: &Server<'_>) -> Option<ReplayError> {
        let mut cache = MessageCache::default();
        self.taken += 1;
        if let Err(error) = self.champion.replay((self.taken, run), &mut cache, server) {
            self.unserved += 1;
            return Some(error);
        }
        self.candidate.replay((self.taken, run), &mut cache, server).err()
    }

    /// Returns what scores on the champion's side.
    pub(super) fn against(&self) -> Measured {
        Measured::of(self.champion.set.head.as_ref().map(|head| head.hash))
    }

    /// Returns how many runs the champion's side served.
    pub(super) fn runs(&self) -> usize {
        self.champion.runs.len()
    }

    /// Returns how many tasks these are of.
    pub(super) fn tasks(&self) -> usize {
        self.champion.runs.iter().map(|(_, _, task)| task).collect::<HashSet<_>>().len()
    }

    /// Returns how many runs are left out because the champion's side cannot serve them.
    pub(super) fn unserved(&self) -> u64 {
        self.unserved
    }

    /// Returns the scores at each budget.
    pub(super) fn scored(&self) -> impl Iterator<Item = Scored> {
        let rounds = self.champion.rounds.iter().zip(&self.candidate.rounds).enumerate();
        rounds.map(|(at, (champion, candidate))| Scored {
            measures: Measures {
                budget: champion.budget.to_json(),
                champion: Summary::of(&champion.scores),
                candidate: Summary::of(&candidate.scores),
                heard: candidate.heard.iter().copied().sum(),
            },
            champion: self.champion.cases(at, champion),
            candidate: self.candidate.cases(at, candidate),
        })
    }
}
