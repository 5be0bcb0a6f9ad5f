//! The way of every change: decided before the write where nothing else can have changed, and again inside of it where
//! something has.

use std::collections::BTreeMap;
use std::sync::Arc;

use recap_core::playbook::{Fault, Origin, Playbook, Source};

use super::refusal::Refusal;
use super::{MOST_PENDING, no_playbook};
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::{Caller, KeyScope};
use crate::pipeline::{Pipeline, compute};
use crate::store::{
    Lease, LeftOut, PlaybookChange, PlaybookChanged, PlaybookDecision, PlaybookError, PlaybookKey, PlaybookLesson,
    PlaybookNow, PlaybookRow,
};

/// What is said where a job that a change completes is another runner's by now.
pub(super) const LEASE_LOST: &str = "the lease of a job was lost";

/// What is to be done to a playbook as it is: pure, for it may be asked more than once.
pub type Decide = Arc<dyn Fn(&PlaybookNow) -> Result<PlaybookDecision, Refusal> + Send + Sync>;

/// What kind of change it is; metrics name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Operations that somebody sent.
    Delta,
    /// Somebody's word on how a bullet served.
    Feedback,
    /// What an outcome says of bullets.
    Outcome,
    /// What a model learned from a run.
    Learned,
    /// A file.
    Import,
    /// An earlier version again.
    Revert,
    /// What was accepted.
    Review,
    /// Duplicates merged.
    Dedupe,
    /// Bullets that do harm or no good removed.
    Prune,
}

impl ChangeKind {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Feedback => "feedback",
            Self::Outcome => "outcome",
            Self::Learned => "learned",
            Self::Import => "import",
            Self::Revert => "revert",
            Self::Review => "review",
            Self::Dedupe => "dedupe",
            Self::Prune => "prune",
        }
    }

    /// Tells whether a playbook that is not there is made by it.
    fn creates(self) -> bool {
        matches!(self, Self::Delta | Self::Learned | Self::Import)
    }
}

/// A change that is asked for.
pub struct Asked {
    /// Which playbook.
    pub key: PlaybookKey,
    /// What kind of change it is.
    pub kind: ChangeKind,
    /// The version that it was made for.
    pub expected_version: Option<u64>,
    /// Who.
    pub actor: String,
    /// On what ground.
    pub source: Source,
    /// A stored trajectory that it rests on.
    pub run: Option<String>,
    /// The waiting change that it accepts.
    pub accepts: Option<String>,
    /// The job that it completes.
    pub job: Option<Lease>,
    /// The recorded run that was learned from by it.
    pub lesson: Option<PlaybookLesson>,
    /// What is to be done.
    pub decide: Decide,
}

impl Pipeline {
    /// Changes a playbook, and puts what it is then on the shelf.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::Version`], and what `decide` refuses.
    pub async fn change_playbook(&self, mut asked: Asked) -> Result<PlaybookChanged, Failure> {
        let kind = asked.kind;
        asked.decide = bounded(kind, asked.decide);
        // What rests on more than the playbook is decided inside of the write alone.
        if asked.run.is_none() && asked.accepts.is_none() && kind != ChangeKind::Learned {
            asked.decide = self.decided(&asked).await.inspect_err(count_refusal)?;
        }
        let own = self.clone();
        let done = self.to_the_end(async move {
            let key = asked.key.clone();
            let change = own.change_of(asked);
            let changed = own.store().change_playbook(change).await.map_err(|error| of_store(error, &key))?;
            own.inner.playbooks.put(&changed.row).await?;
            own.embed_playbook_later(&changed.row);
            Ok(changed)
        });
        let changed = match done.await {
            Ok(changed) => changed,
            // An outcome of a run whose playbook was never made is no refusal.
            Err(failure @ Failure::NotFound(_)) if kind == ChangeKind::Outcome => return Err(failure),
            Err(failure) => {
                count_refusal(&failure);
                return Err(failure);
            }
        };
        if changed.applied.is_some() {
            metrics::counter!("recapd_playbook_deltas_total", "source" => kind.name()).increment(1);
        }
        Ok(changed)
    }

    fn change_of(&self, asked: Asked) -> PlaybookChange<Refusal> {
        PlaybookChange {
            key: asked.key,
            create: asked.kind.creates(),
            expected_version: asked.expected_version,
            at_ms: self.world().now_ms(),
            actor: asked.actor,
            source: asked.source,
            run: asked.run,
            accepts: asked.accepts,
            review_id: self.world().new_id(),
            job: asked.job,
            lesson: asked.lesson,
            reads_waiting: asked.kind == ChangeKind::Learned,
            decide: asked.decide,
        }
    }

    /// Decides on the playbook as it is read now, so that the store's writer need not wait for it. Returns a function that
    /// knows this answer and decides again for any other state.
    async fn decided(&self, asked: &Asked) -> Result<Decide, Failure> {
        let row = self.store().playbook(&asked.key).await?;
        let row = match row {
            Some(row) => row,
            None if asked.kind.creates() => empty(asked.key.clone()),
            None => return Err(no_playbook(&asked.key)),
        };
        let current = row.playbook.version;
        if asked.expected_version.is_some_and(|expected| expected != current) {
            return Err(Failure::Version { current });
        }
        let changes = row.changes;
        let now = PlaybookNow {
            row,
            run: None,
            of_run: Vec::new(),
            heirs: BTreeMap::new(),
            review: None,
            waiting: Vec::new(),
        };
        let decide = Arc::clone(&asked.decide);
        let bytes = now.row.playbook.bullets.iter().map(|bullet| bullet.content.len()).sum();
        let decision = compute(bytes, move || decide(&now)).await??;
        let decide = Arc::clone(&asked.decide);
        Ok(Arc::new(move |now| if now.row.changes == changes { Ok(decision.clone()) } else { decide(now) }))
    }
}

