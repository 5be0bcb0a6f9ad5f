//! From stage to stage: each step is stored before the next one begins, so that a crash loses one case at most.

mod judged;
mod proposed;
mod taught;

use std::collections::{BTreeMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use recap_core::compress::GuidelineKind;
use recap_core::trajectory::OriginalHash;
use recap_core::tuning::{Side, TrainingValues};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use self::taught::Shown;
use super::bench::{Bench, Tried, Wanted};
use super::beside::Beside;
use super::collect::{Done, Library, Loaded, Sources, side_name};
use super::error::RunError;
use super::spec::Spec;
use super::tuning::Tuning;
use crate::pipeline::guidelines::{GuidelineSet, Steering};
use crate::store::{
    CHAMPION, CandidateStatus, GuidelineKey, TuningCandidate, TuningCase, TuningChange, TuningRun, TuningScore,
    TuningSpent, TuningStage, TuningState,
};
use crate::tune::runner::{Crew, Successes};

/// Who watches a run: told after each step.
pub type Watch<'a> = &'a mut (dyn FnMut(&TuningRun) + Send);

/// How often cases were replayed by one worker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Replays(pub u64);

/// A run in work.
pub(super) struct Work<'a> {
    tuning: &'a Tuning,
    id: String,
    spec: Spec,
    set: String,
    kind: GuidelineKind,
    /// The champion's text.
    champion: Arc<str>,
    /// The set under which the champion steers.
    guidelines: GuidelineSet,
    bench: Bench,
    library: Library<'a>,
    /// The agent that does held-out tasks, where one does.
    crew: Option<&'a Crew>,
    /// How it did them, by version.
    successes: BTreeMap<i64, Successes>,
    cases: Vec<TuningCase>,
    candidates: Vec<TuningCandidate>,
    /// What has a score, by candidate and case.
    scored: HashSet<(i64, i64)>,
    /// The values of training cases, once they were needed.
    training: Option<Arc<TrainingValues>>,
    /// What training cases show, by number, once that was needed.
    shown: Option<BTreeMap<i64, Shown>>,
    /// The candidate that goes before the gate, once it is known.
    best: Option<i64>,
    pub replays: Replays,
}

