//! A better guideline, proposed by a model that read what was found in many cases.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::{Rejection, Source, cut, plain, read};
use crate::compress::{Guideline, GuidelineKind};
use crate::prompt::{Prompt, tagged};
use crate::tuning::gate::Objective;
use crate::tuning::propose::{Candidate, Change, edited, says_the_same};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The proposing guideline's body, rendered with [`variables`].
    pub instructions: &'a str,
    /// The text of the guideline that is to get better.
    pub champion: &'a str,
    /// What it speaks of.
    pub kind: GuidelineKind,
    /// What was found, see [`super::digest`].
    pub analyses: &'a str,
    /// What better means.
    pub objective: Objective,
    /// Which proposal it is, from 1: replies to equal prompts would be equal.
    pub n: u32,
    /// What was proposed before.
    pub earlier: &'a [Proposal],
    /// Passages of runs, which no proposal may copy.
    pub quotes: &'a BTreeSet<String>,
}

/// A guideline that a model proposes. It parses, and changes something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The whole text.
    pub text: String,
    /// Why, in the model's words; empty where these hold words or values of single runs.
    pub note: String,
    /// Whether the body is another one.
    pub has_new_body: bool,
    /// Whether a new body was proposed that could not stand, so that only the rules were taken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lacks_body: bool,
    /// Rules that were added and removed.
    pub changes: Vec<Change>,
    /// Changes that cannot be made, or change nothing: left out.
    pub dropped: usize,
}

/// A list of the front matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum RuleList {
    #[serde(rename = "favour")]
    Favour,
    #[serde(rename = "keep")]
    Keep,
    #[serde(rename = "drop")]
    Drop,
    #[serde(rename = "keys.keep")]
    KeysKeep,
    #[serde(rename = "keys.drop")]
    KeysDrop,
    #[serde(rename = "sections.keep")]
    SectionsKeep,
    #[serde(rename = "sections.drop")]
    SectionsDrop,
}

/// What becomes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RuleChange {
    Add,
    Remove,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    reasoning: String,
    rules: Vec<ReplyEdit>,
    body: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyEdit {
    change: RuleChange,
    list: RuleList,
    pattern: String,
}

const NOTE_CHARS: usize = 400;
const PATTERN_CHARS: usize = 160;
/// Changes of one proposal.
const MOST_CHANGES: usize = 12;
/// What lines are worth more that a model wants favoured: as much as an error.
const FAVOURED: f32 = 0.22;
/// Least characters that a body may have in any case.
const LEAST_ROOM_CHARS: usize = 2_000;
/// The most that any body may have.
const MOST_BODY_CHARS: usize = 12_000;
/// Least characters of a quote that a proposal may not copy.
const LEAST_COPY_CHARS: usize = 16;
/// What is said of a proposal whose body could not stand.
const RULES_ALONE: &str = "its rules alone: the body that was proposed with them could not stand";
const FORM: &str = "Reply with one JSON object: reasoning (which remedy you chose and why, at most three sentences), rules (a list of \
    {change, list, pattern}: change is add or remove; list is favour, keep or drop for lines, keys.keep or keys.drop for names of JSON \
    members, sections.keep or sections.drop for headings; pattern is words that a line holds, or /a regular expression/, or a \
    name with * and ?), body (the whole new body; empty if it stays as it is). At most 12 rules.";

