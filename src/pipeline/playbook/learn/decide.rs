//! What of findings stands, on a playbook as it is: pure, and asked again where the playbook changed meanwhile.

use std::collections::BTreeMap;

use recap_core::playbook::{
    BulletId, Credit, Delta, Operation, Origin, Playbook, Prior, Source, collapses, near_twin_of, resolve, same_lesson,
    twin_of,
};
use recap_core::trajectory::OriginalHash;

use super::super::bounds::{Removals, Rules};
use super::super::refusal::Refusal;
use super::teacher::Findings;
use crate::store::{LeftOut, PlaybookDecision, PlaybookNow};

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
    /// What was found and is neither applied nor waits.
    pub left_out: LeftOut,
}

impl Effect {
    /// Counts what a change did.
    #[must_use]
    pub fn of(applied: &[Operation], waiting: usize, left_out: LeftOut) -> Self {
        let count = |is: fn(&Operation) -> bool| applied.iter().filter(|operation| is(operation)).count();
        Self {
            added: count(|operation| matches!(operation, Operation::Add { .. })),
            updated: count(|operation| matches!(operation, Operation::Update { .. })),
            merged: count(|operation| matches!(operation, Operation::Merge { .. })),
            deleted: count(|operation| matches!(operation, Operation::Delete { .. })),
            tagged: count(|operation| matches!(operation, Operation::Tag { .. })),
            to_review: waiting,
            left_out,
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
    let mut left_out = findings.left_out;
    let words = mergeable(now, findings, &mut left_out);
    if words.is_empty() {
        return Ok(PlaybookDecision { left_out, ..PlaybookDecision::apply(tags) });
    }
    let mut reasons = findings.words.reasons.clone();
    if rules.waits(&now.row) {
        reasons.push("changes of this playbook's words wait for review".to_owned());
    }
    if let Some(collapse) = collapse(playbook, &words, source, rules)? {
        reasons.push(collapse);
    }
    if !reasons.is_empty() {
        return Ok(PlaybookDecision { apply: tags, wait: words, reasons, left_out });
    }
    // Counted first, for a bullet that was judged may go with the words.
    let operations = [tags, fitting(now, words, source, rules, &mut left_out)?].concat();
    Ok(PlaybookDecision { left_out, ..PlaybookDecision::apply(operations) })
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
            *events.entry((now.heir(id).clone(), *tag)).or_default() -= count;
        }
    }
    let playbook = &now.row.playbook;
    let changed = events.into_iter().filter(|((id, _), count)| *count != 0 && playbook.bullet(id).is_some());
    changed.map(|((id, tag), count)| Operation::Tag { id, tag, count, inferred: false }).collect()
}

/// Those operations that still mean what they meant: their bullets have the words that the models saw, and nobody has said
/// the same meanwhile, or in other words before; no new bullet that waits already. Counts the others.
fn mergeable(now: &PlaybookNow, findings: &Findings, left_out: &mut LeftOut) -> Vec<Operation> {
    let (playbook, seen) = (&now.row.playbook, &findings.seen);
    let is_as_seen = |id: &BulletId| {
        let words = |playbook: &Playbook| playbook.bullet(id).map(|bullet| bullet.content.clone());
        words(playbook).is_some_and(|now| Some(now) == words(seen))
    };
    let point_of = |content: &str| findings.points.get(&OriginalHash::of(content)).map(|point| &**point);
    let twin = |content: &str| twin_of(playbook, content).or_else(|| near_twin_of(playbook, content, point_of));
    let is_new = |content: &str, own: &[BulletId]| twin(content).is_none_or(|(id, ..)| own.contains(&id));
    let stands = |operation: &&Operation| {
        let Some((own, content)) = words_of(operation) else { return false };
        if !own.iter().all(is_as_seen) {
            left_out.outdated += 1;
            return false;
        }
        let waits = |content: &str| own.is_empty() && now.waiting.iter().any(|words| same_lesson(words, content));
        let stands = content.is_none_or(|content| is_new(content, own) && !waits(content));
        left_out.twin += usize::from(!stands);
        stands
    };
    findings.words.operations.iter().filter(stands).cloned().collect()
}