impl<'a> Work<'a> {
    /// Takes up a run where it stands.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub async fn take_up(tuning: &'a Tuning, run: &TuningRun, sources: Sources<'a>) -> Result<Self, RunError> {
        let pipeline = tuning.pipeline();
        let store = pipeline.store();
        let spec: Spec = serde_json::from_str(&run.spec)?;
        let (set, kind) = spec.place().map_err(|_| RunError::NoVersion(spec.guideline.clone()))?;
        let set = set.to_owned();
        let champion = text_of(tuning, &set, kind.name(), &run.champion).await?;
        let beside: Beside = serde_json::from_str(&run.beside)?;
        let other = text_of(tuning, &beside.set, &beside.kind, &beside.hash).await?;
        let other_kind = GuidelineKind::of(&beside.kind).ok_or_else(|| RunError::NoVersion(beside.hash.clone()))?;
        let read = |set: &str, kind, text: &str, hash: &str| {
            Steering::read(set, kind, text).map_err(|_| RunError::NoVersion(hash.to_owned()))
        };
        let own = read(&set, kind, &champion, &run.champion)?;
        let other = read(&beside.set, other_kind, &other, &beside.hash)?;
        let head = beside.scorer.head(pipeline).await?;
        let guidelines = match kind {
            GuidelineKind::Observation => GuidelineSet { observation: own, history: other, head },
            _ => GuidelineSet { observation: other, history: own, head },
        };
        let bench = Bench { pipeline: pipeline.clone(), budget: spec.budget.rule(), model: spec.model.clone() };
        let scored = store.tuning_scored(&run.id).await?;
        Ok(Self {
            tuning,
            id: run.id.clone(),
            set,
            kind,
            champion: champion.into(),
            guidelines,
            bench,
            library: Library::new(store, sources.files),
            crew: sources.crew,
            successes: BTreeMap::new(),
            cases: store.tuning_cases(&run.id).await?,
            candidates: store.tuning_candidates(&run.id).await?,
            scored: scored.into_iter().collect(),
            training: None,
            shown: None,
            best: None,
            replays: Replays::default(),
            spec,
        })
    }

    /// Does one step.
    ///
    /// # Errors
    ///
    /// [`RunError`]
    pub async fn step(&mut self, stage: TuningStage, stop: &CancellationToken) -> Result<(), RunError> {
        match stage {
            TuningStage::Collect => self.collect().await,
            TuningStage::Audit => match self.unscored(Side::Train, CHAMPION) {
                Some(case) => self.score(CHAMPION, case, Wanted::Evidence).await,
                None => self.reach(TuningStage::Propose).await,
            },
            TuningStage::Propose => self.propose(stop).await,
            TuningStage::Score => self.score_candidates().await,
            TuningStage::Judge => self.judge(stop).await,
        }
    }

    async fn collect(&mut self) -> Result<(), RunError> {
        self.cases = match self.crew {
            None => self.library.collect(&self.spec).await?,
            Some(crew) => {
                let champion = Arc::new(self.guidelines.clone());
                let (results, version) = (crew.known(&champion).await?, crew.under(&champion).version);
                self.library.collect_done(&self.spec, &Done { results: &results, version: &version }).await?
            }
        };
        let (total, store) = (self.total(), self.tuning.pipeline().store());
        let now_ms = self.tuning.pipeline().world().now_ms();
        store.put_tuning_cases(&self.id, self.cases.clone(), total, now_ms).await?;
        // Some may have been erased while they were collected.
        self.cases = store.tuning_cases(&self.id).await?;
        Ok(())
    }

    /// Returns how many steps the run takes, as far as is known: a case under a version, or a proposal.
    fn total(&self) -> u64 {
        let train = self.on(Side::Train).count() as u64;
        let held_out = self.on(Side::HeldOut).count() as u64;
        let candidates = match self.candidates.as_slice() {
            [] => u64::from(self.spec.candidates) + self.spec.drafts.len() as u64,
            known => known.iter().filter(|candidate| is_whole(candidate)).count() as u64,
        };
        train + 1 + candidates * train + if candidates > 0 { 2 * held_out } else { 0 }
    }

    fn on(&self, side: Side) -> impl Iterator<Item = &TuningCase> {
        let side = side_name(side);
        self.cases.iter().filter(move |case| case.side == side)
    }

    /// Returns the first case of a side that a version has no score of.
    fn unscored(&self, side: Side, candidate: i64) -> Option<TuningCase> {
        self.on(side).find(|case| !self.scored.contains(&(candidate, case.n))).cloned()
    }

    /// Replays a case under a version and stores what came of it.
    async fn score(&mut self, candidate: i64, case: TuningCase, wanted: Wanted) -> Result<(), RunError> {
        let (mut score, evidence, spent) = match self.library.run(&case).await? {
            Loaded::Gone => {
                self.cases.retain(|known| known.n != case.n);
                return Ok(());
            }
            Loaded::Unusable(why) => (Err(why), None, TuningSpent::default()),
            Loaded::Run(run) => {
                let set = self.set_of(candidate)?;
                let tried = Tried { name: case.name.clone(), task: case.task.clone(), run, set, wanted };
                let replayed = self.bench.replay(tried).await?;
                self.note(replayed.attempts).await;
                self.replays.0 += 1;
                metrics::counter!("recapd_tuning_replays_total").increment(1);
                (replayed.score, replayed.evidence, replayed.spent)
            }
        };
        if let Ok(score) = &mut score {
            let successes = self.successes.get(&candidate);
            score.success = successes.and_then(|successes| *successes.get(&case.task)?);
        }
        let record = score.as_ref().ok().map(serde_json::to_string).transpose()?;
        let score = TuningScore { candidate, case: case.n, record, why: score.err() };
        let evidence = evidence.as_ref().map(serde_json::to_string).transpose()?;
        self.tuning.pipeline().store().put_tuning_score(&self.id, score, evidence, spent).await?;
        self.scored.insert((candidate, case.n));
        Ok(())
    }

    /// Returns the set under which a version steers.
    fn set_of(&self, candidate: i64) -> Result<GuidelineSet, RunError> {
        let Some(candidate) = self.candidates.iter().find(|known| known.n == candidate) else {
            return Ok(self.guidelines.clone());
        };
        let read = Steering::read(&self.set, self.kind, &candidate.text);
        let steering = read.map_err(|_| RunError::NoVersion(candidate.hash.clone()))?;
        let mut set = self.guidelines.clone();
        match self.kind {
            GuidelineKind::Observation => set.observation = steering,
            _ => set.history = steering,
        }
        Ok(set)
    }

    async fn reach(&self, stage: TuningStage) -> Result<(), RunError> {
        self.change(TuningChange::Reach { stage, total: self.total() }).await
    }

    /// Changes where the run stands.
    ///
    /// # Errors
    ///
    /// [`RunError::Moved`] where somebody else did.
    async fn change(&self, change: TuningChange) -> Result<(), RunError> {
        let now_ms = self.tuning.pipeline().world().now_ms();
        let changed = self.tuning.pipeline().store().change_tuning_run(&self.id, change, now_ms).await?;
        if changed.is_some_and(|(_, is_changed)| is_changed) { Ok(()) } else { Err(RunError::Moved) }
    }

    async fn score_candidates(&mut self) -> Result<(), RunError> {
        let open = self.candidates.iter().find(|candidate| candidate.status == CandidateStatus::Proposed);
        let Some(n) = open.map(|candidate| candidate.n) else { return self.reach(TuningStage::Judge).await };
        if let Some(case) = self.unscored(Side::Train, n) {
            return self.score(n, case, Wanted::Score).await;
        }
        self.tuning.pipeline().store().note_candidate_scored(&self.id, n).await?;
        for candidate in self.candidates.iter_mut().filter(|candidate| candidate.n == n) {
            candidate.status = CandidateStatus::Scored;
        }
        Ok(())
    }
}

