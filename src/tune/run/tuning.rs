//! What operators do with tuning runs: start, look, cancel, go on, promote.

use recap_core::compress::GuidelineKind;
use recap_core::trajectory::OriginalHash;
use recap_core::tuning::Verdict;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::beside::{Beside, Scorer};
use super::collect::Sources;
use super::error::RunError;
use super::record::TuningRunRecord;
use super::spec::{Caps, Spec};
use crate::pipeline::Pipeline;
use crate::pipeline::failure::Failure;
use crate::pipeline::guidelines::{Activation, Draft, GuidelineState, Steering};
use crate::pipeline::keys::{Caller, KeyScope};
use crate::store::{
    CandidateStatus, ChangeError, NewJob, Resumer, TuningChange, TuningPage, TuningRun, TuningSpent, TuningStage,
    TuningState,
};

/// The kind of the job that works on tuning runs. There is one job, so that one run is in work at a time.
pub const TUNE: &str = "tune";
/// Who the audit log names for what a run saves.
const ACTOR: &str = "tuning";
/// The job's key and namespace.
const ALL_RUNS: &str = "runs";
const JOB_NAMESPACE: &str = "default";

/// The use cases of tuning runs. Cheap to clone.
#[derive(Clone)]
pub struct Tuning(Pipeline);

/// A version that is to steer.
#[derive(Debug, Clone, Default)]
pub struct Promotion {
    /// The champion that must still steer; the one that the run was measured against where it is left out.
    pub expected_champion: Option<OriginalHash>,
    /// On trial for this share of trajectories.
    pub canary_share: Option<f64>,
}

/// Who works on a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worker {
    /// The daemon, in the background.
    Daemon,
    /// A command, which reads these files, as JSON.
    Command(String),
}

/// What comes after this attempt to work on runs, if it comes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempts {
    /// Another one.
    More,
    /// None.
    Last,
}

impl Tuning {
    /// Makes the use cases over a pipeline.
    #[must_use]
    pub fn of(pipeline: &Pipeline) -> Self {
        Self(pipeline.clone())
    }

