//! A log played from its beginning.

use std::collections::{BTreeMap, BTreeSet};

use super::apply::Fault;
use super::operation::{Delta, Operation};
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
        let earlier = |version| player.kept.get(&version).cloned();
        let applied = player.playbook.clone_applied(delta, earlier);
        player.playbook = applied.map_err(|fault| ReplayError { version: delta.version, fault })?;
    }
    Ok(player.playbook)
}

/// Returns a log without what was learned from a trajectory, what it makes, and how many operations that leaves out:
/// those of its own deltas, and later ones that build on them. Evidence does not name it any more.
#[must_use]
pub fn forgotten(log: &[Delta], trajectory: &str) -> (Vec<Delta>, Playbook, usize) {
    let mut left_out = 0;
    let mut kept: Vec<Delta> = Vec::with_capacity(log.len());
    for delta in log {
        if delta.source.trajectory.as_deref() == Some(trajectory) {
            left_out += delta.operations.len();
            continue;
        }
        let mut delta = delta.clone();
        delta.operations.iter_mut().for_each(|operation| operation.forget(trajectory));
        kept.push(delta);
    }
    let mut player = Player::new(&kept);
    let mut clean = Vec::with_capacity(kept.len());
    for delta in &kept {
        player.note(delta);
        let mut applicable = Delta { operations: Vec::new(), ..delta.clone() };
        for operation in &delta.operations {
            let single = Delta { operations: vec![operation.clone()], ..delta.clone() };
            let earlier = |version| player.kept.get(&version).cloned();
            if player.playbook.apply_leniently(&single, earlier) == 0 {
                applicable.operations.push(operation.clone());
            } else {
                left_out += 1;
            }
        }
        player.playbook.version = delta.version;
        clean.push(applicable);
    }
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

impl Playbook {
    fn clone_applied(&self, delta: &Delta, earlier: impl Fn(u64) -> Option<Self>) -> Result<Self, Fault> {
        let mut next = self.clone();
        next.apply(delta, earlier)?;
        Ok(next)
    }
}

impl Operation {
    fn forget(&mut self, trajectory: &str) {
        if let Self::Add { evidence, .. } | Self::Update { evidence, .. } = self {
            evidence.retain(|evidence| evidence.trajectory != trajectory);
        }
    }
}
