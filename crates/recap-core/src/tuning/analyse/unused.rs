//! Which lines of a run that did well under compression were of no use.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Spare;
use super::reply::{Rejection, Source, cut, plain, read, said};
use crate::prompt::{Prompt, tagged};

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The analysing guideline's body, rendered with [`super::failure::variables`].
    pub instructions: &'a str,
    /// The guideline that compressed.
    pub guideline: &'a str,
    /// The run.
    pub spare: &'a Spare,
}

/// A passage that nothing needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// What kind of passage it is, in general words.
    pub what: String,
    /// The passage, letter by letter.
    pub quote: String,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unused {
    /// Passages that nothing needed.
    pub spans: Vec<Span>,
    /// What a guideline should say or do.
    pub remedies: Vec<String>,
    /// From 0 to 1.
    pub confidence: f64,
    /// Quotes that do not stand in what was shown, or hold a value that was used: left out.
    pub dropped: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    unused: Vec<Span>,
    remedies: Vec<String>,
    confidence: f64,
}

const SAID_CHARS: usize = 240;
const QUOTE_CHARS: usize = 240;
const MOST_ITEMS: usize = 8;
const FORM: &str = "Reply with one JSON object: unused (a list of {what, quote}: what kind of passage it is, and the passage of \
    <compressed>, copied letter by letter), remedies (what the guideline should drop or shorten, in words that hold for other \
    runs, too), confidence (0 to 1). At most 8 of each list; empty lists where there is nothing.";

/// Returns the prompt for an input.
#[must_use]
pub fn prompt(input: &Input<'_>) -> Prompt {
    let spare = input.spare;
    let mut user = tagged(&[
        ("task", &spare.task),
        ("guideline", input.guideline),
        ("compressed", &spare.compressed),
        ("idle", &spare.idle.join("\n")),
        ("used", &spare.used.join("\n")),
        ("outcome", &spare.outcome),
    ]);
    user.push_str(
        "This run did well with <compressed>. In <idle> stand lines of it without any value that a later action used, in <used> \
         such values. Say what of <compressed> is not needed in such runs, and what the guideline should do about it.",
    );
    let system = format!("{}\n\n{}\n{FORM}", input.instructions.trim(), super::RULES);
    Prompt { system, user, schema: schema() }
}

fn schema() -> Value {
    let words = |most_chars: usize| json!({"type": "string", "maxLength": most_chars});
    let span = json!({
        "type": "object",
        "properties": {"what": words(SAID_CHARS), "quote": words(QUOTE_CHARS)},
        "required": ["what", "quote"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": {
            "unused": {"type": "array", "items": span, "maxItems": MOST_ITEMS},
            "remedies": {"type": "array", "items": words(SAID_CHARS), "maxItems": MOST_ITEMS},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["unused", "remedies", "confidence"],
        "additionalProperties": false,
    })
}

/// Checks a reply to the prompt of an input. Quotes that do not stand there, or hold a value that was used, are left out and
/// counted.
///
/// # Errors
/// [`Rejection`]; a reply of which no quote and no remedy is left is one.
pub fn accept(reply: &str, input: &Input<'_>) -> Result<Unused, Rejection> {
    let reply: Reply = read(reply)?;
    let source = Source::of([input.spare.compressed.as_str()]);
    let used: Vec<String> =
        input.spare.used.iter().map(|value| plain(value)).filter(|value| !value.is_empty()).collect();
    let is_idle = |quote: &str| {
        let quote = plain(quote);
        !used.iter().any(|value| quote.contains(value))
    };
    let shown = reply.unused.len();
    let spans: Vec<Span> = reply
        .unused
        .into_iter()
        .filter(|span| {
            span.quote.chars().nth(QUOTE_CHARS).is_none() && source.holds(&span.quote) && is_idle(&span.quote)
        })
        .map(|span| Span { what: cut(&span.what, SAID_CHARS), quote: span.quote.trim().to_owned() })
        .collect();
    let found = Unused {
        dropped: shown - spans.len(),
        spans: spans.into_iter().take(MOST_ITEMS).collect(),
        remedies: said(reply.remedies, MOST_ITEMS, SAID_CHARS),
        confidence: if reply.confidence.is_finite() { reply.confidence.clamp(0.0, 1.0) } else { 0.0 },
    };
    if found.spans.is_empty() && found.remedies.is_empty() { Err(Rejection::Groundless) } else { Ok(found) }
}

impl Unused {
    /// Returns what was found, as the model reads it that proposes: without quotes, which are of one run.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        let spans = self.spans.iter().map(|span| ("not needed", span.what.as_str()));
        let remedies = self.remedies.iter().map(|text| ("remedy", text.as_str()));
        for (name, text) in spans.chain(remedies).filter(|(_, text)| !text.is_empty()) {
            let _infallible = writeln!(out, "{name}: {text}");
        }
        out
    }
}
