//! Patterns of lines and names.

use serde::{Deserialize, Serialize};

/// The most bytes of a pattern's text.
const PATTERN_BYTES: usize = 500;
/// The most memory of one compiled regular expression, in bytes.
pub const REGEX_BYTES: usize = 1 << 20;

/// What a line is compared with: words it contains (ASCII case does not matter), or `/a regular expression/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// Words that the line contains.
    Words(String),
    /// A regular expression that matches somewhere in the line.
    Regex(String),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is empty.
    #[error("a pattern is empty")]
    Empty,
    /// It is longer than a pattern may be.
    #[error("a pattern is longer than {PATTERN_BYTES} bytes")]
    Long,
    /// The regular expression does not parse, or needs too much memory.
    #[error("the pattern `/{pattern}/` is no usable regular expression: {reason}")]
    Regex {
        /// The expression.
        pattern: String,
        /// The parser's words.
        reason: String,
    },
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        check_len(&text)?;
        let Some(inner) = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) else {
            return Ok(Self::Words(text));
        };
        if inner.is_empty() {
            return Err(PatternError::Empty);
        }
        let built = regex::RegexBuilder::new(inner).size_limit(REGEX_BYTES).build();
        built
            .map(|_| Self::Regex(inner.to_owned()))
            .map_err(|error| PatternError::Regex { pattern: inner.to_owned(), reason: error.to_string() })
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        match pattern {
            Pattern::Words(words) => words,
            Pattern::Regex(inner) => format!("/{inner}/"),
        }
    }
}

fn check_len(text: &str) -> Result<(), PatternError> {
    if text.trim().is_empty() {
        return Err(PatternError::Empty);
    }
    if text.len() > PATTERN_BYTES { Err(PatternError::Long) } else { Ok(()) }
}

/// A name with `*` for any characters and `?` for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Glob(String);

impl TryFrom<String> for Glob {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        check_len(&text).map(|()| Self(text))
    }
}

impl From<Glob> for String {
    fn from(glob: Glob) -> Self {
        glob.0
    }
}

impl Glob {
    /// Returns a regular expression for whole names, ASCII case folded.
    #[must_use]
    pub fn to_regex(&self) -> String {
        let mut out = String::from("(?is-u)^");
        for c in self.0.chars() {
            match c {
                '*' => out.push_str("(?u:.)*"),
                '?' => out.push_str("(?u:.)"),
                c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        out.push('$');
        out
    }
}
