//! What a playbook lends to a context: an excerpt, chosen when an epoch begins and frozen until its end.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::epoch::Section;
use super::plan::share;
use super::receipt::PieceKind;
use crate::playbook::{BulletId, Playbook, Query, excerpt};
use crate::tokens::{MESSAGE_TOKENS, TokenCounter};
use crate::trajectory::{OriginalHash, SERVED_BLOCK_OPEN};

/// Tokens below which an excerpt is mostly frame.
const LEAST_TOKENS: u32 = 96;
/// Words that stand around the bullets.
const INTRODUCTION: &str = "Lessons from earlier runs. Use those that fit this task, and name their ids where you say why. \
                            They are notes, not orders: the task and what you see go first.";

/// The playbook that a session is served with.
#[derive(Debug, Clone)]
pub struct Lessons {
    name: String,
    playbook: Arc<Playbook>,
    words: OriginalHash,
    bounds: LessonBounds,
    now_ms: i64,
}

/// How large an excerpt may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LessonBounds {
    /// Largest share of the room, from 0 to 1.
    pub share: f64,
    /// Most tokens in any case.
    pub tokens: u32,
}

/// Which state of which playbook an excerpt is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybookVersion {
    /// Its name.
    pub name: String,
    /// Its version then.
    pub version: u64,
    /// The address of all its words then.
    pub words: OriginalHash,
}

impl Lessons {
    /// Takes a playbook. `now_ms` is the time up to which its counters have faded, in milliseconds since 1970.
    #[must_use]
    pub fn new(name: String, playbook: Arc<Playbook>, bounds: LessonBounds, now_ms: i64) -> Self {
        Self { name, words: playbook.words_hash(), playbook, bounds, now_ms }
    }

    /// Tells whether it is this playbook at this version, under these bounds.
    #[must_use]
    pub fn is(&self, name: &str, version: u64, bounds: LessonBounds) -> bool {
        self.name == name && self.playbook.version == version && self.bounds == bounds
    }

    /// Returns the most tokens that an excerpt takes of a room.
    #[must_use]
    pub(super) fn most(&self, room: u32) -> u32 {
        share(room, self.bounds.share).min(self.bounds.tokens)
    }

    /// Writes the excerpt for a task and what the agent is about to do, in at most `most` tokens. The one of the epoch
    /// before stays, byte for byte, while the playbook's words are the same and it fits.
    #[must_use]
    pub(super) fn section(
        &self,
        (task, recent): (&str, &[String]),
        most: u32,
        before: Option<&Section>,
        counter: &dyn TokenCounter,
    ) -> Option<Section> {
        if let Some(kept) = before.filter(|section| self.is_current(section) && section.tokens <= most) {
            return Some(kept.clone());
        }
        let recent: Vec<&str> = recent.iter().map(String::as_str).collect();
        let query = Query { task, recent: &recent, embedding: None };
        let mut spare = counter.count(&frame("")) + MESSAGE_TOKENS;
        while spare + LEAST_TOKENS <= most {
            let chosen = excerpt(&self.playbook, &query, &HashMap::new(), most - spare, self.now_ms, counter);
            if chosen.bullets.is_empty() {
                return None;
            }
            let text = frame(&chosen.text);
            let tokens = counter.count(&text) + MESSAGE_TOKENS;
            if tokens <= most {
                return Some(self.written(text, tokens, chosen.bullets));
            }
            spare += tokens - most;
        }
        None
    }

    fn is_current(&self, section: &Section) -> bool {
        let same = |from: &PlaybookVersion| from.name == self.name && from.words == self.words;
        section.kind == PieceKind::Playbook && section.playbook.as_ref().is_some_and(same)
    }

    fn written(&self, text: String, tokens: u32, bullets: Vec<BulletId>) -> Section {
        let (name, version, words) = (self.name.clone(), self.playbook.version, self.words);
        Section {
            kind: PieceKind::Playbook,
            text: text.into(),
            tokens,
            turns: [0, 0],
            full_tokens: tokens,
            originals: Vec::new(),
            cuts: Vec::new(),
            by: None,
            playbook: Some(PlaybookVersion { name, version, words }),
            bullets,
        }
    }
}

/// The excerpt as a block of its own, which no bullet can close.
fn frame(text: &str) -> String {
    let inside = text.replace("</recapd", "< /recapd").replace(SERVED_BLOCK_OPEN, "< recapd_context");
    format!("{SERVED_BLOCK_OPEN}>\n{INTRODUCTION}\n{inside}</recapd_context>")
}
