//! The reflector: what a run teaches.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::super::bullet::{Bullet, BulletId, Credit};
use super::super::operation::Operation;
use super::super::render::text;
use super::reply::{Members, Rejection, bullet_id, says_nothing};
use crate::prompt::{Prompt, tagged};

/// What is told of how the run ended. Without labels there is nothing here that could be told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Labels<'a> {
    /// Nothing: what tools answered must do.
    None,
    /// What somebody or something said of it.
    Known {
        /// How it ended, as `success`.
        status: &'a str,
        /// From 0 to 1.
        score: Option<f64>,
        /// In words; empty where there are none.
        feedback: &'a str,
    },
}

/// What is looked back on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The guideline's body, rendered with [`variables`].
    pub instructions: &'a str,
    /// The agent's task.
    pub task: &'a str,
    /// The run, as text with numbered turns.
    pub run: &'a str,
    /// Its turns are numbered from 0 to this.
    pub last_turn: u32,
    /// The bullets that were served to it.
    pub served: &'a [&'a Bullet],
    /// What is told of its end.
    pub labels: Labels<'a>,
    /// What the round before found.
    pub earlier: Option<&'a Reflection>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reflection {
    /// How the run went.
    pub reasoning: String,
    /// What went wrong, or what made it succeed.
    pub error_identification: String,
    /// Why.
    pub root_cause: String,
    /// What should be done in such a run.
    pub correct_approach: String,
    /// The lesson in one sentence; empty where there is none.
    pub key_insight: String,
    /// How bullets that were served did, each once.
    pub tags: Vec<(BulletId, Credit)>,
    /// The turns that show it, ascending.
    pub turns: Vec<u32>,
    /// Whether another round would find no more.
    pub is_complete: bool,
    /// Tags of bullets that were not served, unknown tags, turns that the run does not have: left out.
    pub dropped: usize,
}

/// Characters of the first member and of each of the other ones.
const REASONING_CHARS: usize = 800;
const FINDING_CHARS: usize = 400;
/// Turns that are named as evidence.
const MOST_TURNS: usize = 6;
/// Bullets that are judged.
const MOST_TAGS: usize = 20;
/// Ids that a schema lists; with more of them it takes any short text.
pub(super) const MOST_LISTED_IDS: usize = 100;
const FINDINGS: [&str; 4] = ["error_identification", "root_cause", "correct_approach", "key_insight"];
const FORM: &str = "Reply with one JSON object: reasoning, error_identification, root_cause, correct_approach, key_insight \
    (each at most three sentences), bullet_tags (one {id, tag} for each bullet in <playbook> that mattered), turns \
    (numbers of the turns that show it), is_complete (true if another look would find no more).";

