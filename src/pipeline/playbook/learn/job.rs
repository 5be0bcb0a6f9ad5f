//! Learning from a stored run in the background, once its outcome is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use recap_core::context::LookBack;
use recap_core::playbook::{BulletId, Playbook, Source};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::bounds::Rules;
use super::super::change::{Asked, ChangeKind, LEASE_LOST};
use super::super::credits::served_bullets;
use super::super::embeddings::contents;
use super::decide::{Effect, decide, new_content};
use super::teacher::{Findings, Lesson, Teacher};
use super::{ACTOR, labels_of};
use crate::config::Labels;
use crate::pipeline::compress::{OnBehalf, Unmade};
use crate::pipeline::failure::Failure;
use crate::pipeline::{Pipeline, compute};
use crate::store::{Job, Lease, LeftOut, NewJob, Outcome, PlaybookKey, PlaybookRow, TrajectoryRow};

/// The kind of jobs that learn from a run.
pub const LEARN: &str = "learn";

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Learned {
    /// There was nothing to learn: the job is to be completed.
    Nothing,
    /// What was learned is stored, and the job completed with it.
    Stored(Effect),
    /// The models made nothing that can be used.
    Unmade(Unmade),
    /// The trajectory was deleted, and the job with it.
    Gone,
}

impl Pipeline {
    /// Has models learn from a run in the background, if it names a playbook and there is a model.
    pub(in crate::pipeline) async fn ask_to_learn(&self, row: &TrajectoryRow) -> Result<(), Failure> {
        let has_model = self.compressors().chats().next().is_some();
        if row.playbook.is_none() || !self.config().playbook.learn || !has_model {
            return Ok(());
        }
        let now_ms = self.world().now_ms();
        let job = NewJob {
            id: self.world().new_id(),
            kind: LEARN.to_owned(),
            key: row.id.clone(),
            trajectory: Some(row.id.clone()),
            namespace: row.namespace.clone(),
            payload: Value::Null,
            run_after_ms: now_ms,
            now_ms,
        };
        self.store().enqueue_job(job).await.map_err(|error| Failure::of_change(error, &row.id))?;
        Ok(())
    }

    /// Learns from the run that a job names, and stores what stands of it with the job's end.
    ///
    /// # Errors
    ///
    /// What the store fails with, and what refuses the change.
    pub async fn learn_in_background(&self, job: &Job, lease: Lease) -> Result<Learned, Failure> {
        let Some(id) = job.trajectory.as_deref() else { return Ok(Learned::Nothing) };
        match self.learn_of(id, job, lease).await {
            Err(Failure::NotFound(_)) if self.store().trajectory(id).await?.is_none() => Ok(Learned::Gone),
            learned => learned,
        }
    }

    async fn learn_of(&self, id: &str, job: &Job, lease: Lease) -> Result<Learned, Failure> {
        let row = self.store().trajectory(id).await?.ok_or_else(|| Failure::no_trajectory(id))?;
        let Some(name) = row.playbook.clone() else { return Ok(Learned::Nothing) };
        let key = PlaybookKey { namespace: row.namespace.clone(), name };
        let Some(teacher) = self.teacher(row.guideline_set.as_deref()) else { return Ok(Learned::Nothing) };
        let known = self.store().playbook(&key).await?;
        let teacher = teacher.within(self.budget_of(known.as_ref()), self.world().now_ms());
        let (labels, named) = labels_of(self.told(&row));
        let Some(run) = self.look_back(id, teacher.run_tokens(labels)).await? else { return Ok(Learned::Nothing) };
        // Of a run that was learned from before, something may have to be taken back.
        let is_new = known.is_none();
        let playbook = known.map_or_else(Arc::default, |row| row.playbook);
        let findings = match self.taught(&row, job, &teacher, &playbook, &run).await? {
            Ok(findings) => findings,
            Err(unmade) => return Ok(Learned::Unmade(unmade)),
        };
        if is_new && findings.tags.is_empty() && findings.words.operations.is_empty() {
            count_left_out(findings.left_out);
            return Ok(Learned::Nothing);
        }
        self.keep_learned(key, id, findings, named, lease).await
    }

    /// Returns who asks the models; `None` without guidelines for them.
    pub(super) fn teacher(&self, set: Option<&str>) -> Option<Teacher> {
        let rounds = self.config().playbook.rounds;
        Teacher::new(self.compressors(), self.guidelines(), set, self.inner.playbooks.counter(), rounds)
    }

    /// Returns a playbook's budget in tokens.
    pub(super) fn budget_of(&self, row: Option<&PlaybookRow>) -> u32 {
        row.and_then(|row| row.budget).unwrap_or(self.config().playbook.budget)
    }

    /// Reads a run; its lines of reads stay as they are.
    async fn look_back(&self, id: &str, most_tokens: u32) -> Result<Option<LookBack>, Failure> {
        let (mut slot, live) = self.take(id).await?;
        let (live, run) = compute(usize::MAX, move || {
            let mut live = live;
            let run = live.session.look_back(most_tokens);
            (live, run)
        })
        .await?;
        *slot = Some(live);
        Ok(run)
    }

