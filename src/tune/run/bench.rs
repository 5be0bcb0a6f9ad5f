//! One case replayed under one guideline, beside the async workers.

use std::sync::Arc;

use recap_core::tuning::{CaseScore, IdleLine, Loss, MessageCache};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::error::RunError;
use crate::llm::Attempt;
use crate::pipeline::Pipeline;
use crate::pipeline::guidelines::GuidelineSet;
use crate::store::TuningSpent;
use crate::tune::replay::Studied;
use crate::tune::teacher::{Account, Analysed};
use crate::tune::{Budget, RecordedRun, Round, Server};

/// Losses of one case that are kept.
const MOST_LOSSES: usize = 1_000;
/// Idle lines of one case that are kept.
const MOST_IDLE: usize = 400;
/// Bytes of one case's losses and idle lines that are kept, as JSON.
const MOST_BYTES: usize = 256 << 10;

/// What the champion lost in one case, and what it kept for nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CaseEvidence {
    /// Lost values.
    pub losses: Vec<Loss>,
    /// Kept lines whose values no later action used.
    pub idle: Vec<IdleLine>,
    /// What a chat model made of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysed: Option<Analysed>,
    /// Whether a model cannot be asked about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_passed_over: bool,
}

impl CaseEvidence {
    /// Cuts it to so many bytes, as JSON: three quarters for losses and the rest for idle lines.
    #[must_use]
    pub fn within(mut self, most_bytes: usize) -> Self {
        let of_losses = most_bytes / 4 * 3;
        cut(&mut self.losses, of_losses);
        cut(&mut self.idle, most_bytes - of_losses);
        self
    }

    /// Tells whether there is no more to ask about it.
    #[must_use]
    pub fn is_analysed(&self) -> bool {
        self.analysed.is_some() || self.is_passed_over
    }
}

/// What is to be known of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The score.
    Score,
    /// The evidence, too.
    Evidence,
}

/// A case as it is replayed.
pub(super) struct Tried {
    pub name: String,
    pub task: String,
    pub run: Arc<RecordedRun>,
    pub set: GuidelineSet,
    pub wanted: Wanted,
}

/// What came of it.
pub(super) struct Replayed {
    /// The score, or why there is none.
    pub score: Result<CaseScore, String>,
    pub evidence: Option<CaseEvidence>,
    pub spent: TuningSpent,
    /// Calls of models that compressed.
    pub attempts: Vec<Attempt>,
}

/// Where cases are replayed.
#[derive(Clone)]
pub(super) struct Bench {
    pub pipeline: Pipeline,
    pub budget: Budget,
    pub model: String,
}

impl Bench {
    /// Replays a case. One that cannot be served has no score, which the gate counts against who served it.
    ///
    /// # Errors
    ///
    /// [`RunError::CutOff`] where the process ends.
    pub async fn replay(&self, tried: Tried) -> Result<Replayed, RunError> {
        let own = self.clone();
        let done = tokio::task::spawn_blocking(move || own.replayed(&tried)).await;
        match done {
            Ok(replayed) => Ok(replayed),
            Err(error) if error.is_panic() => Ok(Replayed {
                score: Err("replaying it failed inside recapd".to_owned()),
                evidence: None,
                spent: TuningSpent::default(),
                attempts: Vec::new(),
            }),
            Err(_) => Err(RunError::CutOff("a replay was stopped")),
        }
    }

    /// Returns what serves under a set.
    pub fn server<'a>(&'a self, set: &'a GuidelineSet) -> Server<'a> {
        Server {
            config: self.pipeline.config(),
            counters: self.pipeline.counters(),
            guideline: set,
            model: &self.model,
            compressors: self.pipeline.compressors(),
        }
    }

    fn replayed(&self, tried: &Tried) -> Replayed {
        let began = Instant::now();
        let server = self.server(&tried.set);
        let (mut round, mut cache) = (Round::new(self.budget), MessageCache::default());
        let done = match tried.wanted {
            Wanted::Score => round.replay(&tried.run, &mut cache, &server).map(|()| None),
            Wanted::Evidence => round.study(&tried.run, &mut cache, &server).map(Some),
        };
        let (score, evidence) = match done {
            Err(error) => (Err(error.to_string()), None),
            Ok(studied) => match round.scores.pop() {
                Some(score) => (Ok(CaseScore::of(&tried.name, &tried.task, &score)), studied.map(evidence)),
                None => (Err("it has no action".to_owned()), None),
            },
        };
        let attempts = round.models.attempts;
        Replayed { score, evidence, spent: spent(&Account::of(&attempts), began), attempts }
    }
}

fn evidence(studied: Studied) -> CaseEvidence {
    let Studied { mut losses, mut idle } = studied;
    losses.truncate(MOST_LOSSES);
    idle.truncate(MOST_IDLE);
    CaseEvidence { losses, idle, ..CaseEvidence::default() }.within(MOST_BYTES)
}

/// Keeps the first items that fit into so many bytes.
fn cut<T: Serialize>(items: &mut Vec<T>, most_bytes: usize) {
    let mut left = most_bytes;
    let fit = items.iter().take_while(|item| {
        let bytes = serde_json::to_vec(item).map_or(usize::MAX, |json| json.len());
        left.checked_sub(bytes).map(|rest| left = rest).is_some()
    });
    let fit = fit.count();
    items.truncate(fit);
}

/// Returns what a step took that began at a time.
pub(super) fn spent(account: &Account, began: Instant) -> TuningSpent {
    TuningSpent {
        tokens: account.tokens(),
        cost_usd_micros: account.cost_usd_micros,
        is_unpriced: account.unpriced > 0,
        worked_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_cut_by_bytes() {
        let cut_to = |most_bytes: usize| {
            let mut items = vec!["four"; 5];
            cut(&mut items, most_bytes);
            items.len()
        };
        // each takes six bytes with its quotes
        assert_eq!([0, 5, 6, 17, 18, 30, 1_000].map(cut_to), [0, 0, 1, 2, 3, 5, 5]);
    }
}
