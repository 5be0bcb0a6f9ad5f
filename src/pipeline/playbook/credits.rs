//! How bullets served: what somebody says of them, and what an outcome says of those that were served or used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use recap_core::playbook::{BulletId, Credit, Operation, Playbook, Prior, Source, resolve};

use super::change::{Asked, ChangeKind, origin_of};
use super::read::BulletView;
use super::refusal::Refusal;
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::pipeline::serve_context::record_of;
use crate::pipeline::{Pipeline, checks};
use crate::store::{EpochRow, OutcomeStatus, PlaybookDecision, PlaybookKey, PlaybookNow, TrajectoryRow};

/// What somebody says of a bullet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Feedback {
    /// How often it helped, harmed, did neither.
    pub events: Vec<(Credit, i64)>,
    /// The run that it is said of.
    pub trajectory: Option<String>,
}

impl Pipeline {
    /// Counts what somebody says of a bullet. Returns the playbook's version since and the bullet.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::Invalid`].
    pub async fn credit_bullet(
        &self,
        caller: &Caller,
        key: PlaybookKey,
        id: &str,
        feedback: Feedback,
    ) -> Result<(u64, BulletView), Failure> {
        feedback.trajectory.as_deref().map_or(Ok(()), |id| checks::name("/trajectory", id))?;
        if feedback.events.is_empty() || feedback.events.iter().any(|(_, count)| !(1..=1000).contains(count)) {
            return Err(Failure::field(
                "",
                "say how often it was `helpful`, `harmful` or `neutral`: true, or 1 to 1000",
            ));
        }
        let id: BulletId = id.parse().map_err(|_| Failure::NotFound(format!("bullet `{id}`")))?;
        let wanted = id.clone();
        let source = Source { trajectory: feedback.trajectory.clone(), ..Source::of(origin_of(caller)) };
        let asked = Asked {
            key,
            kind: ChangeKind::Feedback,
            expected_version: None,
            actor: caller.actor.clone(),
            source,
            run: None,
            accepts: None,
            job: None,
            lesson: None,
            decide: Arc::new(move |now| said(&now.row.playbook, &wanted, &feedback)),
        };
        let playbook = self.change_playbook(asked).await?.row.playbook;
        let bullet = playbook.bullet(&id).cloned().ok_or(Refusal::NoBullet(id))?;
        let view = self.bullet_views(vec![bullet]).await?.pop();
        Ok((playbook.version, view.ok_or(Failure::CutOff("a bullet was not counted"))?))
    }

    /// Credits the bullets that were served to a trajectory, and those that its outcome names, with how it ended. What an
    /// earlier outcome credited is taken back. Done twice it changes nothing.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn credit_outcome(&self, caller: &Caller, row: &TrajectoryRow) -> Result<(), Failure> {
        let Some(name) = row.playbook.clone() else { return Ok(()) };
        let epochs = self.store().epochs(&row.id, None).await?;
        let served = served_bullets(&epochs)?;
        let key = PlaybookKey { namespace: row.namespace.clone(), name };
        let asked = Asked {
            key: key.clone(),
            kind: ChangeKind::Outcome,
            expected_version: None,
            actor: caller.actor.clone(),
            source: Source {
                name: Some("outcome".to_owned()),
                trajectory: Some(row.id.clone()),
                labels: Some("outcome".to_owned()),
                ..Source::of(origin_of(caller))
            },
            run: Some(row.id.clone()),
            accepts: None,
            job: None,
            lesson: None,
            decide: Arc::new(move |now| Ok(concluded(now, &served))),
        };
        let known = match self.change_playbook(asked).await {
            Ok(changed) => changed.row.playbook,
            // Neither a playbook nor a trajectory that is gone has anything to be credited.
            Err(Failure::NotFound(_)) => Arc::default(),
            Err(failure) => return Err(failure),
        };
        let used = row.outcome.iter().flat_map(|outcome| &outcome.used_bullets);
        let unknown = used.filter(|id| id.parse().map_or(true, |id| known.bullet(&id).is_none())).count();
        metrics::counter!("recapd_playbook_unknown_bullets_total").increment(unknown as u64);
        Ok(())
    }
}

