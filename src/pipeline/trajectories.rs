//! The trajectories themselves: made, found, changed, forked, pinned, judged, erased.

use serde_json::{Value, json};

use super::events::Event;
use super::failure::Failure;
use super::keys::Caller;
use super::live::Live;
use super::policy::faults;
use super::sessions::Slot;
use super::tally::Sums;
use super::{Pipeline, checks};
use crate::config::Policy;
use crate::store::{
    AuditEntry, DeletionReport, Fork, MessageRow, NewTrajectory, Outcome, Patch, Pinned, TrajectoryFilter,
    TrajectoryPage, TrajectoryRow,
};

/// The namespace of what names none.
pub const DEFAULT_NAMESPACE: &str = "default";

impl Pipeline {
    /// Makes a trajectory. An empty id or namespace takes a new id, or the caller's namespace.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`], [`Failure::Exists`], [`Failure::Namespace`].
    pub async fn create_trajectory(&self, caller: &Caller, mut new: NewTrajectory) -> Result<TrajectoryRow, Failure> {
        if new.id.is_empty() {
            new.id = self.world().new_id();
        }
        if new.namespace.is_empty() {
            new.namespace = caller.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        }
        checks::new_trajectory(&new)?;
        if !caller.reaches(&new.namespace) {
            return Err(Failure::Namespace(new.namespace));
        }
        self.check_policy(new.policy.as_ref())?;
        new.created_ms = self.world().now_ms();
        self.guidelines().asked(new.guideline_set.as_deref())?;
        let id = new.id.clone();
        self.store().create_trajectory(new).await.map_err(|error| Failure::of_change(error, &id))?;
        self.store().trajectory(&id).await?.ok_or_else(|| Failure::no_trajectory(&id))
    }

    fn check_policy(&self, policy: Option<&Value>) -> Result<(), Failure> {
        let Some(policy) = policy else { return Ok(()) };
        let policy: Policy =
            serde_json::from_value(policy.clone()).map_err(|error| Failure::field("/policy", error.to_string()))?;
        let faults = faults(&policy, self.config());
        if faults.is_empty() { Ok(()) } else { Err(Failure::Invalid(faults)) }
    }

    /// Returns a page of the records that the caller reaches, newest first.
    ///
    /// # Errors
    ///
    /// Fails when the store does, and for a cursor that is none.
    pub async fn list_trajectories(
        &self,
        caller: &Caller,
        mut filter: TrajectoryFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<TrajectoryPage, Failure> {
        if let Some(own) = &caller.namespace {
            if filter.namespace.as_ref().is_some_and(|asked| asked != own) {
                return Ok(TrajectoryPage { trajectories: Vec::new(), next_cursor: None });
            }
            filter.namespace = Some(own.clone());
        }
        Ok(self.store().list_trajectories(&filter, cursor, limit).await?)
    }

    /// Returns a record with what its steps cost.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn trajectory(&self, caller: &Caller, id: &str) -> Result<(TrajectoryRow, Sums), Failure> {
        let (mut slot, live) = self.take_for(caller, id).await?;
        let answer = (live.row.clone(), live.sums);
        *slot = Some(live);
        Ok(answer)
    }

