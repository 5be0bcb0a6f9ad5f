//! The rules proposer: lost values and idle lines become edits of a guideline's front matter, without a model.
//!
//! Deterministic. It learns kinds of lines, names of JSON members and headings, never a value that it saw.

mod evidence;

pub use evidence::{Evidence, IdleLine, idle_lines, later_values};

use serde::{Deserialize, Serialize};

use super::gate::Objective;
use crate::compress::GuidelineKind;

/// A guideline that may be better than the champion.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its whole text. The body is the champion's, byte for byte.
    pub text: String,
    /// What it changes and on what grounds, in a line.
    pub note: String,
    /// Its changes.
    pub changes: Vec<Change>,
}

/// A change of the front matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum Change {
    /// A list, as `keep` or `keys.drop`, gets an item.
    Add {
        /// The list.
        field: String,
        /// The item, as it is written.
        item: String,
    },
    /// A list loses an item.
    Remove {
        /// The list.
        field: String,
        /// The item, as it was written.
        item: String,
    },
    /// A number is set, as `caps.list_items` or `weigh.path`.
    Set {
        /// The field.
        field: String,
        /// What it was, where it was told.
        from: Option<f64>,
        /// What it is now.
        to: f64,
    },
    /// A field is taken out.
    Unset {
        /// The field.
        field: String,
    },
}

/// Proposes at most `most` candidates for a guideline of this kind; none where the evidence supports none, or the champion
/// does not parse.
#[must_use]
pub fn by_rules(
    _champion: &str,
    _kind: GuidelineKind,
    _evidence: &Evidence,
    _objective: Objective,
    _most: usize,
) -> Vec<Candidate> {
    Vec::new()
}
