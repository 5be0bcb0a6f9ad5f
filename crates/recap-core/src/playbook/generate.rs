//! Playbooks with their logs, for property tests here and in other packages.

#![allow(clippy::missing_panics_doc, clippy::expect_used, reason = "only tests call this")]

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{BulletId, Credit, Delta, Evidence, Operation, Origin, Playbook, Prior, Source, replay, resolve};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const START_MS: i64 = 1_760_000_000_000;
/// Headings that are hard to tell from what stands below them.
const SECTIONS: [&str; 7] = [
    "STRATEGIES AND HARD RULES",
    "APIs TO USE FOR SPECIFIC INFORMATION",
    "TROUBLESHOOTING AND PITFALLS:",
    "Ünïcode — 見出し 🦀",
    "- [x-1] helpful=1 :: **[y]**: `code` #",
    "\"quoted\" \\ {braces}",
    "OTHERS",
];
/// Lines that something else could be taken for.
const LINES: [&str; 26] = [
    "",
    "",
    "## A HEADING",
    "# a comment",
    "#",
    "[shr-00001] words",
    "[shr-00001] helpful=3 harmful=1 :: words",
    "helpful=1 :: words",
    "helpful=1 harmful=2 neutral=3 :: ",
    "helpful=99999999999999999999 :: words",
    "- **[a-1]** (helpful 3, harmful 1): words",
    "- **[a-1]**: words",
    "(helpful 3, harmful 1): words",
    ": words",
    "```python",
    "```",
    "---",
    "- item",
    "  - nested\t",
    "1. item",
    "    indented  ",
    "\tand by a tab\\",
    " ",
    "a\u{2028}## b\u{2029}[c-1] d\u{b}e\u{85}f",
    "\u{a0}\u{3000}",
    "{\"bullets\": {}}",
];

/// One operation, its bullets named by their place among those that are there.
#[derive(Debug, Clone)]
enum Wish {
    Add { section: usize, content: String, id: Option<u32>, evidence: Option<u32> },
    Write { bullet: Index, content: String },
    Move { bullet: Index, section: usize },
    Merge { bullets: Vec<Index>, content: Option<String> },
    Delete { bullet: Index },
    Tag { bullet: Index, tag: Credit, count: i64, inferred: bool },
    Section { section: usize },
    Revert { to: Index },
}

/// Returns words that a bullet can have, of lines that look like anything else.
pub fn any_content() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => "[a-z]{1,8}( [a-z]{1,8}){0,8}",
        3 => select(LINES.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,40}",
    ];
    vec(line, 1..6).prop_map(|lines| lines.join("\n")).prop_map(|text| {
        let kept: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        let kept = kept.trim_matches([' ', '\t', '\n']).to_owned();
        if kept.trim().is_empty() { "words".to_owned() } else { kept }
    })
}

/// Returns operations on a playbook as callers bring them, not always ones that can be applied together.
pub fn any_operations(playbook: &Playbook) -> impl Strategy<Value = Vec<Operation>> + use<> {
    let playbook = playbook.clone();
    vec(any_wish(), 1..6)
        .prop_map(move |wishes| wishes.iter().filter_map(|wish| operation(&playbook, &[], wish)).collect())
}

/// Returns whole logs, as a daemon keeps them.
pub fn any_log() -> impl Strategy<Value = Vec<Delta>> {
    let origin = select(vec![Origin::Operator, Origin::Agent, Origin::Import, Origin::Learned, Origin::Observed]);
    vec((vec(any_wish(), 1..6), origin, 0..40i64), 0..16).prop_map(|steps| {
        let mut log: Vec<Delta> = Vec::new();
        let mut stood = vec![Playbook::default()];
        let mut at_ms = START_MS;
        for (wishes, origin, days) in steps {
            at_ms += days * DAY_MS + days;
            let playbook = stood.last().expect("the first is there");
            let operations = wishes.iter().filter_map(|wish| operation(playbook, &stood, wish)).collect();
            let Ok(operations) = resolve(playbook, operations, Prior::Trusted) else { continue };
            let (version, actor) = (playbook.version + 1, "key".to_owned());
            let delta = Delta { version, at_ms, actor, source: Source::of(origin), operations };
            let mut next = playbook.clone();
            let then = |to: u64| stood.iter().rev().find(|playbook| playbook.version <= to).cloned();
            if next.apply(&delta, then).is_ok() {
                log.push(delta);
                stood.push(next);
            }
        }
        log
    })
}