/// Returns the values of a guideline's variables: where its prompt holds the data, never the data (law 13).
#[must_use]
pub fn variables(most_tokens: &str) -> [(&'static str, &str); 4] {
    [
        ("guideline", "<guideline>"),
        ("analyses", "<analyses>"),
        ("objective", "<objective>"),
        ("most_tokens", most_tokens),
    ]
}

/// Returns the most characters of a body that may stand in place of a champion's: twice as many, from 2,000 to 12,000.
#[must_use]
pub fn most_body_chars(champion: &str) -> usize {
    (champion.chars().count() * 2).clamp(LEAST_ROOM_CHARS, MOST_BODY_CHARS)
}

/// Returns the prompt for an input.
#[must_use]
pub fn prompt(input: &Input<'_>) -> Prompt {
    let earlier: Vec<String> = input.earlier.iter().enumerate().map(|(n, proposal)| proposal.told(n + 1)).collect();
    let champion = champion(input).ok();
    let sections: Vec<&str> = champion.iter().flat_map(sections_of).collect();
    let mut user = tagged(&[
        ("guideline", input.champion),
        ("sections", &sections.join("\n")),
        ("analyses", input.analyses),
        ("objective", told(input.objective)),
        ("earlier", &earlier.join("\n")),
    ]);
    if !earlier.is_empty() {
        user.push_str("In <earlier> stands what was proposed before. Choose another remedy.\n");
    } else if input.n > 1 {
        let _infallible =
            writeln!(user, "This is proposal {}: choose not the first remedy that comes to mind.", input.n);
    }
    user.push_str(
        "Make the guideline in <guideline> better for what <objective> says. Change little, and what counts.",
    );
    let system = format!("{}\n\n{}\n{}\n{FORM}", input.instructions.trim(), super::RULES, law(input));
    Prompt { system, user, schema: schema(input) }
}

/// What better means, for a model.
fn told(objective: Objective) -> &'static str {
    match objective {
        Objective::Utility => {
            "Lose fewer of the things that later actions need, in the same number of tokens: what is kept more has to be paid for \
             by what is kept less."
        }
        Objective::Compression => {
            "Take fewer tokens, and lose none of the things that later actions need: drop and shorten what nothing needs."
        }
        Objective::Both => {
            "Lose fewer of the things that later actions need, and take fewer tokens: drop what nothing needs for what is needed."
        }
    }
}

/// What the new guideline must hold to.
fn law(input: &Input<'_>) -> String {
    let guideline = champion(input).ok();
    let variables: Vec<String> =
        guideline.iter().flat_map(|known| &known.variables).map(|name| format!("{{{{ {name} }}}}")).collect();
    let placed = if variables.is_empty() {
        "The body places no variables.".to_owned()
    } else {
        format!("The body must place {}, and nothing else in double braces.", variables.join(", "))
    };
    let has_sections = guideline.iter().any(|champion| sections_of(champion).next().is_some());
    let named = if has_sections { " It must name every section that <sections> lists." } else { "" };
    format!(
        "Never write ids, names, dates, paths or other values of single runs: a pattern says what such things have in common. \
         {placed}{named} The front matter between the lines --- is not part of the body."
    )
}

/// The sections that a guideline has written and its body names: every new body must name them, too.
fn sections_of(champion: &Guideline) -> impl Iterator<Item = &str> {
    champion.write.iter().map(|section| section.name.as_str()).filter(|name| names(&champion.body, name))
}

/// Tells whether a body names a section, in whatever case.
fn names(body: &str, section: &str) -> bool {
    body.to_lowercase().contains(&section.to_lowercase())
}

fn schema(input: &Input<'_>) -> Value {
    let words = |most_chars: usize| json!({"type": "string", "maxLength": most_chars});
    let rule = json!({
        "type": "object",
        "properties": {
            "change": {"type": "string", "enum": ["add", "remove"]},
            "list": {"type": "string", "enum": RuleList::ALL.map(RuleList::name)},
            "pattern": words(PATTERN_CHARS),
        },
        "required": ["change", "list", "pattern"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "reasoning": words(NOTE_CHARS),
            "rules": {"type": "array", "items": rule, "maxItems": MOST_CHANGES},
            "body": words(most_body_chars(input.champion)),
        },
        "required": ["reasoning", "rules", "body"],
        "additionalProperties": false,
    })
}

