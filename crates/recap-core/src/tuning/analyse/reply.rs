//! Replies read from JSON, and quotes looked for in what was shown.

use serde::de::DeserializeOwned;

use crate::prompt::unfenced;

/// Why a reply cannot stand, in words that a model can act on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It says nothing.
    #[error("it is empty")]
    Empty,
    /// It is not the JSON object that was asked for.
    #[error("it is not one JSON object of the form that was asked for: {0}")]
    Garbage(String),
    /// It finds nothing that stands in what was shown.
    #[error("nothing in it stands in what was shown: quote letter by letter")]
    Groundless,
    /// It changes nothing, or is what was proposed before.
    #[error("it is the guideline as it is, or one that was proposed before: change something else")]
    Unchanged,
    /// It is too long.
    #[error("the body has {chars} characters; at most {most} are allowed")]
    TooLong {
        /// Its characters.
        chars: usize,
        /// The most.
        most: usize,
    },
    /// A section is not named any more.
    #[error("the body does not name the section {0} any more, which must be written")]
    MissingSection(String),
    /// It is no guideline.
    #[error("it is no guideline: {0}")]
    Guideline(String),
    /// It holds what only the runs hold.
    #[error("it holds words of single runs ({}); say what such things have in common instead", .0.join(", "))]
    Leak(Vec<String>),
}

impl Rejection {
    /// Returns what may be kept of it: no word of the reply, which may repeat what the runs hold.
    #[must_use]
    pub fn kept(&self) -> String {
        match self {
            Self::Garbage(_) => "it is not one JSON object of the form that was asked for".to_owned(),
            Self::Guideline(_) => "what it proposes is no guideline of its kind".to_owned(),
            Self::Leak(found) => format!("it holds {} words or values of single runs", found.len()),
            Self::Empty | Self::Groundless | Self::Unchanged | Self::TooLong { .. } | Self::MissingSection(_) => {
                self.to_string()
            }
        }
    }

    /// Returns the name that counters and records use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Garbage(_) => "garbage",
            Self::Groundless => "groundless",
            Self::Unchanged => "unchanged",
            Self::TooLong { .. } => "too_long",
            Self::MissingSection(_) => "missing_section",
            Self::Guideline(_) => "guideline",
            Self::Leak(_) => "leak",
        }
    }
}

/// Characters of a parser's words that a rejection repeats.
const SHOWN_CHARS: usize = 160;
/// Least characters of a quote that says where something stands.
const LEAST_QUOTE_CHARS: usize = 3;

/// Reads a reply; a Markdown fence around it is passed over.
pub(super) fn read<T: DeserializeOwned>(reply: &str) -> Result<T, Rejection> {
    let text = unfenced(reply);
    if text.is_empty() {
        return Err(Rejection::Empty);
    }
    serde_json::from_str(text).map_err(|error| Rejection::Garbage(cut(&error.to_string(), SHOWN_CHARS)))
}

/// Cuts a text to a number of characters.
pub(super) fn cut(text: &str, most_chars: usize) -> String {
    let text = text.trim();
    if text.chars().nth(most_chars).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most_chars.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// The first of some texts, each cut, without blank ones and without those that only say that there is nothing.
pub(super) fn said(texts: Vec<String>, most: usize, most_chars: usize) -> Vec<String> {
    let kept = texts.into_iter().map(|text| cut(&text, most_chars)).filter(|text| !says_nothing(text));
    kept.take(most).collect()
}

pub(super) fn says_nothing(text: &str) -> bool {
    let bare = text.trim().trim_matches(['.', '-', '"', '(', ')', ' ']).to_lowercase();
    ["", "none", "n/a", "na", "null", "nothing"].contains(&bare.as_str())
}

/// A text in which quotes are looked for: what is blank is one space.
pub(super) struct Source(String);

impl Source {
    /// Takes the texts that were shown.
    pub(super) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(texts.into_iter().map(plain).collect::<Vec<_>>().join("\n"))
    }

    /// Tells whether a quote stands there, letter by letter but for blanks, and says anything.
    pub(super) fn holds(&self, quote: &str) -> bool {
        let quote = plain(quote);
        quote.chars().nth(LEAST_QUOTE_CHARS - 1).is_some() && self.0.contains(&quote)
    }
}

/// A text whose blanks are single spaces.
pub(super) fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