/// Returns playbooks that a log made.
pub fn any_playbook() -> impl Strategy<Value = Playbook> {
    any_log().prop_map(|log| replay(&log, None).expect("the log was applied"))
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let (bullet, section) = (any::<Index>, || 0..SECTIONS.len());
    let tag = select(vec![Credit::Helpful, Credit::Harmful, Credit::Neutral]);
    let content = any_content;
    prop_oneof![
        8 => (section(), content(), prop::option::weighted(0.3, 0..60u32), prop::option::weighted(0.3, 0..9u32))
            .prop_map(|(section, content, id, evidence)| Wish::Add { section, content, id, evidence }),
        2 => (bullet(), content()).prop_map(|(bullet, content)| Wish::Write { bullet, content }),
        1 => (bullet(), section()).prop_map(|(bullet, section)| Wish::Move { bullet, section }),
        1 => (vec(bullet(), 2..4), prop::option::of(content()))
            .prop_map(|(bullets, content)| Wish::Merge { bullets, content }),
        1 => bullet().prop_map(|bullet| Wish::Delete { bullet }),
        5 => (bullet(), tag, -2..6i64, any::<bool>())
            .prop_map(|(bullet, tag, count, inferred)| Wish::Tag { bullet, tag, count, inferred }),
        1 => section().prop_map(|section| Wish::Section { section }),
        1 => any::<Index>().prop_map(|to| Wish::Revert { to }),
    ]
}

/// The operation that is wished for; none where its bullet is not there.
fn operation(playbook: &Playbook, stood: &[Playbook], wish: &Wish) -> Option<Operation> {
    let ids: Vec<&BulletId> = playbook.bullets.iter().map(|bullet| &bullet.id).collect();
    let id = |at: &Index| (!ids.is_empty()).then(|| (*at.get(&ids)).clone());
    Some(match wish {
        Wish::Add { section, content, id, evidence } => Operation::Add {
            id: id.and_then(|number| format!("imp.{number}:X_{}-{number}", number % 7).parse().ok()),
            section: SECTIONS[*section].into(),
            content: content.as_str().into(),
            origin: None,
            evidence: evidence.iter().map(|of| Evidence { trajectory: format!("run_{of}"), turn: Some(*of) }).collect(),
        },
        Wish::Write { bullet, content } => Operation::Update {
            id: id(bullet)?,
            content: Some(content.as_str().into()),
            section: None,
            evidence: Vec::new(),
        },
        Wish::Move { bullet, section } => Operation::Update {
            id: id(bullet)?,
            content: None,
            section: Some(SECTIONS[*section].into()),
            evidence: Vec::new(),
        },
        Wish::Merge { bullets, content } => Operation::Merge {
            ids: bullets.iter().filter_map(id).collect(),
            into: None,
            content: content.as_deref().map(Into::into),
        },
        Wish::Delete { bullet } => Operation::Delete { id: id(bullet)? },
        Wish::Tag { bullet, tag, count, inferred } => {
            Operation::Tag { id: id(bullet)?, tag: *tag, count: *count, inferred: *inferred }
        }
        Wish::Section { section } => Operation::Section { section: SECTIONS[*section].into() },
        Wish::Revert { to } if !stood.is_empty() => Operation::Revert { to: to.get(stood).version },
        Wish::Revert { .. } => return None,
    })
}