/// Checks a reply to the prompt of an input and puts the guideline together. `leaks` tells which values of the runs a text
/// holds that the champion does not.
///
/// Edits that are no rules by themselves are left out and counted; the rest, with the body, must make a guideline of its
/// kind that says or does something new.
///
/// # Errors
/// [`Rejection`]
pub fn accept(reply: &str, input: &Input<'_>, leaks: &dyn Fn(&str) -> Vec<String>) -> Result<Proposal, Rejection> {
    let (reply, champion) = (read::<Reply>(reply)?, champion(input)?);
    let body = new_body(&reply.body, &champion, input)?;
    put_together(reply, (&champion, body), input, leaks)
}

/// As [`accept`], of a reply that cannot stand with its body: its rules under the champion's.
///
/// # Errors
/// [`Rejection`], also of a reply that has no body of its own, and of one that is refused for another reason than it.
pub fn accept_rules(
    reply: &str,
    input: &Input<'_>,
    leaks: &dyn Fn(&str) -> Vec<String>,
) -> Result<Proposal, Rejection> {
    let (reply, champion) = (read::<Reply>(reply)?, champion(input)?);
    let with_body = match new_body(&reply.body, &champion, input) {
        Ok(None) => Err(Rejection::Unchanged),
        Ok(body) => put_together(reply.clone(), (&champion, body), input, leaks),
        Err(rejection) => Err(rejection),
    };
    if matches!(with_body, Ok(_) | Err(Rejection::Unchanged)) {
        return Err(Rejection::Unchanged);
    }
    let proposal = put_together(reply, (&champion, None), input, leaks)?;
    Ok(Proposal { lacks_body: true, ..proposal })
}

fn champion(input: &Input<'_>) -> Result<Guideline, Rejection> {
    Guideline::parse_as(input.kind, input.champion).map_err(|error| Rejection::Guideline(error.to_string()))
}

fn put_together(
    reply: Reply,
    (champion, body): (&Guideline, Option<String>),
    input: &Input<'_>,
    leaks: &dyn Fn(&str) -> Vec<String>,
) -> Result<Proposal, Rejection> {
    let shown = reply.rules.len();
    let (text, changes) = changed(reply.rules, input);
    let text = body.as_deref().map_or(text.clone(), |body| with_body(&text, &champion.body, body));
    let proposed = Guideline::parse_as(input.kind, &text).map_err(|error| Rejection::Guideline(error.to_string()))?;
    let is_known = |other: &Guideline| says_the_same(&with_plain_body(other), &with_plain_body(&proposed));
    let earlier = input.earlier.iter().filter_map(|known| Guideline::parse_as(input.kind, &known.text).ok());
    if is_known(champion) || earlier.into_iter().any(|known| is_known(&known)) {
        return Err(Rejection::Unchanged);
    }
    let found = leaked(&text, input, leaks);
    if !found.is_empty() {
        return Err(Rejection::Leak(found));
    }
    let note = cut(&reply.reasoning, NOTE_CHARS);
    Ok(Proposal {
        has_new_body: body.is_some(),
        lacks_body: false,
        note: if leaked(&note, input, leaks).is_empty() { note } else { String::new() },
        dropped: shown - changes.len().min(shown),
        changes,
        text,
    })
}

/// The new body, `None` where it stays.
fn new_body(body: &str, champion: &Guideline, input: &Input<'_>) -> Result<Option<String>, Rejection> {
    let body = body.trim();
    if body.is_empty() || plain(body) == plain(&champion.body) {
        return Ok(None);
    }
    let (chars, most) = (body.chars().count(), most_body_chars(input.champion));
    if chars > most {
        return Err(Rejection::TooLong { chars, most });
    }
    if body.starts_with("---") {
        return Err(Rejection::Guideline("the body begins with front matter".to_owned()));
    }
    if body.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(Rejection::Guideline("the body has control characters".to_owned()));
    }
    match sections_of(champion).find(|section| !names(body, section)) {
        Some(section) => Err(Rejection::MissingSection(section.to_owned())),
        None => Ok(Some(format!("{body}\n"))),
    }
}

