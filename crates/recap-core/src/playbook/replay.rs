//! A log played from its beginning.

use std::collections::{BTreeMap, BTreeSet};

use super::apply::Fault;
use super::bullet::{Evidence, Origin};
use super::operation::{Delta, Operation, Source};
use super::state::Playbook;

/// A log that makes no playbook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version {version} of the log cannot be applied: {fault}")]
pub struct ReplayError {
    /// The delta.
    pub version: u64,
    /// Why.
    pub fault: Fault,
}

/// Returns what a log makes of an empty playbook, as it stood at version `until`, or now. Deltas come oldest first.
///
/// # Errors
/// [`ReplayError`] for a log that was not made by applying its deltas.
pub fn replay(log: &[Delta], until: Option<u64>) -> Result<Playbook, ReplayError> {
    let mut player = Player::new(log);
    for delta in log.iter().take_while(|delta| until.is_none_or(|until| delta.version <= until)) {
        player.note(delta);
        let kept = &player.kept;
        let applied = player.playbook.apply(delta, |version| kept.get(&version).cloned());
        applied.map_err(|fault| ReplayError { version: delta.version, fault })?;
    }
    Ok(player.playbook)
}

/// Returns a log without what was learned from a trajectory, what it makes, and how many operations that leaves out:
/// those of its own deltas, words that it alone supports in other ones, and later operations that build on them.
/// Evidence and sources do not name it any more. Ids stay taken.
#[must_use]
pub fn forgotten(log: &[Delta], trajectory: &str) -> (Vec<Delta>, Playbook, usize) {
    let kept: Vec<Delta> = log.iter().filter_map(|delta| delta.without(trajectory)).collect();
    let mut player = Player::new(&kept);
    let mut clean = Vec::with_capacity(kept.len());
    for delta in &kept {
        player.note(delta);
        let earlier = &player.kept;
        let operations = player.playbook.apply_leniently(delta, |version| earlier.get(&version).cloned());
        clean.push(Delta { operations, ..delta.clone() });
    }
    let real = |log: &[Delta]| {
        let operations = log.iter().flat_map(|delta| &delta.operations);
        operations.filter(|operation| !matches!(operation, Operation::Retire { .. })).count()
    };
    let left_out = real(log) - real(&clean);
    (clean, player.playbook, left_out)
}

/// A playbook on its way through a log, with the versions that later deltas go back to.
struct Player {
    playbook: Playbook,
    targets: BTreeSet<u64>,
    kept: BTreeMap<u64, Playbook>,
}

impl Player {
    fn new(log: &[Delta]) -> Self {
        let targets = log.iter().flat_map(|delta| &delta.operations).filter_map(|operation| match operation {
            Operation::Revert { to } => Some(*to),
            _ => None,
        });
        Self { playbook: Playbook::default(), targets: targets.collect(), kept: BTreeMap::new() }
    }

    /// Keeps the playbook as it stands under the versions before the next delta's that are gone back to.
    fn note(&mut self, next: &Delta) {
        let due: Vec<u64> = self.targets.range(self.playbook.version..next.version).copied().collect();
        for version in due {
            self.kept.insert(version, self.playbook.clone());
        }
    }
}

impl Delta {
    /// The delta without what it says of a trajectory; `None` if nothing is left.
    fn without(&self, trajectory: &str) -> Option<Self> {
        let of_it = self.source.trajectory.as_deref() == Some(trajectory);
        let operations: Vec<_> = self.operations.iter().filter_map(|one| self.forget(one, trajectory, of_it)).collect();
        if of_it {
            let source = Source::of(self.source.origin);
            return (!operations.is_empty()).then(|| Self { source, operations, ..self.clone() });
        }
        let mut source = self.source.clone();
        source.name.take_if(|name| names(name, trajectory));
        Some(Self { source, operations, ..self.clone() })
    }

    /// What stays of an operation: of an addition that goes, its id.
    fn forget(&self, operation: &Operation, trajectory: &str, of_it: bool) -> Option<Operation> {
        let is_of = |evidence: &Evidence| evidence.trajectory == trajectory;
        let learned = |origin| matches!(origin, Origin::Learned | Origin::Observed);
        let alone = |evidence: &[Evidence]| !evidence.is_empty() && evidence.iter().all(is_of);
        let mut left = operation.clone();
        match &mut left {
            Operation::Add { id: Some(id), origin, evidence, .. } => {
                if of_it || learned(origin.unwrap_or(self.source.origin)) && alone(evidence) {
                    return Some(Operation::Retire { id: id.clone() });
                }
                evidence.retain(|evidence| !is_of(evidence));
            }
            Operation::Update { evidence, .. } => {
                if of_it || learned(self.source.origin) && alone(evidence) {
                    return None;
                }
                evidence.retain(|evidence| !is_of(evidence));
            }
            Operation::Retire { .. } => {}
            _ if of_it => return None,
            _ => {}
        }
        Some(left)
    }
}

/// Tells whether free words hold an id as a word of its own.
fn names(words: &str, id: &str) -> bool {
    let of_id = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    words.match_indices(id).any(|(at, _)| {
        let before = words.get(..at).and_then(|before| before.chars().next_back());
        let after = words.get(at + id.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(of_id) && !after.is_some_and(of_id)
    })
}