/// Decides with the same words, but nothing more waits where too much does: it is refused, and what a model learned, of
/// which counters are applied all the same, is left out.
fn bounded(kind: ChangeKind, decide: Decide) -> Decide {
    Arc::new(move |now| {
        let decision = decide(now)?;
        let pending = now.row.pending;
        if decision.wait.is_empty() || pending < MOST_PENDING {
            return Ok(decision);
        }
        if kind != ChangeKind::Learned {
            return Err(Refusal::ReviewsFull { pending });
        }
        let left_out = LeftOut { reviews_full: decision.wait.len(), ..decision.left_out };
        Ok(PlaybookDecision { left_out, ..PlaybookDecision::apply(decision.apply) })
    })
}

fn empty(key: PlaybookKey) -> PlaybookRow {
    let playbook = Arc::new(Playbook::default());
    PlaybookRow { key, playbook, budget: None, review: None, changes: 0, pending: 0, created_ms: 0, updated_ms: 0 }
}

fn count_refusal(failure: &Failure) {
    let why = match failure {
        Failure::Version { .. } => "version",
        Failure::Playbook(refusal) => refusal.name(),
        Failure::Invalid(_) => "invalid",
        Failure::NotFound(_) => "not-found",
        _ => return,
    };
    metrics::counter!("recapd_playbook_refusals_total", "why" => why).increment(1);
}

/// Says what a refusal of the store means.
pub(super) fn of_store<E: Into<Failure>>(error: PlaybookError<E>, key: &PlaybookKey) -> Failure {
    match error {
        PlaybookError::NoPlaybook => no_playbook(key),
        PlaybookError::NoReview => Failure::NotFound("such change that waits".to_owned()),
        PlaybookError::NoTrajectory => Failure::NotFound("such trajectory".to_owned()),
        PlaybookError::Version { current } => Failure::Version { current },
        PlaybookError::LeaseLost => Failure::CutOff(LEASE_LOST),
        PlaybookError::Fault(Fault::NoVersion(version)) => Refusal::NoVersion(version).into(),
        PlaybookError::Fault(Fault::NoBullet(id)) => Refusal::NoBullet(id).into(),
        PlaybookError::Fault(fault) => Refusal::at(0, fault.to_string()).into(),
        PlaybookError::Refused(refusal) => refusal.into(),
        PlaybookError::Store(error) => Failure::Store(error),
    }
}

/// Returns who brings words that a caller sends.
pub(super) fn origin_of(caller: &Caller) -> Origin {
    if caller.may(KeyScope::Operator) { Origin::Operator } else { Origin::Agent }
}

#[cfg(test)]
mod tests {
    use recap_core::playbook::{Credit, Operation};

    use super::*;

    fn now(pending: u64) -> PlaybookNow {
        let key = PlaybookKey { namespace: "default".to_owned(), name: "support".to_owned() };
        let row = PlaybookRow { pending, ..empty(key) };
        PlaybookNow { row, run: None, of_run: Vec::new(), heirs: BTreeMap::new(), review: None, waiting: Vec::new() }
    }

    #[test]
    fn a_full_list_takes_no_more() {
        let id: recap_core::playbook::BulletId = "r-00001".parse().unwrap();
        let tag = Operation::Tag { id: id.clone(), tag: Credit::Helpful, count: 1, inferred: false };
        let asked = PlaybookDecision {
            apply: vec![tag.clone()],
            ..PlaybookDecision::wait(vec![Operation::Delete { id }], vec!["why".to_owned()])
        };
        let wanted = asked.clone();
        let decide: Decide = Arc::new(move |_| Ok(wanted.clone()));
        for kind in [ChangeKind::Delta, ChangeKind::Learned] {
            assert_eq!(bounded(kind, Arc::clone(&decide))(&now(MOST_PENDING - 1)), Ok(asked.clone()));
        }
        let full = bounded(ChangeKind::Delta, Arc::clone(&decide))(&now(MOST_PENDING));
        assert_eq!(full, Err(Refusal::ReviewsFull { pending: MOST_PENDING }));
        let learned = bounded(ChangeKind::Learned, decide)(&now(MOST_PENDING));
        assert_eq!(
            learned,
            Ok(PlaybookDecision {
                left_out: LeftOut { reviews_full: 1, ..LeftOut::default() },
                ..PlaybookDecision::apply(vec![tag])
            })
        );
        // What does not wait needs no room.
        let applied: Decide = Arc::new(|_| Ok(PlaybookDecision::nothing()));
        assert_eq!(bounded(ChangeKind::Delta, applied)(&now(MOST_PENDING)), Ok(PlaybookDecision::nothing()));
    }
}
