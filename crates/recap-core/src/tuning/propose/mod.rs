//! The rules proposer: lost values and idle lines become edits of a guideline's front matter, without a model.
//!
//! Deterministic. It learns kinds of lines, names of JSON members and headings, never a value that it saw: what it adds
//! holds for at least three tasks, and digits are taken for classes.

mod edit;
mod evidence;
mod mine;
mod outline;
mod parts;
mod pattern;
#[cfg(test)]
mod tests;
mod weights;

use serde::{Deserialize, Serialize};

pub use edit::{EditError, edited, says_the_same};
pub use evidence::{Evidence, IdleLine, idle_lines, later_values};
use parts::Parts;

use super::gate::Objective;
use super::leak::{TrainingValues, leaks};
use crate::compress::{Guideline, GuidelineKind};

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
    /// `favour` gets a pattern.
    Favour {
        /// The pattern, as it is written.
        pattern: String,
        /// What its lines are worth more, 0 to 10.
        worth: f32,
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
        /// What it was.
        from: Option<f64>,
        /// What it is now.
        to: f64,
    },
    /// A number is taken out, so that it is unbounded or the default.
    Unset {
        /// The field.
        field: String,
    },
}

/// What candidates are made from, and what they may not say.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// What training runs showed.
    pub evidence: &'a Evidence,
    /// Their values: a pattern or name that holds one is left out.
    pub training: &'a TrainingValues,
}

/// Proposes at most `most` candidates for a guideline of this kind, different from the champion and from each other; none
/// where the evidence supports none, or the champion's front matter cannot be edited in place.
#[must_use]
pub fn by_rules(
    champion: &str,
    kind: GuidelineKind,
    ground: Ground<'_>,
    objective: Objective,
    most: usize,
) -> Vec<Candidate> {
    let Ok(before) = Guideline::parse_as(kind, champion) else { return Vec::new() };
    let mut known = vec![before.clone()];
    let mut found: Vec<Candidate> = Vec::new();
    let mut parts = Parts::of(&before, kind, ground.evidence, objective);
    parts.leave_out(|item| !leaks(item, champion, ground.training).is_empty());
    let sets = parts.sets(objective, most);
    for (note, changes) in sets {
        let Ok(text) = edited(champion, kind, &changes) else { continue };
        let Ok(after) = Guideline::parse_as(kind, &text) else { continue };
        if found.len() < most && !known.iter().any(|other| says_the_same(other, &after)) {
            known.push(after);
            found.push(Candidate { text, note, changes });
        }
    }
    found
}
