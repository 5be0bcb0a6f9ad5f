//! The end of a run: the best candidate before the gate.

use std::collections::HashSet;

use recap_core::tuning::{CaseScore, Side, judge};

use super::Work;
use crate::store::{CHAMPION, CandidateStatus, TuningChange};
use crate::tune::run::bench::Wanted;
use crate::tune::run::error::RunError;
use crate::tune::run::settle::{Sums, Trained, best};
use crate::tune::run::spec::Spec;

impl Work<'_> {
    /// Does a step towards the verdict: a held-out case under one side, while there is one without a score; then the gate.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub(super) async fn judge(&mut self) -> Result<(), RunError> {
        if self.best.is_none() {
            self.best = self.best_on_training().await?;
        }
        let Some(best) = self.best else {
            let why = Some("no candidate is left to be judged".to_owned());
            return self.change(TuningChange::End { verdict: None, why, winner: None }).await;
        };
        for version in [CHAMPION, best] {
            if let Some(case) = self.unscored(Side::HeldOut, version) {
                return self.score(version, case, Wanted::Score).await;
            }
        }
        self.settle(best).await
    }

    /// Returns the candidate that is best on training cases. The scores of one candidate are in memory at a time.
    async fn best_on_training(&self) -> Result<Option<i64>, RunError> {
        let champion = Sums::of(&self.scores(CHAMPION, Side::Train).await?);
        let mut trained = Vec::new();
        for candidate in self.candidates.iter().filter(|candidate| candidate.status == CandidateStatus::Scored) {
            let sums = Sums::of(&self.scores(candidate.n, Side::Train).await?);
            trained.push(Trained { n: candidate.n, sums });
        }
        Ok(best(self.spec.objective, &self.spec.margins, &champion, &trained))
    }

    /// Lets the gate judge, and saves a winner as a draft: that it steers is for an operator to say.
    async fn settle(&self, best: i64) -> Result<(), RunError> {
        let Spec { objective, margins, split, .. } = &self.spec;
        let champion = self.scores(CHAMPION, Side::HeldOut).await?;
        let candidate = self.scores(best, Side::HeldOut).await?;
        let (objective, margins, seed) = (*objective, *margins, split.seed);
        let verdict =
            tokio::task::spawn_blocking(move || judge(objective, &champion, &candidate, &margins, seed)).await;
        let verdict = verdict.map_err(RunError::of_thread("the gate was stopped"))?;
        let result = if verdict.passes { "passed" } else { "refused" };
        metrics::counter!("recapd_tuning_verdicts_total", "result" => result).increment(1);
        let winner = verdict.passes.then_some(best);
        if let Some(candidate) = self.candidates.iter().find(|candidate| Some(candidate.n) == winner) {
            let note = format!("tuning run {}: {}", self.id, candidate.note);
            self.tuning.save_winner([&self.set, self.kind.name()], &candidate.text, note).await?;
        }
        let why = Some(format!("candidate {best} {}", verdict.reason));
        let verdict = Some(serde_json::to_string(&verdict)?);
        self.change(TuningChange::End { verdict, why, winner }).await
    }

    /// Returns the scores of a version on one side.
    async fn scores(&self, version: i64, side: Side) -> Result<Vec<CaseScore>, RunError> {
        let cases: HashSet<i64> = self.on(side).map(|case| case.n).collect();
        let scores = self.tuning.pipeline().store().tuning_scores_of(&self.id, version).await?;
        let own = scores.iter().filter(|score| cases.contains(&score.case));
        let records = own.filter_map(|score| score.record.as_deref());
        Ok(records.map(serde_json::from_str).collect::<Result<_, _>>()?)
    }
}