    /// Returns what they stand on.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.0
    }

    /// Stores a run and has it worked on.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with every fault; [`Failure::NotFound`] for a guideline that has no champion;
    /// [`Failure::Namespace`]: guidelines steer every namespace.
    pub async fn start(&self, caller: &Caller, spec: Spec, worker: Worker) -> Result<TuningRun, Failure> {
        reaches_all(caller)?;
        spec.check()?;
        let (champion, beside) = self.champion(&spec)?;
        self.check_drafts(&spec).await?;
        let now_ms = self.0.world().now_ms();
        let command = match worker {
            Worker::Daemon => None,
            Worker::Command(files) => Some(files),
        };
        let run = TuningRun {
            id: self.0.world().new_id(),
            namespace: spec.cases.namespace.clone(),
            actor: caller.actor.clone(),
            spec: told(&spec)?,
            state: if command.is_some() { TuningState::Running } else { TuningState::Queued },
            command,
            stage: TuningStage::Collect,
            why: None,
            done: 0,
            total: 0,
            spent: TuningSpent::default(),
            champion: champion.hash.to_string(),
            beside: told(&beside)?,
            unscanned: 0,
            verdict: None,
            created_ms: now_ms,
            updated_ms: now_ms,
        };
        let job = run.command.is_none().then(|| self.job());
        let made = self.0.store().create_tuning_run(run.clone(), job).await;
        made.map_err(|error| Failure::of_change(error, &run.id))?;
        let detail = json!({ "guideline": spec.guideline, "champion": run.champion });
        self.0.audit(caller, run.namespace.as_deref(), "tuning.start", &run.id, detail).await?;
        Ok(run)
    }

    /// Returns the champion, and the guideline of its set that stays.
    fn champion(&self, spec: &Spec) -> Result<(Steering, Beside), Failure> {
        let (set, kind) = spec.place()?;
        let none = || Failure::NotFound(format!("champion of guideline `{}`", spec.guideline));
        let champions = self.0.guidelines().get(Some(set)).ok_or_else(none)?;
        let (own, other, other_kind) = match kind {
            GuidelineKind::Observation => (&champions.observation, &champions.history, GuidelineKind::History),
            _ => (&champions.history, &champions.observation, GuidelineKind::Observation),
        };
        // Where a set lacks the kind, the default set's steers it: that one is to be tuned.
        let set_of = |steering: &Steering| steering.label.split('/').next().unwrap_or_default().to_owned();
        if set_of(own) != set {
            return Err(none());
        }
        let beside = Beside {
            set: set_of(other),
            kind: other_kind.name().to_owned(),
            hash: other.hash.to_string(),
            scorer: Scorer::of(self.0.guidelines().default_set().head.as_deref()),
        };
        Ok((own.clone(), beside))
    }

    async fn check_drafts(&self, spec: &Spec) -> Result<(), Failure> {
        let (set, kind) = spec.place()?;
        for (n, hash) in spec.drafts.iter().enumerate() {
            let wrong = |detail: String| Failure::field(format!("/drafts/{n}"), detail);
            let parsed =
                hash.parse().map_err(|_| wrong("not a version's hash: `b3:` and 64 hexadecimal digits".to_owned()))?;
            match self.0.guideline_version(set, kind.name(), &parsed).await {
                Err(Failure::NotFound(what)) => return Err(wrong(format!("there is no {what}"))),
                found => drop(found?),
            }
        }
        Ok(())
    }

    /// Returns the one job that works on all runs.
    fn job(&self) -> NewJob {
        let now_ms = self.0.world().now_ms();
        NewJob {
            id: self.0.world().new_id(),
            kind: TUNE.to_owned(),
            key: ALL_RUNS.to_owned(),
            trajectory: None,
            namespace: JOB_NAMESPACE.to_owned(),
            payload: Value::Null,
            run_after_ms: now_ms,
            now_ms,
        }
    }

    /// Works on all runs of the daemon, the oldest first, until none is left or `stop` is cancelled. A run that cannot go
    /// on now is passed over; on the last attempt it fails, with the reason.
    ///
    /// # Errors
    ///
    /// The first [`RunError`] that may pass, once all other runs had their turn.
    pub async fn work_off(&self, attempt: Attempts, stop: &CancellationToken) -> Result<(), RunError> {
        let (mut passed_over, mut first) = (None, None);
        while let Some(run) = self.0.store().next_tuning_run(passed_over.as_ref()).await? {
            if stop.is_cancelled() {
                return Ok(());
            }
            let Err(error) = self.work(&run.id, Sources::default(), stop, &mut |_| {}).await else { continue };
            tracing::warn!(run = run.id, %error, "a tuning run cannot go on now");
            if attempt == Attempts::Last && !stop.is_cancelled() {
                self.fail(&run.id, &error).await?;
            } else {
                passed_over = Some(run);
                first = first.or(Some(error));
            }
        }
        first.filter(|_| !stop.is_cancelled()).map_or(Ok(()), Err)
    }

    /// Notes that a run cannot go on as it is.
    pub(super) async fn fail(&self, id: &str, error: &RunError) -> Result<(), RunError> {
        tracing::warn!(run = id, %error, "a tuning run failed");
        let change = TuningChange::Fail { why: error.to_string() };
        self.0.store().change_tuning_run(id, change, self.0.world().now_ms()).await?;
        Ok(())
    }

    /// Returns a page of the runs that the caller reaches, newest first.
    ///
    /// # Errors
    ///
    /// Fails when the store does, and for a cursor that is none.
    pub async fn list(&self, caller: &Caller, cursor: Option<&str>, limit: usize) -> Result<TuningPage, Failure> {
        Ok(self.0.store().list_tuning_runs(caller.namespace.as_deref(), cursor, limit).await?)
    }

    /// Returns a run with its candidates, scores and verdict.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn look(&self, caller: &Caller, id: &str) -> Result<TuningRunRecord, Failure> {
        let run = self.reached(caller, id).await?;
        let store = self.0.store();
        let (cases, candidates) = (store.tuning_cases(id).await?, store.tuning_candidates(id).await?);
        let scores = store.tuning_scores(id).await?;
        let champion = self.champion_text(&run).await?;
        Ok(TuningRunRecord::whole(&run, &champion, (cases, candidates, scores)).map_err(RunError::from)?)
    }

    async fn champion_text(&self, run: &TuningRun) -> Result<String, Failure> {
        let spec: Spec = serde_json::from_str(&run.spec).map_err(RunError::from)?;
        let (set, kind) = spec.place()?;
        let hash = run.champion.parse().map_err(|_| RunError::NoVersion(run.champion.clone()))?;
        match self.0.guideline_version(set, kind.name(), &hash).await {
            Ok(version) => Ok(version.text),
            Err(Failure::NotFound(_)) => Ok(String::new()),
            Err(failure) => Err(failure),
        }
    }

    async fn reached(&self, caller: &Caller, id: &str) -> Result<TuningRun, Failure> {
        let run = self.0.store().tuning_run(id).await?;
        let is_reached = |run: &TuningRun| match (&caller.namespace, &run.namespace) {
            (None, _) => true,
            (Some(own), Some(namespace)) => own == namespace,
            (Some(_), None) => false,
        };
        run.filter(is_reached).ok_or_else(|| Failure::NotFound(format!("tuning run `{id}`")))
    }

    /// Stops a run after the case that is in work. It can go on later.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]; [`Failure::TuningState`] where it has ended already; [`Failure::Namespace`].
    pub async fn cancel(&self, caller: &Caller, id: &str) -> Result<TuningRun, Failure> {
        let why = format!("cancelled by {}", caller.actor);
        let run = self.changed(caller, id, TuningChange::Cancel { why }).await?;
        self.0.audit(caller, run.namespace.as_deref(), "tuning.cancel", id, json!({})).await?;
        Ok(run)
    }

    /// Lets the daemon go on with a run, under other caps where they are told.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]; [`Failure::TuningState`] where it is in work or done; [`Failure::Invalid`] for wrong caps and
    /// for a run that a command works on; [`Failure::Namespace`].
    pub async fn resume(&self, caller: &Caller, id: &str, caps: Option<Caps>) -> Result<TuningRun, Failure> {
        let run = self.reached(caller, id).await?;
        if run.command.is_some() {
            let said = format!("a command works on this run: `recapd tune run --resume {id}` goes on with it");
            return Err(Failure::field("", said));
        }
        self.go_on(caller, run, caps, Resumer::Daemon).await
    }

    /// Lets a command go on with a run, whoever began it, under other caps where they are told. The command has the data
    /// folder to itself and works on the run at once.
    ///
    /// # Errors
    ///
    /// As [`Tuning::resume`]; a run that was cut off in work goes on, too.
    pub async fn take_over(&self, caller: &Caller, id: &str, caps: Option<Caps>) -> Result<TuningRun, Failure> {
        let run = self.reached(caller, id).await?;
        self.go_on(caller, run, caps, Resumer::Command).await
    }

    async fn go_on(
        &self,
        caller: &Caller,
        run: TuningRun,
        caps: Option<Caps>,
        by: Resumer,
    ) -> Result<TuningRun, Failure> {
        let mut spec: Spec = serde_json::from_str(&run.spec).map_err(RunError::from)?;
        spec.caps = caps.unwrap_or(spec.caps);
        spec.check()?;
        // Where the command stops half-way, the daemon goes on with its own run.
        let job = run.command.is_none().then(|| self.job());
        let run = self.changed(caller, &run.id, TuningChange::Resume { spec: told(&spec)?, job, by }).await?;
        self.0.audit(caller, run.namespace.as_deref(), "tuning.resume", &run.id, json!({})).await?;
        Ok(run)
    }

    async fn changed(&self, caller: &Caller, id: &str, change: TuningChange) -> Result<TuningRun, Failure> {
        reaches_all(caller)?;
        self.reached(caller, id).await?;
        let now_ms = self.0.world().now_ms();
        let changed = self.0.store().change_tuning_run(id, change, now_ms).await;
        match changed.map_err(|error| of_change(error, id))? {
            Some((run, true)) => Ok(run),
            Some((run, false)) => Err(Failure::TuningState { state: run.state.as_str() }),
            None => Err(Failure::NotFound(format!("tuning run `{id}`"))),
        }
    }

    /// Makes the candidate that passed the gate the champion, or puts it on trial. There is no way around the gate here.
    ///
    /// # Errors
    ///
    /// [`Failure::TuningState`] where the run is not done; [`Failure::Gate`] where no candidate passed;
    /// [`Failure::Champion`] where the champion is another one by now; [`Failure::NotFound`], [`Failure::Namespace`].
    pub async fn promote(&self, caller: &Caller, id: &str, promotion: Promotion) -> Result<GuidelineState, Failure> {
        reaches_all(caller)?;
        let run = self.reached(caller, id).await?;
        if run.state != TuningState::Done {
            return Err(Failure::TuningState { state: run.state.as_str() });
        }
        let unreadable = |error| Failure::from(RunError::Unreadable(error));
        let verdict: Option<Verdict> =
            run.verdict.as_deref().map(serde_json::from_str).transpose().map_err(unreadable)?;
        let refused = || Failure::Gate { reason: run.why.clone().unwrap_or_else(|| "there is no verdict".to_owned()) };
        verdict.filter(|verdict| verdict.passes).ok_or_else(refused)?;
        let candidates = self.0.store().tuning_candidates(id).await?;
        let winner = candidates.into_iter().find(|candidate| candidate.status == CandidateStatus::Winner);
        let winner = winner.ok_or_else(refused)?;
        let spec: Spec = serde_json::from_str(&run.spec).map_err(unreadable)?;
        let (set, kind) = spec.place()?;
        let hash_of = |text: &str| text.parse().map_err(|_| Failure::from(RunError::NoVersion(text.to_owned())));
        let activation = Activation {
            hash: hash_of(&winner.hash)?,
            expected_champion: Some(match promotion.expected_champion {
                Some(expected) => expected,
                None => hash_of(&run.champion)?,
            }),
            canary_share: promotion.canary_share,
        };
        let state = self.0.activate_guideline(caller, set, kind.name(), activation).await?;
        let detail = json!({ "hash": winner.hash, "canary_share": promotion.canary_share });
        self.0.audit(caller, run.namespace.as_deref(), "tuning.promote", id, detail).await?;
        Ok(state)
    }

    /// Saves a candidate that passed as a draft, which steers nothing.
    pub(super) async fn save_winner(&self, [set, kind]: [&str; 2], text: &str, note: String) -> Result<(), RunError> {
        let caller = Caller { actor: ACTOR.to_owned(), scope: KeyScope::Operator, namespace: None };
        let draft = Draft { text: text.to_owned(), note: Some(note), origin: "tuning" };
        match self.0.draft_guideline(&caller, set, kind, draft).await {
            Ok(_) => Ok(()),
            Err(Failure::Store(error)) => Err(error.into()),
            Err(Failure::Invalid(faults)) => {
                let said: Vec<String> = faults.into_iter().map(|fault| fault.detail).collect();
                Err(RunError::Unsaved(said.join("; ")))
            }
            Err(failure) => Err(RunError::Unsaved(failure.to_string())),
        }
    }
}

/// Guidelines steer every namespace: a key of one namespace may not look for new ones.
fn reaches_all(caller: &Caller) -> Result<(), Failure> {
    if caller.namespace.is_none() { Ok(()) } else { Err(Failure::Namespace("*".to_owned())) }
}

fn of_change(error: ChangeError, id: &str) -> Failure {
    match error {
        ChangeError::Store(error) => Failure::Store(error),
        other => Failure::of_change(other, id),
    }
}

fn told<T: serde::Serialize>(value: &T) -> Result<String, Failure> {
    Ok(serde_json::to_string(value).map_err(RunError::from)?)
}