/// Returns the values of a guideline's variables: where its prompt holds the data, never the data (law 13).
#[must_use]
pub fn variables(most_tokens: &str) -> [(&'static str, &str); 6] {
    [
        ("task", "<task>"),
        ("outcome", "<outcome>"),
        ("feedback", "<feedback>"),
        ("turns", "<turns>"),
        ("playbook", "<playbook>"),
        ("most_tokens", most_tokens),
    ]
}

/// Returns the prompt for an input.
#[must_use]
pub fn prompt(input: &Input<'_>) -> Prompt {
    let (outcome, feedback) = match input.labels {
        Labels::None => (String::new(), ""),
        Labels::Known { status, score, feedback } => {
            let score = score.map(|score| format!(", score {score}")).unwrap_or_default();
            (format!("{status}{score}"), feedback)
        }
    };
    let earlier = input.earlier.map(Reflection::text).unwrap_or_default();
    let mut user = tagged(&[
        ("task", input.task),
        ("turns", input.run),
        ("playbook", &text(input.served.iter().copied())),
        ("outcome", &outcome),
        ("feedback", feedback),
        ("earlier", &earlier),
    ]);
    if input.labels == Labels::None {
        user.push_str("Nobody said how the run ended: judge by what the tools answered.\n");
    }
    if input.earlier.is_some() {
        user.push_str("In <earlier> stands what you found before. Correct it and go deeper.\n");
    }
    user.push_str("Look back on the run in <turns>.");
    let ids: Vec<&str> = input.served.iter().map(|bullet| bullet.id.as_str()).collect();
    let system = format!("{}\n\n{}\n{FORM}", input.instructions.trim(), super::RULES);
    Prompt { system, user, schema: schema(&ids, input.last_turn) }
}

fn schema(ids: &[&str], last_turn: u32) -> Value {
    let said = |most_chars: usize| json!({"type": "string", "maxLength": most_chars});
    let tag = json!({
        "type": "object",
        "properties": {
            "id": id_schema(ids),
            "tag": {"type": "string", "enum": ["helpful", "harmful", "neutral"]},
        },
        "required": ["id", "tag"],
        "additionalProperties": false,
    });
    let turn = json!({"type": "integer", "minimum": 0, "maximum": last_turn});
    json!({
        "type": "object",
        "properties": {
            "reasoning": said(REASONING_CHARS),
            "error_identification": said(FINDING_CHARS),
            "root_cause": said(FINDING_CHARS),
            "correct_approach": said(FINDING_CHARS),
            "key_insight": said(FINDING_CHARS),
            "bullet_tags": {"type": "array", "items": tag, "maxItems": ids.len().min(MOST_TAGS)},
            "turns": {"type": "array", "items": turn, "maxItems": MOST_TURNS},
            "is_complete": {"type": "boolean"},
        },
        "required": [
            "reasoning", "error_identification", "root_cause", "correct_approach", "key_insight", "bullet_tags", "turns",
            "is_complete",
        ],
        "additionalProperties": false,
    })
}

/// The schema of one of some ids.
pub(super) fn id_schema(ids: &[&str]) -> Value {
    if ids.is_empty() || ids.len() > MOST_LISTED_IDS {
        return json!({"type": "string", "maxLength": 64});
    }
    json!({"type": "string", "enum": ids})
}

/// Checks a reply to the prompt of an input.
///
/// # Errors
/// [`Rejection`], which says it in words that a model can act on.
pub fn accept(reply: &str, input: &Input<'_>) -> Result<Reflection, Rejection> {
    let members = Members::read(reply)?;
    let [error_identification, root_cause, correct_approach, key_insight] =
        FINDINGS.map(|name| members.text(name, FINDING_CHARS));
    let mut found = Reflection {
        reasoning: members.text("reasoning", REASONING_CHARS)?,
        error_identification: error_identification?,
        root_cause: root_cause?,
        correct_approach: correct_approach?,
        key_insight: key_insight?,
        is_complete: members.is("is_complete"),
        ..Reflection::default()
    };
    found.take_tags(&members.objects("bullet_tags")?, input.served);
    found.take_turns(members.list("turns")?, input.last_turn);
    found.clear_nothings();
    if found.is_empty() { Err(Rejection::Empty) } else { Ok(found) }
}

/// Tells whether another round may find more: the last one does not say that it is complete, and it is not what the one
/// before it was.
#[must_use]
pub fn another_round(last: &Reflection, before: Option<&Reflection>) -> bool {
    !last.is_complete && before.is_none_or(|before| before.findings() != last.findings() || before.tags != last.tags)
}

impl Reflection {
    /// Returns what was found, as the next round and the curator read it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let named =
            ["reasoning"].into_iter().chain(FINDINGS).zip([self.reasoning.as_str()].into_iter().chain(self.findings()));
        for (name, said) in named.filter(|(_, said)| !said.is_empty()) {
            let _infallible = writeln!(out, "{name}: {said}");
        }
        for (id, credit) in &self.tags {
            let _infallible = writeln!(out, "[{id}] was {}", credit_name(*credit));
        }
        out
    }

    /// Returns the operations that count how the bullets served.
    #[must_use]
    pub fn tag_operations(&self) -> Vec<Operation> {
        let of =
            |(id, tag): &(BulletId, Credit)| Operation::Tag { id: id.clone(), tag: *tag, count: 1, inferred: false };
        self.tags.iter().map(of).collect()
    }

    /// Tells whether there is something for a playbook in it.
    #[must_use]
    pub fn has_lesson(&self) -> bool {
        !self.key_insight.is_empty() || !self.correct_approach.is_empty()
    }

    fn findings(&self) -> [&str; 4] {
        [&self.error_identification, &self.root_cause, &self.correct_approach, &self.key_insight]
    }

    fn is_empty(&self) -> bool {
        self.reasoning.is_empty() && self.findings().iter().all(|said| said.is_empty()) && self.tags.is_empty()
    }

    fn clear_nothings(&mut self) {
        let all = [
            &mut self.reasoning,
            &mut self.error_identification,
            &mut self.root_cause,
            &mut self.correct_approach,
            &mut self.key_insight,
        ];
        all.into_iter().filter(|said| says_nothing(said)).for_each(String::clear);
    }

    fn take_tags(&mut self, tags: &[Members], served: &[&Bullet]) {
        for tag in tags {
            let id = bullet_id(tag.words("id")).filter(|id| served.iter().any(|bullet| bullet.id == *id));
            let is_new = |id: &BulletId| self.tags.iter().all(|(known, _)| known != id);
            match id.filter(is_new).zip(credit(tag.words("tag"))) {
                Some(tag) if self.tags.len() < MOST_TAGS => self.tags.push(tag),
                _ => self.dropped += 1,
            }
        }
    }

    fn take_turns(&mut self, turns: &[Value], last_turn: u32) {
        let known =
            |turn: &Value| turn.as_u64().and_then(|turn| u32::try_from(turn).ok()).filter(|turn| *turn <= last_turn);
        let all: BTreeSet<u32> = turns.iter().filter_map(known).collect();
        self.dropped += turns.iter().filter(|turn| known(turn).is_none()).count();
        self.turns = all.into_iter().take(MOST_TURNS).collect();
    }
}

fn credit(name: &str) -> Option<Credit> {
    [Credit::Helpful, Credit::Harmful, Credit::Neutral].into_iter().find(|credit| credit_name(*credit) == name)
}

fn credit_name(credit: Credit) -> &'static str {
    match credit {
        Credit::Helpful => "helpful",
        Credit::Harmful => "harmful",
        Credit::Neutral => "neutral",
    }
}