    /// Returns what of a run's outcome is read: without labels nothing.
    fn told<'a>(&self, row: &'a TrajectoryRow) -> Option<&'a Outcome> {
        row.outcome.as_ref().filter(|_| self.config().playbook.labels == Labels::Outcome)
    }

    /// Asks the models. Returns what they made of the run.
    async fn taught(
        &self,
        row: &TrajectoryRow,
        job: &Job,
        teacher: &Teacher,
        playbook: &Arc<Playbook>,
        run: &LookBack,
    ) -> Result<Result<Findings, Unmade>, Failure> {
        let outcome = self.told(row);
        let epochs = self.store().epochs(&row.id, None).await?;
        let used = outcome.into_iter().flat_map(|outcome| &outcome.used_bullets).filter_map(|id| id.parse().ok());
        let mut served: BTreeSet<BulletId> = served_bullets(&epochs)?;
        served.extend(used);
        let (labels, _) = labels_of(outcome);
        let cancelled = CancellationToken::new();
        let guard = cancelled.clone().drop_guard();
        let lesson = Lesson { playbook, run, served: &served, labels, trajectory: &row.id };
        let (findings, attempts) = teacher.teach(&lesson, &cancelled).await;
        drop(guard);
        let of = OnBehalf {
            namespace: row.namespace.clone(),
            agent: row.agent.clone().unwrap_or_default(),
            trajectory: Some(row.id.clone()),
            job: Some(job.id.clone()),
        };
        self.note_attempts(&of, attempts).await;
        count(&findings);
        Ok(findings)
    }

    async fn keep_learned(
        &self,
        key: PlaybookKey,
        id: &str,
        findings: Findings,
        labels: &'static str,
        lease: Lease,
    ) -> Result<Learned, Failure> {
        let asked = self.learned(key, findings, labels, id.to_owned()).await;
        let asked = Asked { run: Some(id.to_owned()), job: Some(lease), ..asked };
        match self.change_playbook(asked).await {
            Ok(changed) => {
                let effect = effect_of(&changed);
                tracing::info!(trajectory = id, playbook = changed.row.key.name, ?effect, "learned from a run");
                Ok(Learned::Stored(effect))
            }
            Err(Failure::CutOff(LEASE_LOST)) => Ok(Learned::Nothing),
            Err(failure) => Err(failure),
        }
    }

    /// Returns the change that findings ask for; an encoder is waited for, where there is one.
    pub(super) async fn learned(
        &self,
        key: PlaybookKey,
        mut findings: Findings,
        labels: &'static str,
        trajectory: String,
    ) -> Asked {
        let new: Vec<Arc<str>> = findings.words.operations.iter().filter_map(new_content).map(Arc::from).collect();
        if !new.is_empty() {
            let all = [contents(&findings.seen), new].concat();
            findings.points = self.inner.embeddings.of(all).await;
        }
        let source = Source {
            trajectory: Some(trajectory),
            labels: Some(labels.to_owned()),
            makers: findings.makers.clone(),
            ..Source::of(findings.words.origin)
        };
        let (rules, held) = (Rules::of(self, ACTOR), source.clone());
        Asked {
            key,
            kind: ChangeKind::Learned,
            expected_version: None,
            actor: ACTOR.to_owned(),
            source,
            run: None,
            accepts: None,
            job: None,
            lesson: None,
            decide: Arc::new(move |now| decide(now, &findings, &held, &rules)),
        }
    }
}

/// Counts what a change did.
pub(super) fn effect_of(changed: &crate::store::PlaybookChanged) -> Effect {
    let applied = changed.applied.as_ref().map(|delta| delta.operations.as_slice()).unwrap_or_default();
    if changed.waits.is_some() {
        metrics::counter!("recapd_playbook_reviews_total", "decision" => "pending").increment(1);
    }
    count_left_out(changed.left_out);
    Effect::of(applied, usize::from(changed.waits.is_some()), changed.left_out)
}

/// Counts what was found and left out.
fn count_left_out(left_out: LeftOut) {
    let LeftOut { over_budget, outdated, twin, refused, reviews_full } = left_out;
    let counts = [
        ("over_budget", over_budget),
        ("outdated", outdated),
        ("twin", twin),
        ("refused", refused),
        ("reviews_full", reviews_full),
    ];
    for (why, count) in counts {
        if count > 0 {
            metrics::counter!("recapd_playbook_left_out_total", "why" => why).increment(count as u64);
        }
    }
}

/// Counts how a look back ended.
pub(super) fn count(findings: &Result<Findings, Unmade>) {
    let result = match findings {
        Ok(_) => "learned",
        Err(Unmade::Later { .. }) => "later",
        Err(Unmade::Never(_)) => "rejected",
    };
    metrics::counter!("recapd_playbook_lessons_total", "result" => result).increment(1);
}
