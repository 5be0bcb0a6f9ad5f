//! Why a compressed run failed where the full one did not.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Contrast;
use super::reply::{Rejection, Source, cut, read, said};
use crate::prompt::{Prompt, tagged};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The analysing guideline's body, rendered with [`variables`].
    pub instructions: &'a str,
    /// The guideline that compressed.
    pub guideline: &'a str,
    /// The pair.
    pub contrast: &'a Contrast,
}

/// What kind of loss it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// An exact value is gone.
    MissingValue,
    /// What was done, decided, or is still open is gone.
    MissingState,
    /// An error or a refusal is gone.
    MissingError,
    /// A wish, rule or condition is gone.
    MissingConstraint,
    /// A value stands without what it belongs to.
    LostMeaning,
    /// It stands there otherwise than it was.
    Distorted,
    /// It stands there, but something newer took its place in truth.
    Stale,
    /// Compression is not the reason.
    Unrelated,
}

/// A fact that the compressed context lacks or has wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// What kind of fact it is, in general words.
    pub fact: String,
    /// The passage of the full context that holds it, letter by letter.
    pub quote: String,
}

/// Where the runs part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Divergence {
    /// The turn; `None` where there is no such one.
    pub turn: Option<u32>,
    /// What happens there.
    pub what: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Where the runs part.
    pub first_divergence: Divergence,
    /// What kind of loss it was.
    pub category: Category,
    /// Facts that were lost, each with its quote.
    pub missing: Vec<Missing>,
    /// Names of values that the agent had to have.
    pub lost_variables: Vec<String>,
    /// What was done again and again.
    pub loops: Vec<String>,
    /// What a guideline should say or do.
    pub remedies: Vec<String>,
    /// From 0 to 1.
    pub confidence: f64,
    /// Quotes and names that do not stand in what was shown, and turns that there are not: left out.
    pub dropped: usize,
}

/// The reply's form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    first_divergence: ReplyDivergence,
    category: Category,
    missing: Vec<Missing>,
    lost_variables: Vec<String>,
    loops: Vec<String>,
    remedies: Vec<String>,
    confidence: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyDivergence {
    turn: i64,
    what: String,
}

/// Characters of a fact, a remedy or a loop, and of a quote.
const SAID_CHARS: usize = 240;
const QUOTE_CHARS: usize = 240;
const NAME_CHARS: usize = 80;
/// Facts, names, loops and remedies each.
const MOST_ITEMS: usize = 8;
const FORM: &str = "Reply with one JSON object: first_divergence ({turn, what}: the number of the turn and one sentence), \
    category (missing_value, missing_state, missing_error, missing_constraint, lost_meaning, distorted, stale, or unrelated if \
    compression is not the reason), missing (a list of {fact, quote}: what kind of fact is not in <compressed>, and the passage \
    of <full> that holds it, copied letter by letter), lost_variables (names that stand in <full>), loops (what was done \
    again and again), remedies (what the guideline should say or do, in words that hold for other runs, too), confidence \
    (0 to 1). At most 8 of each list; empty lists where there is nothing.";

impl Category {
    const ALL: [Self; 8] = [
        Self::MissingValue,
        Self::MissingState,
        Self::MissingError,
        Self::MissingConstraint,
        Self::LostMeaning,
        Self::Distorted,
        Self::Stale,
        Self::Unrelated,
    ];

    /// Returns the name as it is written in replies and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingValue => "missing_value",
            Self::MissingState => "missing_state",
            Self::MissingError => "missing_error",
            Self::MissingConstraint => "missing_constraint",
            Self::LostMeaning => "lost_meaning",
            Self::Distorted => "distorted",
            Self::Stale => "stale",
            Self::Unrelated => "unrelated",
        }
    }
}

