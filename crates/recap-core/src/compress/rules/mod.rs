//! Guideline front matter: what operators tell the deterministic compressor to keep and to drop.

mod matcher;
mod pattern;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::trajectory::OriginalHash;
pub use matcher::{RulesMatcher, Verdict};
pub use pattern::{Glob, Pattern, PatternError};

/// The front matter of a guideline. Everything is optional; keep beats drop.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Lines to keep.
    pub keep: Vec<Pattern>,
    /// Lines to drop.
    pub drop: Vec<Pattern>,
    /// Keys of JSON members.
    pub keys: NameRules,
    /// Headings, with all that stands under them.
    pub sections: NameRules,
    /// Upper bounds.
    pub caps: Caps,
}

/// Names to keep and to drop: `*` stands for any characters, `?` for one; ASCII case does not matter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NameRules {
    /// Names to keep.
    pub keep: Vec<Glob>,
    /// Names to drop.
    pub drop: Vec<Glob>,
}

/// Upper bounds; what is absent is unbounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Caps {
    /// Bytes that are kept of a line.
    pub line_bytes: Option<NonZeroU32>,
    /// Elements that are kept of a JSON array.
    pub list_items: Option<NonZeroU32>,
    /// Rows that are kept of a table.
    pub table_rows: Option<NonZeroU32>,
    /// Tokens of a whole elided text.
    pub observation_tokens: Option<NonZeroU32>,
}

/// A guideline: its rules, its words for models, and the hash of its whole text (law 12).
#[derive(Debug, Clone, PartialEq)]
pub struct Guideline {
    /// The front matter.
    pub rules: Rules,
    /// What follows the front matter.
    pub body: String,
    /// The address of the text that both were read from.
    pub hash: OriginalHash,
}

/// Why a guideline cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The opening `---` has no closing one.
    #[error("line 1: the front matter is not closed by a line `---`")]
    Unclosed,
    /// The YAML is malformed, or has an unknown or ill-typed field.
    #[error("line {line}, column {column}: {reason}")]
    Yaml {
        /// The line in the guideline's text, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The parser's words, which name the field.
        reason: String,
        /// The parser's error, whose lines count from the line after the first `---`.
        source: serde_yaml_ng::Error,
    },
    /// The patterns of a list are too large together.
    #[error("{field}: {reason}")]
    Patterns {
        /// The list.
        field: &'static str,
        /// Why it cannot be compiled.
        reason: String,
    },
}

impl Guideline {
    /// Reads a guideline: YAML between two lines `---`, then its body. Without front matter all is body.
    ///
    /// # Errors
    /// [`RulesError::Unclosed`], or [`RulesError::Yaml`] with the place of the fault.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let hash = OriginalHash::of(text);
        let Some((yaml, body)) = split(text)? else {
            return Ok(Self { rules: Rules::default(), body: text.to_owned(), hash });
        };
        let rules = serde_yaml_ng::from_str::<Option<Rules>>(yaml).map_err(at_place)?.unwrap_or_default();
        Ok(Self { rules, body: body.to_owned(), hash })
    }
}

/// Names the place of a fault in the guideline's text, where the YAML starts on line 2.
fn at_place(source: serde_yaml_ng::Error) -> RulesError {
    let (line, column) = source.location().map_or((2, 1), |place| (place.line() + 1, place.column()));
    let said = source.to_string();
    let reason = said.split_once(" at line ").map_or(said.as_str(), |(words, _)| words).to_owned();
    RulesError::Yaml { line, column, reason, source }
}

/// Returns YAML and body; `None` without front matter.
fn split(text: &str) -> Result<Option<(&str, &str)>, RulesError> {
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| line.trim_end() == "---") else {
        return Ok(None);
    };
    let start = first.len();
    let mut end = start;
    for line in lines {
        if line.trim_end() == "---" {
            let yaml = text.get(start..end).unwrap_or_default();
            return Ok(Some((yaml, text.get(end + line.len()..).unwrap_or_default())));
        }
        end += line.len();
    }
    Err(RulesError::Unclosed)
}

#[cfg(test)]
mod tests;