/// The words that an operation brings.
pub(super) fn new_content(operation: &Operation) -> Option<&str> {
    words_of(operation).and_then(|(_, content)| content)
}

/// The bullets that an operation on words changes, and the words that it brings.
fn words_of(operation: &Operation) -> Option<(&[BulletId], Option<&str>)> {
    match operation {
        Operation::Add { content, .. } => Some((&[], Some(content))),
        Operation::Update { id, content, .. } => Some((std::slice::from_ref(id), content.as_deref())),
        Operation::Merge { ids, content, .. } => Some((ids, content.as_deref())),
        Operation::Delete { id } => Some((std::slice::from_ref(id), None)),
        _ => None,
    }
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

/// As many operations as the budget has room for, the first ones first. Counts the others.
fn fitting(
    now: &PlaybookNow,
    words: Vec<Operation>,
    source: &Source,
    rules: &Rules,
    left_out: &mut LeftOut,
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
            left_out.over_budget += 1;
        }
    }
    resolved(playbook, &kept)
}

fn resolved(playbook: &Playbook, operations: &[Operation]) -> Result<Vec<Operation>, Refusal> {
    resolve(playbook, operations.to_vec(), Prior::Trusted).map_err(Refusal::of_faults)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use recap_core::playbook::guard::Observations;

    use super::super::super::embeddings::Points;
    use super::*;
    use crate::store::{PlaybookKey, PlaybookRow};

    fn add(content: &str) -> Operation {
        let (content, section) = (content.into(), "Rules".into());
        Operation::Add { id: None, section, content, origin: None, evidence: Vec::new() }
    }

    fn now(content: &str) -> PlaybookNow {
        let mut playbook = Playbook::default();
        let operations = resolve(&playbook, vec![add(content)], Prior::Outside).unwrap();
        let (actor, source) = ("local".to_owned(), Source::of(Origin::Operator));
        playbook.apply(&Delta { version: 1, at_ms: 0, actor, source, operations }, |_| None).unwrap();
        let key = PlaybookKey { namespace: "default".to_owned(), name: "support".to_owned() };
        let (playbook, budget, review) = (Arc::new(playbook), None, None);
        let row = PlaybookRow { key, playbook, budget, review, changes: 1, pending: 0, created_ms: 0, updated_ms: 0 };
        let (of_run, heirs, waiting) = (Vec::new(), BTreeMap::new(), Vec::new());
        PlaybookNow { row, run: None, of_run, heirs, review: None, waiting }
    }

    #[test]
    fn what_is_said_in_other_words_is_no_new_lesson() {
        let (known, same, new) = ("Sign in before you call", "Authenticate first", "Count the pages");
        let now = now(known);
        let point = |content: &str, point: [f32; 2]| (OriginalHash::of(content), Arc::from(point));
        let mut findings = Findings {
            seen: Arc::clone(&now.row.playbook),
            tags: Vec::new(),
            words: Observations::default().guard(vec![add(same), add(new)]),
            points: Points::from([point(known, [1.0, 0.1]), point(same, [1.0, 0.2]), point(new, [0.0, 1.0])]),
            left_out: LeftOut::default(),
            makers: Vec::new(),
            reflections: 1,
        };
        let stands = |findings: &Findings| {
            let mut left_out = LeftOut::default();
            let words = mergeable(&now, findings, &mut left_out);
            let contents = words.iter().filter_map(new_content).map(str::to_owned).collect::<Vec<_>>();
            (contents, left_out.twin)
        };
        assert_eq!(stands(&findings), (vec![new.to_owned()], 1));
        findings.points.clear();
        assert_eq!(stands(&findings), (vec![same.to_owned(), new.to_owned()], 0), "without an encoder words decide");
    }
}