/// Returns the values of a guideline's variables: where its prompt holds the data, never the data (law 13).
#[must_use]
pub fn variables(most_tokens: &str) -> [(&'static str, &str); 6] {
    [
        ("task", "<task>"),
        ("guideline", "<guideline>"),
        ("full", "<full>"),
        ("compressed", "<compressed>"),
        ("outcome", "<outcome>"),
        ("most_tokens", most_tokens),
    ]
}

/// Returns the prompt for an input.
#[must_use]
pub fn prompt(input: &Input<'_>) -> Prompt {
    let contrast = input.contrast;
    let mut user = tagged(&[
        ("task", &contrast.task),
        ("guideline", input.guideline),
        ("full", &contrast.full),
        ("compressed", &contrast.compressed),
        ("action", &contrast.action),
        ("lost", &contrast.lost),
        ("outcome", &contrast.outcome),
    ]);
    if !contrast.lost.trim().is_empty() {
        user.push_str(
            "In <lost> stand the values that <action> needed and <compressed> lacks, each with what dropped it.\n",
        );
    }
    user.push_str("Say what <compressed> lacks, and what the guideline should do about it.");
    let system = format!("{}\n\n{}\n{FORM}", input.instructions.trim(), super::RULES);
    Prompt { system, user, schema: schema(contrast.last_turn) }
}

fn schema(last_turn: u32) -> Value {
    let words = |most_chars: usize| json!({"type": "string", "maxLength": most_chars});
    let list = |items: Value| json!({"type": "array", "items": items, "maxItems": MOST_ITEMS});
    let object = |properties: Value| {
        let names: Vec<&String> = properties.as_object().map(|members| members.keys().collect()).unwrap_or_default();
        json!({"type": "object", "required": names, "additionalProperties": false, "properties": properties})
    };
    let turn = json!({"type": "integer", "minimum": 0, "maximum": last_turn});
    object(json!({
        "first_divergence": object(json!({"turn": turn, "what": words(SAID_CHARS)})),
        "category": {"type": "string", "enum": Category::ALL.map(Category::name)},
        "missing": list(object(json!({"fact": words(SAID_CHARS), "quote": words(QUOTE_CHARS)}))),
        "lost_variables": list(words(NAME_CHARS)),
        "loops": list(words(SAID_CHARS)),
        "remedies": list(words(SAID_CHARS)),
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    }))
}

/// Checks a reply to the prompt of an input. Quotes and names that do not stand in what was shown are left out and counted.
///
/// # Errors
/// [`Rejection`]; a reply that quotes nothing that is there and proposes nothing is one, unless it says that compression is
/// not the reason.
pub fn accept(reply: &str, input: &Input<'_>) -> Result<Failure, Rejection> {
    let reply: Reply = read(reply)?;
    let contrast = input.contrast;
    let source = Source::of([contrast.full.as_str(), &contrast.lost, &contrast.action]);
    let turn = u32::try_from(reply.first_divergence.turn).ok().filter(|turn| *turn <= contrast.last_turn);
    let (shown, names) = (reply.missing.len(), reply.lost_variables.len());
    let missing: Vec<Missing> = reply
        .missing
        .into_iter()
        .filter(|missing| missing.quote.chars().nth(QUOTE_CHARS).is_none() && source.holds(&missing.quote))
        .map(|missing| Missing { fact: cut(&missing.fact, SAID_CHARS), quote: missing.quote.trim().to_owned() })
        .collect();
    let lost_variables: Vec<String> = reply
        .lost_variables
        .into_iter()
        .map(|name| name.trim().to_owned())
        .filter(|name| name.chars().nth(NAME_CHARS).is_none() && source.holds(name))
        .collect();
    let dropped = shown - missing.len() + names - lost_variables.len() + usize::from(turn.is_none());
    let found = Failure {
        first_divergence: Divergence { turn, what: cut(&reply.first_divergence.what, SAID_CHARS) },
        category: reply.category,
        missing: missing.into_iter().take(MOST_ITEMS).collect(),
        lost_variables: lost_variables.into_iter().take(MOST_ITEMS).collect(),
        loops: said(reply.loops, MOST_ITEMS, SAID_CHARS),
        remedies: said(reply.remedies, MOST_ITEMS, SAID_CHARS),
        confidence: if reply.confidence.is_finite() { reply.confidence.clamp(0.0, 1.0) } else { 0.0 },
        dropped,
    };
    if found.is_empty() { Err(Rejection::Groundless) } else { Ok(found) }
}

impl Failure {
    fn is_empty(&self) -> bool {
        let is_told = !self.missing.is_empty() || !self.lost_variables.is_empty() || !self.remedies.is_empty();
        !is_told && self.category != Category::Unrelated
    }

    /// Returns what was found, as the model reads it that proposes: without quotes, which are of one run.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("category: {}\n", self.category.name());
        if !self.first_divergence.what.is_empty() {
            let _infallible = writeln!(out, "first divergence: {}", self.first_divergence.what);
        }
        let facts = self.missing.iter().map(|missing| ("missing", missing.fact.as_str()));
        let loops = self.loops.iter().map(|text| ("done again and again", text.as_str()));
        let remedies = self.remedies.iter().map(|text| ("remedy", text.as_str()));
        for (name, text) in facts.chain(loops).chain(remedies).filter(|(_, text)| !text.is_empty()) {
            let _infallible = writeln!(out, "{name}: {text}");
        }
        out
    }
}
