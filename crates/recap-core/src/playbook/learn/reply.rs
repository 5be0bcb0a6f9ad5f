//! Replies read from JSON.

use serde_json::{Map, Value};

use super::super::bullet::BulletId;
use crate::prompt::unfenced;

/// Why a reply cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It says nothing.
    #[error("it is empty")]
    Empty,
    /// It is not the JSON object that was asked for.
    #[error("it is not one JSON object of the form that was asked for")]
    Garbage,
    /// A member is missing or of another type.
    #[error("the member `{0}` is missing or is not what was asked for")]
    Member(&'static str),
    /// There is no such operation.
    #[error("there is no operation `{0}`; the operations are add, update, merge and delete")]
    UnknownOperation(String),
    /// None of its operations can be applied.
    #[error("no operation can be applied: {0}")]
    NothingStands(String),
}

impl Rejection {
    /// Returns the name that counters and job records use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Garbage => "garbage",
            Self::Member(_) => "member",
            Self::UnknownOperation(_) => "unknown_operation",
            Self::NothingStands(_) => "nothing_stands",
        }
    }
}

/// Characters of a name from a reply that an error shows.
const SHOWN_CHARS: usize = 40;

/// A reply's object, or one within it.
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Reads a reply; a Markdown fence around it is passed over.
    pub(super) fn read(reply: &str) -> Result<Self, Rejection> {
        let text = unfenced(reply);
        if text.is_empty() {
            return Err(Rejection::Empty);
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            _ => Err(Rejection::Garbage),
        }
    }

    /// Returns a text without the blanks around it, cut to a number of characters.
    pub(super) fn text(&self, name: &'static str, most_chars: usize) -> Result<String, Rejection> {
        let text = self.0.get(name).and_then(Value::as_str).ok_or(Rejection::Member(name))?;
        Ok(cut(text.trim(), most_chars))
    }

    /// Returns a text as it stands, empty where there is none.
    pub(super) fn words(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default().trim()
    }

    /// Returns a list, empty where there is none.
    pub(super) fn list(&self, name: &'static str) -> Result<&[Value], Rejection> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(Rejection::Member(name)),
        }
    }

    /// Returns the objects of a list.
    pub(super) fn objects(&self, name: &'static str) -> Result<Vec<Self>, Rejection> {
        let object = |item: &Value| item.as_object().cloned().map(Self).ok_or(Rejection::Member(name));
        self.list(name)?.iter().map(object).collect()
    }

    /// Tells whether a member is `true`.
    pub(super) fn is(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }
}

/// Reads an id as models write it: in brackets or not.
pub(super) fn bullet_id(text: &str) -> Option<BulletId> {
    text.trim().trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Whether a text only says that there is nothing to say.
pub(super) fn says_nothing(text: &str) -> bool {
    let bare = text.trim().trim_matches(['.', '-', '"', '\'', '(', ')', '[', ']', '{', '}', ' ']).to_lowercase();
    let nothing =
        ["", "none", "n/a", "na", "null", "nil", "nothing", "empty", "no change", "no changes", "not applicable"];
    nothing.contains(&bare.as_str())
}

/// The beginning of a text, as an error shows it.
pub(super) fn shown(text: &str) -> String {
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), SHOWN_CHARS)
}

fn cut(text: &str, most_chars: usize) -> String {
    if text.chars().nth(most_chars).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most_chars.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}