    /// Returns a record; reads no messages.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn record(&self, caller: &Caller, id: &str) -> Result<TrajectoryRow, Failure> {
        let row = self.store().trajectory(id).await?;
        row.filter(|row| caller.reaches(&row.namespace)).ok_or_else(|| Failure::no_trajectory(id))
    }

    /// Returns stored messages from number `from`, at most `limit`.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn messages(
        &self,
        caller: &Caller,
        id: &str,
        from: u64,
        limit: u64,
    ) -> Result<(Vec<MessageRow>, TrajectoryRow), Failure> {
        let row = self.record(caller, id).await?;
        let messages = self.store().messages(id, from..from.saturating_add(limit)).await?;
        Ok((messages, row))
    }

    /// Changes a record. Settings act at the next epoch.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`], [`Failure::NotFound`].
    pub async fn patch_trajectory(&self, caller: &Caller, id: &str, patch: Patch) -> Result<TrajectoryRow, Failure> {
        checks::patch(&patch)?;
        self.check_policy(patch.policy.as_ref().and_then(Option::as_ref))?;
        let (own, caller, id) = (self.clone(), caller.clone(), id.to_owned());
        let fields = patched_fields(&patch);
        self.to_the_end(async move {
            let (mut slot, mut live) = own.take_for(&caller, &id).await?;
            let changed = own.store().patch_trajectory(&id, patch, own.world().now_ms()).await;
            let row = changed.map_err(|error| Failure::of_change(error, &id))?;
            if row.length == live.row.length {
                live.set_row(row.clone(), &own.inner)?;
                *slot = Some(live);
            }
            drop(slot);
            own.audit(&caller, Some(&row.namespace), "trajectory.patch", &id, json!({ "fields": fields })).await?;
            Ok(row)
        })
        .await
    }

    /// Notes how the run ended, credits the bullets that it was served with, and has models learn from it. Done again after
    /// a failure it does what is left.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn note_outcome(&self, caller: &Caller, id: &str, outcome: Outcome) -> Result<TrajectoryRow, Failure> {
        let status = outcome.status.as_str().to_owned();
        let patch = Patch { outcome: Some(Some(outcome)), ..Patch::default() };
        let (own, caller, id) = (self.clone(), caller.clone(), id.to_owned());
        self.to_the_end(async move {
            let row = own.patch_trajectory(&caller, &id, patch).await?;
            own.events().tell(&id, Event::Outcome { status });
            own.credit_outcome(&caller, &row).await?;
            own.ask_to_learn(&row).await?;
            Box::pin(own.ask_to_audit(&row)).await?;
            Ok(row)
        })
        .await
    }

    /// Pins or unpins a message; acts at the next epoch.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn pin_message(&self, caller: &Caller, id: &str, n: u64, pinned: Pinned) -> Result<(), Failure> {
        let (own, caller, id) = (self.clone(), caller.clone(), id.to_owned());
        self.to_the_end(async move {
            let (mut slot, mut live) = own.take_for(&caller, &id).await?;
            if n >= live.row.length {
                *slot = Some(live);
                return Err(Failure::NotFound(format!("message {n} in trajectory `{id}`")));
            }
            let done = own.store().set_pinned(&id, n, pinned, own.world().now_ms()).await;
            done.map_err(|error| Failure::of_change(error, &id))?;
            let at = usize::try_from(n).unwrap_or(usize::MAX);
            if !live.session.set_pinned(at, pinned == Pinned::Yes) {
                return Err(Failure::CutOff("the live state has fewer messages than the store"));
            }
            live.row.version += 1;
            live.repeats.clear();
            let namespace = live.row.namespace.clone();
            *slot = Some(live);
            drop(slot);
            let action = if pinned == Pinned::Yes { "message.pin" } else { "message.unpin" };
            own.audit(&caller, Some(&namespace), action, &id, json!({ "message": n })).await
        })
        .await
    }

    /// Makes a trajectory that shares the first `length` messages.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::Invalid`] where there are fewer messages, [`Failure::Exists`].
    pub async fn fork_trajectory(
        &self,
        caller: &Caller,
        id: &str,
        new_id: Option<String>,
        length: u64,
    ) -> Result<TrajectoryRow, Failure> {
        self.record(caller, id).await?;
        let new_id = new_id.unwrap_or_else(|| self.world().new_id());
        checks::name("/id", &new_id)?;
        let fork = Fork { trajectory: id.to_owned(), id: new_id.clone(), length, now_ms: self.world().now_ms() };
        let forked = self.store().fork(fork).await.map_err(|error| match Failure::of_change(error, id) {
            Failure::Exists(_) => Failure::Exists(new_id),
            failure => failure,
        })?;
        self.pin_fork(id, &forked.id);
        Ok(forked)
    }

    /// Erases a trajectory with everything derived from it, and tells what went (law 11).
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn delete_trajectory(&self, caller: &Caller, id: &str) -> Result<DeletionReport, Failure> {
        let (own, caller, id) = (self.clone(), caller.clone(), id.to_owned());
        self.to_the_end(async move {
            let record = own.record(&caller, &id).await?;
            let mut slot = own.inner.sessions.slot(&id).await;
            *slot = None;
            let done = own.store().delete_trajectory(&id, &caller.actor, own.world().now_ms()).await;
            let report = done.map_err(|error| Failure::of_change(error, &id))?;
            own.inner.sessions.give_back(&id, slot);
            for ended in &report.ended {
                let mut slot = own.inner.sessions.slot(ended).await;
                *slot = None;
                own.inner.sessions.give_back(ended, slot);
            }
            own.reshelve(&report.playbooks).await?;
            own.events().tell(&id, Event::Deleted);
            let detail = serde_json::to_value(&report).unwrap_or(Value::Null);
            own.audit(&caller, Some(&record.namespace), "trajectory.delete", &id, detail).await?;
            Ok(report)
        })
        .await
    }

    /// Notes a change by a person or program in the audit log.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn audit(
        &self,
        caller: &Caller,
        namespace: Option<&str>,
        action: &str,
        subject: &str,
        detail: Value,
    ) -> Result<(), Failure> {
        let entry = AuditEntry {
            at_ms: self.world().now_ms(),
            namespace: namespace.map(str::to_owned),
            actor: caller.actor.clone(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: Some(detail),
        };
        Ok(self.store().add_audit(entry).await?)
    }

    /// As `take`, for who reaches the trajectory's namespace.
    pub(super) async fn take_for(&self, caller: &Caller, id: &str) -> Result<(Slot, Live), Failure> {
        let (mut slot, live) = self.take(id).await?;
        if caller.reaches(&live.row.namespace) {
            return Ok((slot, live));
        }
        *slot = Some(live);
        Err(Failure::no_trajectory(id))
    }
}

fn patched_fields(patch: &Patch) -> Vec<&'static str> {
    let fields = [
        ("tools", patch.tools.is_some()),
        ("budget", patch.budget.is_some()),
        ("policy", patch.policy.is_some()),
        ("metadata", patch.metadata.is_some()),
        ("outcome", patch.outcome.is_some()),
    ];
    fields.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
}