/// The champion's text with as many of the changes as can be made, one after the other, and those.
fn changed(rules: Vec<ReplyEdit>, input: &Input<'_>) -> (String, Vec<Change>) {
    let mut text = input.champion.to_owned();
    let mut changes = Vec::new();
    for change in rules.into_iter().filter_map(ReplyEdit::change).take(MOST_CHANGES) {
        let is_known = changes.contains(&change);
        if let Some(next) = edited(&text, input.kind, std::slice::from_ref(&change)).ok().filter(|_| !is_known) {
            text = next;
            changes.push(change);
        }
    }
    (text, changes)
}

/// A text with another body.
fn with_body(text: &str, old: &str, new: &str) -> String {
    let front = text.strip_suffix(old).unwrap_or(text);
    format!("{front}{new}")
}

/// A guideline whose body is compared by its words.
fn with_plain_body(guideline: &Guideline) -> Guideline {
    Guideline { body: plain(&guideline.body), ..guideline.clone() }
}

impl RuleList {
    const ALL: [Self; 7] =
        [Self::Favour, Self::Keep, Self::Drop, Self::KeysKeep, Self::KeysDrop, Self::SectionsKeep, Self::SectionsDrop];

    fn name(self) -> &'static str {
        match self {
            Self::Favour => "favour",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeysKeep => "keys.keep",
            Self::KeysDrop => "keys.drop",
            Self::SectionsKeep => "sections.keep",
            Self::SectionsDrop => "sections.drop",
        }
    }
}

impl ReplyEdit {
    /// The change, if its pattern is one line of a fair length.
    fn change(self) -> Option<Change> {
        let pattern = self.pattern.trim().to_owned();
        let is_short = !pattern.is_empty() && pattern.chars().nth(PATTERN_CHARS).is_none();
        let field = self.list.name().to_owned();
        let change = match (self.change, self.list) {
            (RuleChange::Add, RuleList::Favour) => Change::Favour { pattern: pattern.clone(), worth: FAVOURED },
            (RuleChange::Add, _) => Change::Add { field, item: pattern.clone() },
            (RuleChange::Remove, _) => Change::Remove { field, item: pattern.clone() },
        };
        (is_short && !pattern.contains(|c: char| c.is_control())).then_some(change)
    }
}

/// What a text holds that only the runs hold: values, and passages that were quoted.
fn leaked(text: &str, input: &Input<'_>, leaks: &dyn Fn(&str) -> Vec<String>) -> Vec<String> {
    let mut found = leaks(text);
    let (own, known) = (Source::of([text]), Source::of([input.champion]));
    let long = input.quotes.iter().filter(|quote| quote.chars().nth(LEAST_COPY_CHARS - 1).is_some());
    found.extend(long.filter(|quote| own.holds(quote) && !known.holds(quote)).cloned());
    found
}

impl From<&Proposal> for Candidate {
    fn from(proposal: &Proposal) -> Self {
        let note = match (proposal.lacks_body, proposal.note.is_empty()) {
            (false, _) => proposal.note.clone(),
            (true, true) => RULES_ALONE.to_owned(),
            (true, false) => format!("{} ({RULES_ALONE})", proposal.note),
        };
        Self { text: proposal.text.clone(), note, changes: proposal.changes.clone() }
    }
}

impl Proposal {
    /// What the next proposal is told of this one.
    fn told(&self, n: usize) -> String {
        let changes: Vec<String> = self.changes.iter().map(told_change).collect();
        let body = if self.has_new_body { "another body" } else { "the same body" };
        format!("{n}. {} ({body})\n{}", self.note, changes.join("\n"))
    }
}

fn told_change(change: &Change) -> String {
    match change {
        Change::Add { field, item } => format!("+ {field}: {item}"),
        Change::Favour { pattern, .. } => format!("+ favour: {pattern}"),
        Change::Remove { field, item } => format!("- {field}: {item}"),
        Change::Set { field, to, .. } => format!("{field} = {to}"),
        Change::Unset { field } => format!("- {field}"),
    }
}
