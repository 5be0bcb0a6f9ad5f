//! Epochs: stretches of a line of reads during which the served context only grows at its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lessons::PlaybookVersion;
use super::made::Maker;
use super::receipt::PieceKind;
use crate::playbook::BulletId;
use crate::trajectory::{AgentKind, OriginalHash};

/// Addresses that a section lists at most; `turns` says what else it stands for.
pub const MOST_ORIGINALS: usize = 256;

/// One epoch of one line, complete: with it and the messages the same bytes are served after a restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// The line of reads that it belongs to, see [`super::ContextRequest::line_key`].
    pub line: String,
    /// Its number on that line, from 0.
    pub n: u32,
    /// Turns `1..=covered` stand in `sections`, later ones as messages.
    pub covered: u32,
    /// How turns were grouped when they were numbered.
    pub agent_kind: AgentKind,
    /// The newest turn when it began.
    pub began_at: u32,
    /// Tokens that the context may take beside its pinned part.
    pub room: u32,
    /// The parts of the block after the task, in order.
    pub sections: Vec<Section>,
    /// Messages of which texts are shortened, by their place in the trajectory; frozen until the epoch's end.
    pub edits: BTreeMap<usize, EditedMessage>,
    /// Hash of the code and configuration that wrote it (law 12).
    pub maker: String,
    /// Why it began: `start`, `room`, `asked`, `restored`, `settings`, `regrouped`.
    pub cause: String,
}

/// A message with shorter texts instead of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EditedMessage {
    /// Its tokens with them.
    pub tokens: u32,
    /// The texts by block.
    pub texts: BTreeMap<usize, Arc<str>>,
    /// Who wrote them, where it was not the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Maker>,
}

/// A part of the block: it stands for covered turns, or is a playbook's excerpt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// What it is.
    pub kind: PieceKind,
    /// The rendered text.
    pub text: Arc<str>,
    /// Its tokens, with framing.
    pub tokens: u32,
    /// First and last turn that it stands for.
    pub turns: [u32; 2],
    /// Tokens of these turns as sent.
    pub full_tokens: u32,
    /// What it stands for, the newest at most [`MOST_ORIGINALS`].
    pub originals: Vec<OriginalHash>,
    /// Turns of which lines were left out.
    pub cuts: Vec<Cut>,
    /// Who wrote it, where it was not the rules alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Maker>,
    /// The playbook that it is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<PlaybookVersion>,
    /// The bullets that it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bullets: Vec<BulletId>,
}

/// What a section leaves out of one turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The turn.
    pub turn: u32,
    /// Tokens left out.
    pub tokens: u32,
    /// The original that holds most of it.
    pub expand: Option<OriginalHash>,
}

impl EpochRecord {
    /// Returns the playbook's excerpt, if there is one.
    #[must_use]
    pub fn lessons(&self) -> Option<&Section> {
        self.sections.iter().find(|section| section.kind == PieceKind::Playbook)
    }

    /// Returns the bullets that it shows.
    #[must_use]
    pub fn bullets(&self) -> &[BulletId] {
        self.lessons().map_or(&[], |section| &section.bullets)
    }

    /// Takes the playbook's excerpt out if it shows one of these bullets, and its maker with it: the epoch ends with the
    /// next read. Tells whether it did.
    pub fn forget(&mut self, erased: &BTreeSet<BulletId>) -> bool {
        if !self.bullets().iter().any(|id| erased.contains(id)) {
            return false;
        }
        self.sections.retain(|section| section.kind != PieceKind::Playbook);
        self.maker.clear();
        true
    }
}