/// Tells whether a candidate is scored, or to be.
fn is_whole(candidate: &TuningCandidate) -> bool {
    !matches!(candidate.status, CandidateStatus::Duplicate | CandidateStatus::Leak | CandidateStatus::Invalid)
}

/// Returns the text of a stored version.
async fn text_of(tuning: &Tuning, set: &str, kind: &str, hash: &str) -> Result<String, RunError> {
    let key = GuidelineKey { set: set.to_owned(), kind: kind.to_owned() };
    let none = || RunError::NoVersion(hash.to_owned());
    let parsed: OriginalHash = hash.parse().map_err(|_| none())?;
    let version = tuning.pipeline().store().guideline_version(&key, &parsed).await?;
    version.map(|version| version.text).ok_or_else(none)
}

impl Tuning {
    /// Works on a run until it is done, paused, failed, cancelled or stopped, and tells `watch` after each step. Returns
    /// how it stands then.
    ///
    /// # Errors
    ///
    /// [`RunError`] for what may pass; what does not is the end of the run.
    pub async fn work(
        &self,
        id: &str,
        sources: Sources<'_>,
        stop: &CancellationToken,
        watch: Watch<'_>,
    ) -> Result<(Option<TuningRun>, Replays), RunError> {
        let store = self.pipeline().store();
        let now_ms = self.pipeline().world().now_ms();
        let begun = store.change_tuning_run(id, TuningChange::Begin, now_ms).await?;
        let Some((run, true)) = begun else { return Ok((begun.map(|(run, _)| run), Replays::default())) };
        let mut replays = Replays::default();
        let working = AssertUnwindSafe(self.taken_up(&run, (sources, stop), watch, &mut replays)).catch_unwind();
        match working.await.unwrap_or(Err(RunError::Broken("a step of the run"))) {
            // Whoever moved it says what comes next.
            Ok(()) | Err(RunError::Moved) => {}
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => self.fail(id, &error).await?,
        }
        Ok((store.tuning_run(id).await?, replays))
    }

    async fn taken_up(
        &self,
        run: &TuningRun,
        (sources, stop): (Sources<'_>, &CancellationToken),
        watch: Watch<'_>,
        replays: &mut Replays,
    ) -> Result<(), RunError> {
        let mut work = Work::take_up(self, run, sources).await?;
        let ended = work.work_through(stop, watch).await;
        *replays = work.replays;
        ended
    }
}

impl Work<'_> {
    async fn work_through(&mut self, stop: &CancellationToken, watch: Watch<'_>) -> Result<(), RunError> {
        let store = self.tuning.pipeline().store().clone();
        while let Some(run) = store.tuning_run(&self.id).await? {
            watch(&run);
            // A run that waits again was stopped and resumed meanwhile: with other caps, when it is its turn.
            if run.state != TuningState::Running || stop.is_cancelled() {
                break;
            }
            if let Some(why) = self.spec.caps.reached(&run.spent) {
                self.change(TuningChange::Pause { why }).await?;
                continue;
            }
            self.step(run.stage, stop).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