fn said(playbook: &Playbook, id: &BulletId, feedback: &Feedback) -> Result<PlaybookDecision, Refusal> {
    if playbook.bullet(id).is_none() {
        return Err(Refusal::NoBullet(id.clone()));
    }
    let tag =
        |(tag, count): &(Credit, i64)| Operation::Tag { id: id.clone(), tag: *tag, count: *count, inferred: false };
    let operations = feedback.events.iter().map(tag).collect();
    let operations = resolve(playbook, operations, Prior::Outside).map_err(Refusal::of_faults)?;
    Ok(PlaybookDecision::apply(operations))
}

/// Returns the bullets that epochs show.
///
/// # Errors
///
/// [`StoreError::Unreadable`](crate::store::StoreError::Unreadable)
pub fn served_bullets(epochs: &[EpochRow]) -> Result<BTreeSet<BulletId>, Failure> {
    let mut served = BTreeSet::new();
    for epoch in epochs {
        served.extend(record_of(epoch)?.bullets().iter().cloned());
    }
    Ok(served)
}

/// Returns what an outcome says of the bullets that are there, less what the run was credited with before. What was credited
/// to a bullet that was merged since is its heir's.
fn concluded(now: &PlaybookNow, served: &BTreeSet<BulletId>) -> PlaybookDecision {
    let mut events: BTreeMap<(BulletId, Credit), i64> = BTreeMap::new();
    if let Some(outcome) = now.run.as_ref().and_then(|run| run.outcome.as_ref()) {
        let used = outcome.used_bullets.iter().filter_map(|id| id.parse().ok());
        let credited: BTreeSet<BulletId> = served.iter().cloned().chain(used).collect();
        for id in &credited {
            *events.entry((now.heir(id).clone(), credit_of(outcome.status))).or_default() += 1;
        }
    }
    for operation in now.of_run.iter().flat_map(|delta| &delta.operations) {
        if let Operation::Tag { id, tag, count, inferred: true } = operation {
            *events.entry((now.heir(id).clone(), *tag)).or_default() -= count;
        }
    }
    let playbook = &now.row.playbook;
    let changed = events.into_iter().filter(|((id, _), count)| *count != 0 && playbook.bullet(id).is_some());
    let tag = |((id, tag), count)| Operation::Tag { id, tag, count, inferred: true };
    PlaybookDecision::apply(changed.map(tag).collect())
}

fn credit_of(status: OutcomeStatus) -> Credit {
    match status {
        OutcomeStatus::Success => Credit::Helpful,
        OutcomeStatus::Failure => Credit::Harmful,
        OutcomeStatus::Partial | OutcomeStatus::Unknown => Credit::Neutral,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::store::StoreError;

    fn row(record: &Value) -> EpochRow {
        EpochRow { line: "openai".to_owned(), n: 0, record: record.to_string(), created_ms: 0 }
    }

    fn epoch(sections: &[(&str, &[&str])]) -> EpochRow {
        let section = |(kind, bullets): &(&str, &[&str])| {
            json!({ "kind": kind, "text": "", "tokens": 0, "turns": [0, 0], "full_tokens": 0, "originals": [], "cuts": [],
                "bullets": bullets })
        };
        let sections: Vec<Value> = sections.iter().map(section).collect();
        row(&json!({ "line": "openai", "n": 0, "covered": 0, "agent_kind": "tool", "began_at": 0, "room": 0,
            "sections": sections, "edits": {}, "maker": "", "cause": "start" }))
    }

    #[test]
    fn only_excerpts_serve_bullets() {
        let epochs = [
            epoch(&[("playbook", &["shr-00001"]), ("recap", &["shr-00009"])]),
            epoch(&[("recap", &[])]),
            epoch(&[("playbook", &["api-00002", "shr-00001"])]),
        ];
        let served: Vec<String> = served_bullets(&epochs).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(served, ["api-00002", "shr-00001"]);
    }

    #[test]
    fn an_epoch_that_cannot_be_read_is_an_error() {
        for wrong in [row(&json!({})), epoch(&[("playbook", &["no id!"])])] {
            let read = served_bullets(&[epoch(&[]), wrong]);
            assert!(matches!(read, Err(Failure::Store(StoreError::Unreadable(_)))));
        }
    }
}
