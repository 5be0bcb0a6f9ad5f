//! The grounding audit: where a lost value stood in its original, and what dropped it.
//!
//! An [`Auditor`] stands beside a replay: it is shown each context as it is served, and asked about each value that the
//! context has lost.

mod auditor;
mod breakdown;
mod place;
mod pointer;

pub use auditor::Auditor;
pub use breakdown::{Breakdown, LossCounts, most_lost};

use serde::{Deserialize, Serialize};

use super::replay::Measure;
use crate::compress::Kind;
use crate::trajectory::OriginalHash;

/// A value that an action used and its served context lost, with the reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// The place of the action among the trajectory's messages, from 0.
    pub step: usize,
    /// The value.
    pub value: String,
    /// The measures under which it is lost.
    pub under: Vec<Measure>,
    /// Where it stood last before the action.
    pub place: Place,
    /// The piece of the receipt that stands for that turn; `None` where none does.
    pub piece: Option<usize>,
    /// Who made that piece, as in `rules:0.1.0` or `llm:name+rules:0.1.0`; `verbatim` where nobody did.
    pub compressor: String,
    /// Set, kind and hash of the guideline that steered it.
    pub guideline: Option<String>,
    /// What dropped it.
    pub cause: Cause,
}

/// Where a value stands in its original.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The turn; 0 is the head.
    pub turn: u32,
    /// The message's place in the trajectory.
    pub message: usize,
    /// The address of the text.
    pub original: OriginalHash,
    /// What the text is.
    pub kind: Kind,
    /// The line, from 1.
    pub line: u32,
    /// The line's words, at most 400 characters around the value.
    pub text: String,
    /// The JSON pointer (RFC 6901) of the scalar that holds it, where the text is JSON.
    pub json_pointer: Option<String>,
    /// The name of the nearest member above it, where the text is JSON.
    pub key: Option<String>,
    /// The nearest heading above it.
    pub heading: Option<String>,
}

/// What dropped a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// A rule of the guideline: its field (`drop`, `keys.drop`, `sections.drop`) and the pattern.
    Rule {
        /// The field of the front matter.
        field: String,
        /// The pattern as it is written.
        pattern: String,
    },
    /// An upper bound of the guideline, as `caps.list_items`.
    Cap {
        /// The field of the front matter.
        field: String,
    },
    /// Its line was worth less for its tokens than what was chosen, or too long for what was left.
    Outweighed {
        /// What its line would still have added, for its tokens.
        gain: f32,
        /// The least that a chosen line added while there was room for all that came up.
        least_chosen: f32,
    },
    /// A model wrote what stands there, and left it out.
    Untold,
    /// It is older than what the digest still holds.
    Thinned,
    /// The last turn did not fit whole.
    Elided,
    /// It stands, but apart from the words that stood near it.
    Apart,
}
