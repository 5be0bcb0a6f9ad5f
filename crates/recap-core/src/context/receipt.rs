//! The receipt: the account that comes with every served context (API.md, *The context*).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::playbook::BulletId;
use crate::trajectory::OriginalHash;

/// What stands in a served context at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum PieceKind {
    /// Messages as they were sent, at most losslessly reformatted.
    Verbatim,
    /// A turn whose observations were shortened.
    Observation,
    /// The compressed history of many turns.
    Recap,
    /// Excerpts of older turns that match what the agent is doing.
    Recalled,
    /// Lessons from the playbook.
    Playbook,
    /// Pinned words and exact values.
    Facts,
    /// Words that are never paraphrased: pinned messages and what a human said.
    Pinned,
}

/// One piece of a served context and what it stands for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Piece {
    /// Position in `messages` of the message that holds it.
    pub index: usize,
    /// What it is.
    pub kind: PieceKind,
    /// First and last turn that it stands for, both included; one number for one turn.
    pub turns: Vec<u32>,
    /// Addresses of the originals that it stands for. A recap names at most the configured number of
    /// newest ones here; its epoch lists all of them.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub originals: Vec<OriginalHash>,
    /// Tokens served.
    pub tokens: u32,
    /// Tokens of what it stands for.
    pub full_tokens: u32,
    /// The compressor that wrote it, with its version; absent for verbatim pieces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compressor: Option<String>,
    /// Set, kind and hash of the guideline that steered it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guideline: Option<String>,
    /// Values that had to be appended because the compressor had lost them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts_appended: Option<u32>,
    /// Values that were rejected because no source has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<String>,
    /// The playbook that it is an excerpt of, with its version, as in `support@12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<String>,
    /// The ids of its bullets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub bullets: Vec<BulletId>,
}

/// Turns of which nothing, or not all, is served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Omitted {
    /// First and last turn, both included.
    pub turns: [u32; 2],
    /// Tokens left out.
    pub tokens: u32,
    /// Why: `budget` or `open_turn`.
    pub why: String,
    /// The original to read for the largest part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub expand: Option<OriginalHash>,
}

/// Token counts of one served context.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenReceipt {
    /// Tokens of the rendered payload, tool schemas and framing included.
    pub total: u32,
    /// The budget that was asked for.
    pub budget: u32,
    /// Tokens kept free inside the budget.
    pub reserve: u32,
    /// Name of the counter.
    pub counter: String,
    /// Whether counts are the model's own.
    pub exact: bool,
    /// Largest relative error stated for a counter that is not exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stated_error: Option<f64>,
    /// Pictures whose tokens are not known and not counted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unknown_images: u32,
    /// Tokens of the whole trajectory, uncompressed.
    pub full: u32,
    /// `total` by where it comes from: system, tools, playbook, pinned, facts, recap, recalled, recent.
    pub by_source: BTreeMap<String, u32>,
}

/// What the provider's prefix cache can reuse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PrefixReceipt {
    /// Tokens at the start that are the same as in the last context served on this line.
    pub stable_tokens: u32,
    /// Whether something before the end changed since then.
    pub changed: bool,
    /// Tokens that the provider must read again because of it.
    pub recache_tokens: u32,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NextReceipt {
    /// Share of the room that is full, 0 to 1.
    pub fill: f64,
    /// `idle` below the soft mark; above it `preparing` while models are at work for the next epoch, else `ready`.
    pub compaction: String,
}

/// A change that made the sequence valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Repaired {
    /// The turn.
    pub turn: u32,
    /// What was done.
    pub what: String,
}

/// Everything that a context's answer says beside its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// Number of the epoch on this line, from 0.
    pub epoch: u32,
    /// Messages stored when it was served.
    pub length: u64,
    /// `tool` or `text`: how observations are recognised; absent while undecided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_kind: Option<String>,
    /// Token counts.
    pub tokens: TokenReceipt,
    /// The provider's cache.
    pub prefix: PrefixReceipt,
    /// What comes next.
    pub next: NextReceipt,
    /// What stands where.
    pub pieces: Vec<Piece>,
    /// What does not stand.
    pub omitted: Vec<Omitted>,
    /// What was mended to make the sequence valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repaired: Vec<Repaired>,
    /// Codes of what the caller should know, for example `open_turn`.
    pub warnings: Vec<String>,
}

impl Receipt {
    /// Adds a warning, unless it is there.
    pub fn warn(&mut self, code: &str) {
        if !self.warnings.iter().any(|known| known == code) {
            self.warnings.push(code.to_owned());
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}
