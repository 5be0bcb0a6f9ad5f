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

/// Returns a configuration under which a head has its word and nothing else scores.
#[must_use]
pub fn asking_heads(config: &Config) -> Config {
    let mut config = config.clone();
    config.compress.history = Compressor::Extract;
    config.models.reranker = None;
    config
}

/// A trial at work: the champion's side and the candidate's, each at every budget.
pub struct Trial {
    split: Split,
    sets: [GuidelineSet; 2],
    rounds: Vec<[Round; 2]>,
    tasks: Vec<(String, String)>,
}

/// What a trial came to.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What scored on the champion's side.
    #[serde(rename = "measured", serialize_with = "in_words")]
    pub against: Measured,
    /// What the gate says.
    pub verdict: Verdict,
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it so")]
fn in_words<S: Serializer>(measured: &Measured, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(measured)
}

impl Trial {
    /// Begins a trial of `head` beside what the set's own head does, or rules where it has none.
    #[must_use]
    pub fn new(split: Split, set: &GuidelineSet, head: ActiveHead) -> Self {
        let candidate = GuidelineSet { head: Some(Arc::new(head)), ..set.clone() };
        let rounds = BUDGETS.map(|budget| [Round::new(budget), Round::new(budget)]).into();
        Self { split, sets: [set.clone(), candidate], rounds, tasks: Vec::new() }
    }

    /// Replays a run on both sides if its task is held out. Tells whether it is.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] where a context cannot be served.
    pub fn take(&mut self, run: &RecordedRun, server: &Server<'_>) -> Result<bool, ReplayError> {
        if self.split.side(&run.task) == Side::Train {
            return Ok(false);
        }
        let mut cache = MessageCache::default();
        for sides in &mut self.rounds {
            for (round, guideline) in sides.iter_mut().zip(&self.sets) {
                round.replay(run, &mut cache, &Server { guideline, ..*server })?;
            }
        }
        self.tasks.push((run.id.clone(), run.task.clone()));
        Ok(true)
    }

    /// Has the gate judge.
    #[must_use]
    pub fn judge(&self, margins: &Margins, seed: u64) -> Outcome {
        let [champion, candidate] = [0, 1].map(|side| self.cases(side));
        let measures = self.rounds.iter().map(|[champion, candidate]| Measures {
            budget: champion.budget.to_json(),
            champion: Summary::of(&champion.scores),
            candidate: Summary::of(&candidate.scores),
        });
        let scored = self.sets.first().and_then(|set| set.head.as_ref());
        Outcome {
            against: Measured::of(scored.map(|head| head.hash)),
            verdict: judge(Objective::Utility, &champion, &candidate, margins, seed),
            measures: measures.collect(),
        }
    }

    /// One case for each run and budget.
    fn cases(&self, side: usize) -> Vec<CaseScore> {
        let rounds = self.rounds.iter().filter_map(|sides| sides.get(side)).enumerate();
        let of = |(at, round): (usize, &Round)| -> Vec<CaseScore> {
            let scored = self.tasks.iter().zip(&round.scores).enumerate();
            scored.map(|(n, ((id, task), score))| CaseScore::of(&format!("{n}:{id}@{at}"), task, score)).collect()
        };
        rounds.flat_map(of).collect()
    }
}
