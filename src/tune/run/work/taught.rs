//! What a chat model makes of training cases: analyses, one a step, and then candidates.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use recap_core::tuning::{Candidate, Measure, Objective, Side, leaks};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Work;
use crate::llm::Attempt;
use crate::pipeline::compress::OnBehalf;
use crate::pipeline::trajectories::DEFAULT_NAMESPACE;
use crate::store::{TuningCase, TuningChange, TuningRun, TuningSpent};
use crate::tune::RecordedRun;
use crate::tune::run::bench::CaseEvidence;
use crate::tune::run::collect::Loaded;
use crate::tune::run::error::RunError;
use crate::tune::run::propose::{Ground, Made};
use crate::tune::run::spec::Caps;
use crate::tune::teacher::{
    Account, Analysed, Case, Champion, Limits, Proposed, Proposing, Stopped, Teacher, contrast_of_losses, spare_of_run,
};

/// Most cases that are analysed, one of each task.
const MOST_ANALYSES: usize = 24;

impl Work<'_> {
    /// Has the next case analysed and stores what was found. Tells whether this was a step: not, where none is left.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub(super) async fn analyse_next(&mut self, stop: &CancellationToken) -> Result<bool, RunError> {
        let teacher = self.teacher()?;
        let Some((case, mut evidence)) = self.next_to_analyse().await? else { return Ok(false) };
        let began = Instant::now();
        let asked = match self.library.run(&case).await? {
            Loaded::Run(run) => self.asked_about(run, &evidence).await?,
            Loaded::Gone | Loaded::Unusable(_) => None,
        };
        let mut account = Account::default();
        match asked {
            None => evidence.is_passed_over = true,
            Some(asked) => {
                let note = async |_: Option<&Analysed>, attempts: Vec<Attempt>| {
                    account.add(Account::of(&attempts));
                    self.note(attempts).await;
                    Ok::<_, RunError>(())
                };
                let (limits, none) = (Limits::default(), HashMap::new());
                let cases = [asked];
                let asking = teacher.analyses(&self.champion, &cases, &none, (&limits, stop), note);
                let mut found = block_in_place(|| Handle::current().block_on(asking))?;
                evidence.analysed = found.analysed.pop();
                if let Some(stopped) = found.stopped {
                    self.tuning.pipeline().store().add_tuning_spent(&self.id, spent(&account, began)).await?;
                    self.stopped(stopped).await?;
                    return Ok(true);
                }
            }
        }
        let stored = serde_json::to_string(&evidence)?;
        let store = self.tuning.pipeline().store();
        store.put_tuning_evidence(&self.id, case.n, stored, spent(&account, began)).await?;
        Ok(true)
    }

    fn teacher(&self) -> Result<Teacher, RunError> {
        let pipeline = self.tuning.pipeline();
        let counter = pipeline.counters().of(None);
        Teacher::new(pipeline.compressors(), pipeline.guidelines(), Some(&self.set), &counter)
            .ok_or(RunError::NoTeacher)
    }

    /// The training case with most evidence whose task was not analysed, while there may be more.
    async fn next_to_analyse(&self) -> Result<Option<(TuningCase, CaseEvidence)>, RunError> {
        let mut stored = BTreeMap::new();
        for (n, text) in self.tuning.pipeline().store().tuning_evidence(&self.id).await? {
            stored.insert(n, serde_json::from_str::<CaseEvidence>(&text)?);
        }
        let train: Vec<&TuningCase> = self.on(Side::Train).collect();
        let is_done = |case: &&&TuningCase| stored.get(&case.n).is_some_and(CaseEvidence::is_analysed);
        let done: BTreeSet<&str> = train.iter().filter(is_done).map(|case| case.task.as_str()).collect();
        if done.len() >= MOST_ANALYSES {
            return Ok(None);
        }
        let weight = |case: &TuningCase| stored.get(&case.n).map_or(0, |evidence| self.weight(evidence));
        let open = train.into_iter().filter(|case| weight(case) > 0 && !done.contains(case.task.as_str()));
        // the first of equals
        let next = open.min_by_key(|case| (std::cmp::Reverse(weight(case)), case.n)).cloned();
        Ok(next.and_then(|case| stored.remove(&case.n).map(|evidence| (case, evidence))))
    }

    /// How much a case shows of what the objective asks for.
    fn weight(&self, evidence: &CaseEvidence) -> usize {
        let lost = evidence.losses.iter().filter(|loss| loss.under.contains(&Measure::Bound)).count();
        match self.spec.objective {
            Objective::Utility => lost,
            Objective::Compression => evidence.idle.len(),
            Objective::Both => lost + evidence.idle.len(),
        }
    }

    /// What a model is asked about in a case: the pair of its losses, else what it could spare.
    async fn asked_about(&self, run: Arc<RecordedRun>, evidence: &CaseEvidence) -> Result<Option<Case>, RunError> {
        let (bench, set, objective) = (self.bench.clone(), self.guidelines.clone(), self.spec.objective);
        let losses = evidence.losses.clone();
        let made = tokio::task::spawn_blocking(move || {
            let server = bench.server(&set);
            if objective != Objective::Compression
                && let Some(contrast) = contrast_of_losses(&server, &run, &losses, bench.budget)?
            {
                return Ok(Some(Case::Pair(contrast)));
            }
            if objective == Objective::Utility {
                return Ok(None);
            }
            spare_of_run(&server, &run, bench.budget).map(|spare| spare.map(Case::Spare))
        });
        let made: Result<Option<Case>, crate::tune::ReplayError> =
            made.await.map_err(|_| RunError::CutOff("a case was not put into words"))?;
        // a case that cannot be served shows nothing
        Ok(made.ok().flatten())
    }

    /// Has candidates proposed from what was found. `None` where that stopped before there was one.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub(super) async fn taught(
        &self,
        ground: &Ground,
        stop: &CancellationToken,
    ) -> Result<Option<(Made, TuningSpent)>, RunError> {
        let (teacher, began) = (self.teacher()?, Instant::now());
        let store = self.tuning.pipeline().store();
        let Some(run) = store.tuning_run(&self.id).await? else { return Ok(None) };
        let mut found = Vec::new();
        for (_, text) in store.tuning_evidence(&self.id).await? {
            let evidence: CaseEvidence = serde_json::from_str(&text)?;
            found.extend(evidence.analysed.and_then(|analysed| analysed.analysis));
        }
        let asked = Proposing {
            champion: Champion { kind: self.kind, text: &self.champion },
            analyses: &found,
            objective: self.spec.objective,
            count: if found.is_empty() { 0 } else { self.spec.candidates },
            leaks: &|text| leaks(text, &self.champion, &ground.training),
        };
        let limits = limits_of(&self.spec.caps, &run);
        let mut account = Account::default();
        let note = async |_: Option<&Proposed>, attempts: Vec<Attempt>| {
            account.add(Account::of(&attempts));
            self.note(attempts).await;
            Ok::<_, RunError>(())
        };
        let asking = teacher.candidates(&asked, Vec::new(), (&limits, stop), note);
        let (proposed, stopped) = block_in_place(|| Handle::current().block_on(asking))?;
        let mut made = Made::default();
        for Proposed { proposal, refused, .. } in proposed {
            made.candidates.extend(proposal.as_ref().map(Candidate::from));
            made.refused.extend(refused);
        }
        if let Some(stopped) = stopped.filter(|_| made.candidates.is_empty()) {
            store.add_tuning_spent(&self.id, spent(&account, began)).await?;
            self.stopped(stopped).await?;
            return Ok(None);
        }
        Ok(Some((made, spent(&account, began))))
    }

    /// Pauses the run where models cannot go on; where it was stopped, it stays as it is.
    async fn stopped(&self, stopped: Stopped) -> Result<(), RunError> {
        match stopped {
            Stopped::Cancelled => Ok(()),
            other => self.change(TuningChange::Pause { why: other.to_string() }).await,
        }
    }

    /// Writes calls to the ledger.
    async fn note(&self, attempts: Vec<Attempt>) {
        let namespace = self.spec.cases.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        self.tuning.pipeline().note_attempts(&OnBehalf { namespace, ..OnBehalf::default() }, attempts).await;
    }
}

/// What of the caps is left.
#[expect(clippy::cast_possible_truncation, reason = "dollars in millionths are far below 2^63, and a cast saturates")]
fn limits_of(caps: &Caps, run: &TuningRun) -> Limits {
    let left = |most: f64| Duration::try_from_secs_f64(most).unwrap_or(Duration::MAX);
    let worked = Duration::from_millis(run.spent.worked_ms);
    let until = caps.max_seconds.and_then(|most| Instant::now().checked_add(left(most).saturating_sub(worked)));
    let micros = |usd: f64| (usd * 1e6) as i64 - run.spent.cost_usd_micros;
    Limits {
        tokens: caps.max_tokens.map(|most| most.saturating_sub(run.spent.tokens)),
        cost_usd_micros: caps.max_cost_usd.map(micros),
        until,
    }
}

fn spent(account: &Account, began: Instant) -> TuningSpent {
    TuningSpent {
        tokens: account.tokens(),
        cost_usd_micros: account.cost_usd_micros,
        is_unpriced: account.unpriced > 0,
        worked_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}
