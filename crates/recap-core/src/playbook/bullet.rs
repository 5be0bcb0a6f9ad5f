//! One lesson.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use crate::trajectory::OriginalHash;

/// Evidence that a bullet lists at most; the newest stays.
pub const MOST_EVIDENCE: usize = 32;
/// Bytes of an id.
const MOST_ID_BYTES: usize = 64;

/// A bullet's id, as in `shr-00021`: letters, digits, `_`, `-`, `.` and `:`, at most 64. Never given twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BulletId(Arc<str>);

/// A text that is no bullet's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a bullet's id: expected 1 to 64 letters, digits, `_`, `-`, `.` or `:`")]
pub struct BulletIdError;

impl BulletId {
    /// Makes an id of a section's slug and a number.
    #[must_use]
    pub(super) fn new(slug: &str, number: u64) -> Self {
        Self(format!("{slug}-{number:05}").into())
    }

    /// Returns the id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the number after the last `-`, if there is one.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        self.0.rsplit_once('-')?.1.parse().ok()
    }
}

impl FromStr for BulletId {
    type Err = BulletIdError;

    fn from_str(text: &str) -> Result<Self, BulletIdError> {
        let is_of = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        let fits = !text.is_empty() && text.len() <= MOST_ID_BYTES && text.chars().all(is_of);
        fits.then(|| Self(text.into())).ok_or(BulletIdError)
    }
}

impl TryFrom<String> for BulletId {
    type Error = BulletIdError;

    fn try_from(text: String) -> Result<Self, BulletIdError> {
        text.parse()
    }
}

impl From<BulletId> for String {
    fn from(id: BulletId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for BulletId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who brought a bullet's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A person or program with an operator's rights.
    Operator,
    /// An agent.
    Agent,
    /// A file.
    Import,
    /// A model that looked back on a run.
    Learned,
    /// The same, and its words stand in what a tool answered in that run: they may be somebody else's instructions.
    Observed,
}

impl Origin {
    /// Returns the name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Agent => "agent",
            Self::Import => "import",
            Self::Learned => "learned",
            Self::Observed => "observed",
        }
    }
}

/// A run that a bullet comes from or was found true in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The trajectory.
    pub trajectory: String,
    /// The turn in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<u32>,
}

/// How a bullet served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Credit {
    /// It helped.
    Helpful,
    /// It harmed.
    Harmful,
    /// It did neither.
    Neutral,
}

/// A bullet's counters. What was inferred from a run's outcome is counted apart from what somebody said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Credits {
    /// Said to have helped.
    pub helpful: Tally,
    /// Said to have harmed.
    pub harmful: Tally,
    /// Said to have done neither.
    pub neutral: Tally,
    /// Served in a run that succeeded.
    pub inferred_helpful: Tally,
    /// Served in a run that failed.
    pub inferred_harmful: Tally,
    /// Served in a run that ended in neither way.
    pub inferred_neutral: Tally,
}

impl Credits {
    /// Returns one of the counters.
    #[must_use]
    pub fn of(&mut self, credit: Credit, inferred: bool) -> &mut Tally {
        match (credit, inferred) {
            (Credit::Helpful, false) => &mut self.helpful,
            (Credit::Harmful, false) => &mut self.harmful,
            (Credit::Neutral, false) => &mut self.neutral,
            (Credit::Helpful, true) => &mut self.inferred_helpful,
            (Credit::Harmful, true) => &mut self.inferred_harmful,
            (Credit::Neutral, true) => &mut self.inferred_neutral,
        }
    }

    /// Adds the events of another bullet's counters.
    pub fn merge(&mut self, other: &Self) {
        self.helpful.merge(&other.helpful);
        self.harmful.merge(&other.harmful);
        self.neutral.merge(&other.neutral);
        self.inferred_helpful.merge(&other.inferred_helpful);
        self.inferred_harmful.merge(&other.inferred_harmful);
        self.inferred_neutral.merge(&other.inferred_neutral);
    }
}

/// One lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bullet {
    /// Its id.
    pub id: BulletId,
    /// The heading that it stands under.
    pub section: Arc<str>,
    /// The lesson: text of any number of lines, markdown included.
    pub content: Arc<str>,
    /// Who brought its words.
    pub origin: Origin,
    /// How it served.
    #[serde(default)]
    pub credits: Credits,
    /// Where it comes from and where it was found true, oldest first, at most [`MOST_EVIDENCE`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// When it was added, in milliseconds since 1970.
    pub created_ms: i64,
    /// When its words or section last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

impl Bullet {
    /// Returns the address of its words: section and content.
    #[must_use]
    pub fn words_hash(&self) -> OriginalHash {
        OriginalHash::of(&serde_json::to_string(&(&self.section, &self.content)).unwrap_or_default())
    }

    /// Adds evidence that it does not list yet.
    pub(super) fn support(&mut self, evidence: &[Evidence]) {
        for new in evidence {
            if !self.evidence.contains(new) {
                self.evidence.push(new.clone());
            }
        }
        let excess = self.evidence.len().saturating_sub(MOST_EVIDENCE);
        self.evidence.drain(..excess);
    }
}
