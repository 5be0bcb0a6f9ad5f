//! Candidates: from what training cases showed to a checked list.

use std::sync::Arc;

use recap_core::tuning::{Candidate, Evidence, Side, TrainingValues};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Work, text_of};
use crate::store::{CheckedCandidates, TuningCase, TuningSpent};
use crate::tune::run::bench::CaseEvidence;
use crate::tune::run::collect::Loaded;
use crate::tune::run::error::RunError;
use crate::tune::run::propose::{Ground, Made, take_in};
use crate::tune::run::spec::Proposer;
use crate::tune::teacher::Proposed;

/// Bytes of all cases' evidence that are in memory at once, as JSON.
const EVIDENCE_BYTES: usize = 64 << 20;

impl Work<'_> {
    /// Does a step towards the candidates: with a model an analysis or a proposal, while there is one to be made; then all
    /// are checked and stored.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub(super) async fn propose(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        let is_taught = self.spec.proposer == Proposer::Llm && self.spec.candidates > 0;
        if is_taught && (self.analyse_next(stop).await? || self.propose_next(stop).await?) {
            return Ok(());
        }
        let began = Instant::now();
        let training = self.training().await?;
        let taught = if is_taught { Some(made_of(self.proposals().await?)) } else { None };
        let evidence = if is_taught { Evidence::default() } else { self.evidence().await? };
        let mut drafts = Vec::new();
        for hash in &self.spec.drafts {
            drafts.push(text_of(self.tuning, &self.set, self.kind.name(), hash).await?);
        }
        let ground = Ground {
            spec: self.spec.clone(),
            kind: self.kind,
            set: self.set.clone(),
            champion: self.champion.to_string(),
            drafts,
            evidence,
            training: Arc::clone(&training),
        };
        let checked = tokio::task::spawn_blocking(move || {
            let made = taught.unwrap_or_else(|| ground.by_rules());
            ground.checked(made)
        });
        self.candidates = checked.await.map_err(RunError::of_thread("a proposal was stopped"))?;
        let worked_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let checked = CheckedCandidates {
            candidates: self.candidates.clone(),
            total: self.total(),
            unscanned: training.left_out() as u64,
            spent: TuningSpent { worked_ms, ..TuningSpent::default() },
        };
        let (store, now_ms) = (self.tuning.pipeline().store(), self.tuning.pipeline().world().now_ms());
        store.put_tuning_candidates(&self.id, checked, now_ms).await?;
        // Where another worker was first, its candidates stand.
        self.candidates = store.tuning_candidates(&self.id).await?;
        (self.training, self.shown) = (None, None);
        Ok(())
    }

    /// Returns the values of training cases, which no candidate may hold.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub(super) async fn training(&mut self) -> Result<Arc<TrainingValues>, RunError> {
        if let Some(training) = &self.training {
            return Ok(Arc::clone(training));
        }
        let mut training = TrainingValues::default();
        for case in self.train() {
            if let Loaded::Run(run) = self.library.run(&case).await? {
                let read = tokio::task::spawn_blocking(move || {
                    training.add(&run.recorded);
                    training
                });
                training = read.await.map_err(RunError::of_thread("a scan for leaks was stopped"))?;
            }
        }
        let training = Arc::new(training);
        self.training = Some(Arc::clone(&training));
        Ok(training)
    }

    pub(super) fn train(&self) -> Vec<TuningCase> {
        self.on(Side::Train).cloned().collect()
    }

    /// Returns what training cases showed, of each case no more than its share of what may be in memory.
    async fn evidence(&self) -> Result<Evidence, RunError> {
        let train = self.train();
        let share = EVIDENCE_BYTES / train.len().max(1);
        let mut evidence = Evidence::default();
        for case in &train {
            if let Some(shown) = self.shown_by(case.n).await? {
                take_in(&mut evidence, case, shown.within(share));
            }
        }
        Ok(evidence)
    }

    /// Returns what one training case showed.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub(super) async fn shown_by(&self, case: i64) -> Result<Option<CaseEvidence>, RunError> {
        let stored = self.tuning.pipeline().store().tuning_evidence(&self.id, case).await?;
        Ok(stored.as_deref().map(serde_json::from_str).transpose()?)
    }
}

fn made_of(proposed: Vec<Proposed>) -> Made {
    let mut made = Made::default();
    for Proposed { proposal, refused, .. } in proposed {
        made.candidates.extend(proposal.as_ref().map(Candidate::from));
        made.refused.extend(refused);
    }
    made
}
