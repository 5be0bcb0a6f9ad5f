//! Reformat: the lossless half of the `rules` compressor. What it writes says everything that it read, so
//! it may replace an observation before that is served for the first time.
//!
//! Noise goes (see [`Step`]), JSON is rewritten in a notation of records and tables, repeated lines are
//! folded. Imports nothing of this crate.

mod data;
mod embed;
mod fold;
mod noise;
mod notation;
mod read;
mod scan;
mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// JSON that nests deeper is left as it is; bounds the recursion of readers and writers.
const MAX_DEPTH: usize = 128;
/// A text has to shrink by at least one part in this many bytes.
const LEAST_SAVING: usize = 50;

/// A text that says all that its source said, in fewer bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reformatted {
    /// The smaller text.
    pub text: String,
    /// What was done, in order.
    pub steps: Vec<Step>,
}

/// One thing that was done to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Terminal escape sequences removed. Noise: not restored.
    Ansi,
    /// Carriage returns removed, states of a progress line that were overwritten with them. Not restored.
    Redraws,
    /// Whitespace at line ends removed. Not restored.
    TrailingSpace,
    /// Three or more blank lines made one. Not restored.
    BlankLines,
    /// JSON documents that start and end a line written in the record notation. Restored as data, without the space
    /// around a text that is JSON from end to end.
    Json,
    /// JSON lines written as one list in the record notation. Restored as data.
    JsonLines,
    /// Repeated lines folded. Restored to the byte.
    Folds,
}

/// What a reformatted text stands for: verbatim text without noise, JSON documents minified, with their
/// strings, number texts and key order as they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The rebuilt text.
    pub text: String,
}

/// Why a text cannot be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// A fold marker asks for lines that are not there, or for too many.
    #[error("a fold marker does not fit the lines above it")]
    Fold,
    /// The text is not in the record notation.
    #[error("the text is not in the record notation")]
    Notation,
}

/// Returns a smaller text from which the data can be rebuilt, or `None` if it would save less than 2 % of
/// the bytes. Deterministic; linear in the text's length.
#[must_use]
pub fn reformat(text: &str) -> Option<Reformatted> {
    let (mut current, mut steps) = match rewrite_json(text) {
        Some((rewritten, step)) => (rewritten, vec![step]),
        None => rewrite_text(text),
    };
    if let Some(folded) = fold::fold(&current) {
        current = folded;
        steps.push(Step::Folds);
    }
    let saved = text.len().saturating_sub(current.len());
    (saved > 0 && saved * LEAST_SAVING >= text.len()).then_some(Reformatted { text: current, steps })
}

/// Rebuilds what a text that [`reformat`] wrote stands for, from the text and the kinds of steps alone.
///
/// # Errors
///
/// Returns an error if the text is not one that the steps can have written.
pub fn restore(text: &str, steps: &[Step]) -> Result<Rebuilt, RestoreError> {
    let mut current = Cow::Borrowed(text);
    for step in steps.iter().rev() {
        let undone = match step {
            Step::Folds => fold::unfold(&current).ok_or(RestoreError::Fold)?,
            Step::Json => embed::restore(&current).ok_or(RestoreError::Notation)?,
            Step::JsonLines => embed::restore_lines(&current).ok_or(RestoreError::Notation)?,
            Step::Ansi | Step::Redraws | Step::TrailingSpace | Step::BlankLines => continue,
        };
        current = Cow::Owned(undone);
    }
    Ok(Rebuilt { text: current.into_owned() })
}

/// Rewrites a text that is JSON from end to end.
fn rewrite_json(text: &str) -> Option<(String, Step)> {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    if !text.starts_with(['{', '[']) {
        return None;
    }
    if let Some(lines) = embed::write_lines(text) {
        return Some((lines, Step::JsonLines));
    }
    let mut scanner = scan::Scanner::new(text);
    let data = data::Data::read_json(&mut scanner)?;
    scanner.rest().is_empty().then(|| (notation::write(&data), Step::Json))
}

/// Strips a text's noise and rewrites the JSON documents in it.
fn rewrite_text(text: &str) -> (String, Vec<Step>) {
    let (mut clean, mut steps) = noise::strip(text);
    if let Some(rewritten) = embed::write(&clean).filter(|rewritten| rewritten.len() < clean.len()) {
        clean = rewritten;
        steps.push(Step::Json);
    }
    (clean, steps)
}
