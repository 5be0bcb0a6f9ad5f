//! What of findings stands, on a playbook as it is: pure, and asked again where the playbook changed meanwhile.

use std::collections::BTreeMap;

use recap_core::playbook::{
    BulletId, Credit, Delta, Operation, Origin, Playbook, Prior, Source, collapses, resolve, twin_of,
};

use super::super::bounds::{Removals, Rules};
use super::super::refusal::Refusal;
use super::teacher::Findings;
use crate::store::{PlaybookDecision, PlaybookNow};

/// What became of findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effect {
    /// New bullets.
    pub added: usize,
    /// Bullets with new words.
    pub updated: usize,
    /// Bullets that went into others.
    pub merged: usize,
    /// Bullets that went.
    pub deleted: usize,
    /// Bullets of which it was said how they served.
    pub tagged: usize,
    /// Operations that wait for somebody's word.
    pub to_review: usize,
}

impl Effect {
    /// Counts what a change did.
    #[must_use]
    pub fn of(applied: &[Operation], waiting: usize) -> Self {
        let count = |is: fn(&Operation) -> bool| applied.iter().filter(|operation| is(operation)).count();
        Self {
            added: count(|operation| matches!(operation, Operation::Add { .. })),
            updated: count(|operation| matches!(operation, Operation::Update { .. })),
            merged: count(|operation| matches!(operation, Operation::Merge { .. })),
            deleted: count(|operation| matches!(operation, Operation::Delete { .. })),
            tagged: count(|operation| matches!(operation, Operation::Tag { .. })),
            to_review: waiting,
        }
    }
}

/// Decides: what is said of bullets is applied; words are applied where neither the playbook's setting nor their origin
/// lets them wait, and as far as they fit the budget.
pub(super) fn decide(
    now: &PlaybookNow,
    findings: &Findings,
    source: &Source,
    rules: &Rules,
) -> Result<PlaybookDecision, Refusal> {
    let playbook = &now.row.playbook;
    let tags = tags(now, &findings.tags);
    let words = mergeable(playbook, &findings.seen, &findings.words.operations);
    if words.is_empty() {
        return Ok(PlaybookDecision::apply(tags));
    }
    let mut reasons = findings.words.reasons.clone();
    if rules.waits(&now.row) {
        reasons.push("changes of this playbook's words wait for review".to_owned());
    }
    if let Some(collapse) = collapse(playbook, &words, source, rules)? {
        reasons.push(collapse);
    }
    if !reasons.is_empty() {
        return Ok(PlaybookDecision { apply: tags, ..PlaybookDecision::wait(words, reasons) });
    }
    let mut operations = fitting(now, words, source, rules)?;
    operations.extend(tags);
    Ok(PlaybookDecision::apply(operations))
}

/// What is said of bullets that are there, less what was said when the run was learned from before.
fn tags(now: &PlaybookNow, said: &[Operation]) -> Vec<Operation> {
    let mut events: BTreeMap<(BulletId, Credit), i64> = BTreeMap::new();
    for operation in said {
        if let Operation::Tag { id, tag, count, .. } = operation {
            *events.entry((id.clone(), *tag)).or_default() += count;
        }
    }
    let learned = |delta: &&Delta| matches!(delta.source.origin, Origin::Learned | Origin::Observed);
    for operation in now.of_run.iter().filter(learned).flat_map(|delta| &delta.operations) {
        if let Operation::Tag { id, tag, count, inferred: false } = operation {
            *events.entry((id.clone(), *tag)).or_default() -= count;
        }
    }
    let playbook = &now.row.playbook;
    let changed = events.into_iter().filter(|((id, _), count)| *count != 0 && playbook.bullet(id).is_some());
    changed.map(|((id, tag), count)| Operation::Tag { id, tag, count, inferred: false }).collect()
}

/// Those operations that still mean what they meant: their bullets have the words that the models saw, and nobody has said
/// the same meanwhile.
fn mergeable(playbook: &Playbook, seen: &Playbook, operations: &[Operation]) -> Vec<Operation> {
    let is_as_seen = |id: &BulletId| {
        let words = |playbook: &Playbook| playbook.bullet(id).map(|bullet| bullet.content.clone());
        words(playbook).is_some_and(|now| Some(now) == words(seen))
    };
    let is_new = |content: &str, own: &[BulletId]| twin_of(playbook, content).is_none_or(|(id, ..)| own.contains(&id));
    let stands = |operation: &&Operation| match operation {
        Operation::Add { content, .. } => is_new(content, &[]),
        Operation::Update { id, content, .. } => {
            let own = std::slice::from_ref(id);
            is_as_seen(id) && content.as_ref().is_none_or(|content| is_new(content, own))
        }
        Operation::Merge { ids, content, .. } => {
            ids.iter().all(is_as_seen) && content.as_ref().is_none_or(|content| is_new(content, ids))
        }
        Operation::Delete { id } => is_as_seen(id),
        _ => false,
    };
    operations.iter().filter(stands).cloned().collect()
}

fn collapse(
    playbook: &Playbook,
    words: &[Operation],
    source: &Source,
    rules: &Rules,
) -> Result<Option<String>, Refusal> {
    let after = rules.after(playbook, &resolved(playbook, words)?, source)?;
    Ok(collapses(playbook, &after)
        .map(|collapse| format!("it would remove {} of {} bullets at once", collapse.removed, collapse.of)))
}

/// As many operations as the budget has room for, the first ones first.
fn fitting(
    now: &PlaybookNow,
    words: Vec<Operation>,
    source: &Source,
    rules: &Rules,
) -> Result<Vec<Operation>, Refusal> {
    let playbook = &now.row.playbook;
    let fits = |words: &[Operation]| -> Result<bool, Refusal> {
        let after = rules.after(playbook, &resolved(playbook, words)?, source)?;
        match rules.hold(&now.row, &after, Removals::Any) {
            Ok(()) => Ok(true),
            Err(Refusal::OverBudget { .. }) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    };
    let mut kept: Vec<Operation> = Vec::with_capacity(words.len());
    for operation in words {
        kept.push(operation);
        if !fits(&kept)? {
            kept.pop();
        }
    }
    resolved(playbook, &kept)
}

fn resolved(playbook: &Playbook, operations: &[Operation]) -> Result<Vec<Operation>, Refusal> {
    resolve(playbook, operations.to_vec(), Prior::Trusted).map_err(Refusal::of_faults)
}
