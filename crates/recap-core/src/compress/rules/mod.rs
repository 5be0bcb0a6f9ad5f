//! Guidelines: what operators tell the deterministic compressor to keep and to drop, and models to write.

mod favour;
mod front;
mod kind;
mod matcher;
mod pattern;
mod template;
mod weigh;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::trajectory::OriginalHash;
pub use favour::Favour;
use front::FrontMatter;
pub use front::{Thresholds, WrittenSection};
pub use kind::GuidelineKind;
pub use matcher::{DropRule, RulesMatcher, Verdict};
pub use pattern::{Glob, Pattern, PatternError};
pub use weigh::{Weigh, WeightName};

/// What of the front matter steers the deterministic compressor. Everything is optional; keep beats drop.
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
    /// Lines that are worth more to a recap.
    pub favour: Vec<Favour>,
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
    /// What steers the deterministic compressor.
    pub rules: Rules,
    /// What it speaks of, where its front matter says so.
    pub kind: Option<GuidelineKind>,
    /// The headed sections that a model must write, in this order; empty where the form is free.
    pub write: Vec<WrittenSection>,
    /// From how many tokens on a model compresses.
    pub thresholds: Thresholds,
    /// How a recap weighs values and lines, where the defaults do not fit.
    pub weigh: Weigh,
    /// The names that the body places, see [`GuidelineKind::variables`].
    pub variables: Vec<String>,
    /// What follows the front matter: a template, see [`Guideline::render_body`].
    pub body: String,
    /// The address of the text that all of it was read from.
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
    /// A field has a value that means nothing.
    #[error("{field}: {reason}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The body is no template that can be filled.
    #[error("line {line}: {reason}")]
    Template {
        /// The line in the guideline's text, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
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
    /// [`RulesError`], with the place of the fault where it has one.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let (yaml, body) = split(text)?.unwrap_or(("", text));
        let front = serde_yaml_ng::from_str::<Option<FrontMatter>>(yaml).map_err(at_place)?.unwrap_or_default();
        front.check()?;
        let guideline = Self {
            kind: front.kind,
            write: front.write,
            thresholds: front.thresholds,
            weigh: front.weigh,
            variables: front.variables,
            rules: Rules {
                keep: front.keep,
                drop: front.drop,
                keys: front.keys,
                sections: front.sections,
                caps: front.caps,
                favour: front.favour,
            },
            body: body.to_owned(),
            hash: OriginalHash::of(text),
        };
        let line = text.matches('\n').count() - body.matches('\n').count();
        template::check(&guideline, line)?;
        Ok(guideline)
    }

    /// Reads a guideline of one kind: the front matter may not name another one, nor ask for what that kind has not.
    ///
    /// # Errors
    /// As [`Guideline::parse`].
    pub fn parse_as(kind: GuidelineKind, text: &str) -> Result<Self, RulesError> {
        let guideline = Self::parse(text)?;
        if let Some(named) = guideline.kind.filter(|named| *named != kind) {
            let reason = format!("it is `{}`, and this is the guideline for `{}`", named.name(), kind.name());
            return Err(RulesError::Field { field: "kind", reason });
        }
        front::check_kind(kind, &guideline.variables, guideline.thresholds)?;
        front::check_recap(kind, &guideline.rules.favour, &guideline.weigh)?;
        Ok(guideline)
    }

    /// Fills the body with values. All are texts; a variable that is told and not placed is passed over.
    ///
    /// Bodies are minijinja templates without functions, includes and inheritance. Work and size are bounded in
    /// proportion to body and values.
    ///
    /// # Errors
    /// [`RulesError::Template`] where a variable that the body places is not told, or the bounds are met. The line is
    /// that in the body.
    pub fn render_body(&self, values: &[(&str, &str)]) -> Result<String, RulesError> {
        template::render(&self.body, values, 0)
    }

    /// Tells whether the body places a variable.
    #[must_use]
    pub fn places(&self, variable: &str) -> bool {
        self.variables.iter().any(|name| name == variable)
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
pub(crate) fn split(text: &str) -> Result<Option<(&str, &str)>, RulesError> {
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
