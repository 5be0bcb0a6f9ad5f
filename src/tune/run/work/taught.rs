//! What a chat model makes of training cases: analyses and then proposals, each a step of its own.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use recap_core::tuning::analyse::Analysis;
use recap_core::tuning::{Measure, Objective, leaks};
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Work;
use crate::llm::Attempt;
use crate::pipeline::compress::OnBehalf;
use crate::pipeline::trajectories::DEFAULT_NAMESPACE;
use crate::store::{TuningCase, TuningChange, TuningRun};
use crate::tune::run::bench::{CaseEvidence, spent};
use crate::tune::run::collect::Loaded;
use crate::tune::run::error::RunError;
use crate::tune::run::spec::Caps;
use crate::tune::teacher::{
    Account, Analysed, Case, Champion, Limits, Proposed, Proposing, Stopped, Teacher, contrast_of_losses, spare_of_run,
};
use crate::tune::{Models, RecordedRun, ReplayError};

/// Most cases that are analysed, one of each task.
const MOST_ANALYSES: usize = 24;

/// How much a training case shows.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown {
    weight: usize,
    is_analysed: bool,
}

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
        let (asked, attempts) = match self.library.run(&case).await? {
            Loaded::Run(run) => self.asked_about(run, &evidence).await?,
            Loaded::Gone | Loaded::Unusable(_) => (None, Vec::new()),
        };
        let mut account = Account::of(&attempts);
        self.note(attempts).await;
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
        if let Some(shown) = self.shown.as_mut().and_then(|all| all.get_mut(&case.n)) {
            shown.is_analysed = true;
        }
        Ok(true)
    }

    fn teacher(&self) -> Result<Teacher, RunError> {
        let pipeline = self.tuning.pipeline();
        let counter = pipeline.counters().of(None);
        Teacher::new(pipeline.compressors(), pipeline.guidelines(), Some(&self.set), &counter)
            .ok_or(RunError::NoTeacher)
    }

    /// The training case with most evidence whose task was not analysed, while there may be more.
    async fn next_to_analyse(&mut self) -> Result<Option<(TuningCase, CaseEvidence)>, RunError> {
        let shown = match self.shown.take() {
            Some(shown) => shown,
            None => self.shown_by_all().await?,
        };
        let shown = self.shown.insert(shown).clone();
        let train = self.train();
        let of = |case: &TuningCase| shown.get(&case.n).copied().unwrap_or_default();
        let done: BTreeSet<&str> =
            train.iter().filter(|case| of(case).is_analysed).map(|case| case.task.as_str()).collect();
        if done.len() >= MOST_ANALYSES {
            return Ok(None);
        }
        let open = train.iter().filter(|case| of(case).weight > 0 && !done.contains(case.task.as_str()));
        // the first of equals
        let Some(next) = open.min_by_key(|case| (Reverse(of(case).weight), case.n)) else { return Ok(None) };
        Ok(self.shown_by(next.n).await?.map(|evidence| (next.clone(), evidence)))
    }

    /// Weighs what training cases show, with the evidence of one in memory at a time.
    async fn shown_by_all(&self) -> Result<BTreeMap<i64, Shown>, RunError> {
        let mut all = BTreeMap::new();
        for case in self.train() {
            if let Some(evidence) = self.shown_by(case.n).await? {
                let shown = Shown { weight: self.weight(&evidence), is_analysed: evidence.is_analysed() };
                all.insert(case.n, shown);
            }
        }
        Ok(all)
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

    /// What a model is asked about in a case: the pair of its losses, else what it could spare. Also the calls of models that
    /// compressed on the way.
    async fn asked_about(
        &self,
        run: Arc<RecordedRun>,
        evidence: &CaseEvidence,
    ) -> Result<(Option<Case>, Vec<Attempt>), RunError> {
        let (bench, set, objective) = (self.bench.clone(), self.guidelines.clone(), self.spec.objective);
        let losses = evidence.losses.clone();
        let made = tokio::task::spawn_blocking(move || {
            let (server, mut models) = (bench.server(&set), Models::default());
            let mut asked = || {
                if objective != Objective::Compression
                    && let Some(contrast) = contrast_of_losses(&server, &run, &losses, bench.budget, &mut models)?
                {
                    return Ok(Some(Case::Pair(contrast)));
                }
                if objective == Objective::Utility {
                    return Ok(None);
                }
                spare_of_run(&server, &run, bench.budget, &mut models).map(|spare| spare.map(Case::Spare))
            };
            let asked: Result<Option<Case>, ReplayError> = asked();
            (asked, models.attempts)
        });
        let (made, attempts) = made.await.map_err(RunError::of_thread("a case was not put into words"))?;
        // a case that cannot be served shows nothing
        Ok((made.ok().flatten(), attempts))
    }

    /// Has one more candidate proposed and stores what came of it. Tells whether this was a step: not, where all are there or
    /// nothing was found to propose from.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub(super) async fn propose_next(&mut self, stop: &CancellationToken) -> Result<bool, RunError> {
        let (teacher, began) = (self.teacher()?, Instant::now());
        let (known, found) = (self.proposals().await?, self.analyses().await?);
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX).saturating_add(1);
        let store = self.tuning.pipeline().store().clone();
        let run = store.tuning_run(&self.id).await?.filter(|_| !found.is_empty() && next <= self.spec.candidates);
        let Some(run) = run else { return Ok(false) };
        let training = self.training().await?;
        let asked = Proposing {
            champion: Champion { kind: self.kind, text: &self.champion },
            analyses: &found,
            objective: self.spec.objective,
            count: next,
            leaks: &|text| leaks(text, &self.champion, &training),
        };
        let limits = limits_of(&self.spec.caps, &run);
        let mut account = Account::default();
        let note = async |_: Option<&Proposed>, attempts: Vec<Attempt>| {
            account.add(Account::of(&attempts));
            self.note(attempts).await;
            Ok::<_, RunError>(())
        };
        let asking = teacher.candidates(&asked, known, (&limits, stop), note);
        let (mut proposed, stopped) = block_in_place(|| Handle::current().block_on(asking))?;
        let spent = spent(&account, began);
        match (stopped, proposed.pop().filter(|proposed| proposed.n == next)) {
            (None, Some(proposed)) => {
                let record = serde_json::to_string(&proposed)?;
                store.put_tuning_proposal(&self.id, (next, record), spent).await?;
            }
            (stopped, _) => {
                store.add_tuning_spent(&self.id, spent).await?;
                self.stopped(stopped.unwrap_or(Stopped::Cancelled)).await?;
            }
        }
        Ok(true)
    }

    /// Returns what was proposed, in its order.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub(super) async fn proposals(&self) -> Result<Vec<Proposed>, RunError> {
        let stored = self.tuning.pipeline().store().tuning_proposals(&self.id).await?;
        Ok(stored.iter().map(|record| serde_json::from_str(record)).collect::<Result<_, _>>()?)
    }

    /// Returns what models made of training cases.
    async fn analyses(&self) -> Result<Vec<Analysis>, RunError> {
        let shown = self.shown.iter().flatten().filter(|(_, shown)| shown.is_analysed);
        let mut found = Vec::new();
        for (case, _) in shown {
            let evidence = self.shown_by(*case).await?;
            found.extend(evidence.and_then(|evidence| evidence.analysed).and_then(|analysed| analysed.analysis));
        }
        Ok(found)
    }

    /// Pauses the run where models cannot go on; where it was stopped, it stays as it is.
    async fn stopped(&self, stopped: Stopped) -> Result<(), RunError> {
        match stopped {
            Stopped::Cancelled => Ok(()),
            other => self.change(TuningChange::Pause { why: other.to_string() }).await,
        }
    }

    /// Writes calls to the ledger.
    pub(super) async fn note(&self, attempts: Vec<Attempt>) {
        let namespace = self.spec.cases.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        self.tuning.pipeline().note_attempts(&OnBehalf { namespace, ..OnBehalf::default() }, attempts).await;
    }
}

/// What of the caps is left.
#[expect(clippy::cast_possible_truncation, reason = "dollars in millionths are far below 2^63, and a cast saturates")]
fn limits_of(caps: &Caps, run: &TuningRun) -> Limits {
    let until = caps.time_left(&run.spent).and_then(|left| Instant::now().checked_add(left));
    let micros = |usd: f64| (usd * 1e6) as i64 - run.spent.cost_usd_micros;
    Limits {
        tokens: caps.max_tokens.map(|most| most.saturating_sub(run.spent.tokens)),
        cost_usd_micros: caps.max_cost_usd.map(micros),
        until,
    }
}
