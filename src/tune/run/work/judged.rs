//! The end of a run: the best candidate before the gate.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use recap_core::tuning::{CaseScore, Side, judge};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::Work;
use crate::store::{CHAMPION, CandidateStatus, TuningChange, TuningRun, TuningState};
use crate::tune::run::bench::{Wanted, spent};
use crate::tune::run::error::RunError;
use crate::tune::run::settle::{Sums, Trained, best};
use crate::tune::run::spec::Spec;
use crate::tune::teacher::Account;

/// How often it is looked whether agents are still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Work<'_> {
    /// Does a step towards the verdict: the held-out tasks by agents, where they are run; a held-out case under one side, while
    /// there is one without a score; then the gate.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub(super) async fn judge(&mut self, stop: &CancellationToken) -> Result<(), RunError> {
        if self.best.is_none() {
            self.best = self.best_on_training().await?;
        }
        let Some(best) = self.best else {
            let why = Some("no candidate is left to be judged".to_owned());
            return self.change(TuningChange::End { verdict: None, why, winner: None }).await;
        };
        for version in [CHAMPION, best] {
            if !self.is_done_by_agents(version, stop).await? {
                return Ok(());
            }
            if let Some(case) = self.unscored(Side::HeldOut, version) {
                return self.score(version, case, Wanted::Score).await;
            }
        }
        self.settle(best).await
    }

    /// Has the agent do the held-out tasks under a version, if one is run and that was not done. Tells whether it is done: not,
    /// where the run was stopped or its time is over. What was done until then is known the next time.
    async fn is_done_by_agents(&mut self, version: i64, stop: &CancellationToken) -> Result<bool, RunError> {
        let is_scored = self.unscored(Side::HeldOut, version).is_none();
        let Some(crew) = self.crew.filter(|_| !is_scored && !self.successes.contains_key(&version)) else {
            return Ok(true);
        };
        let names: BTreeSet<&str> = self.on(Side::HeldOut).map(|case| case.task.as_str()).collect();
        let store = self.tuning.pipeline().store();
        let (set, in_time, began) = (Arc::new(self.set_of(version)?), stop.child_token(), Instant::now());
        let done = tokio::select! {
            done = crew.successes(&set, &names, &in_time) => done.map_err(RunError::from),
            failed = self.watch(&in_time) => Err(failed),
        };
        store.add_tuning_spent(&self.id, spent(&Account::default(), began)).await?;
        let Some(successes) = done? else { return Ok(false) };
        let silent = successes.values().filter(|success| success.is_none()).count();
        if silent * 2 > successes.len() {
            return Err(RunError::Silent { silent, of: successes.len() });
        }
        self.successes.insert(version, successes);
        Ok(true)
    }

    /// Ends what agents do once the run's time is over or somebody stopped it. Comes back only where the store fails.
    async fn watch(&self, wanted: &CancellationToken) -> RunError {
        let began = Instant::now();
        loop {
            sleep(LOOK_EVERY).await;
            match self.tuning.pipeline().store().tuning_run(&self.id).await {
                Err(error) => return error.into(),
                Ok(run) => {
                    let is_over = |run: &TuningRun| {
                        let until = self.spec.caps.time_left(&run.spent).and_then(|left| began.checked_add(left));
                        run.state != TuningState::Running || until.is_some_and(|until| until <= Instant::now())
                    };
                    if run.as_ref().is_none_or(is_over) {
                        wanted.cancel();
                    }
                }
            }
        }
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
