//! What compressors with models made for a session. It waits here until an epoch begins: nothing that was served
//! changes because of it.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::trajectory::{AgentKind, OriginalHash};

/// Who made a compression (law 12).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    /// The compressor with its model, as in `llm:name`.
    pub compressor: String,
    /// Set, kind and hash of the guideline that steered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guideline: Option<String>,
    /// Values that had to be appended because the compressor had lost them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub facts_appended: u32,
    /// Values that were rejected because no source has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<String>,
    /// Why nothing was made; then what stands is no compression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// A recap of consecutive turns, written by a model and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// First and last turn that it stands for.
    pub turns: [u32; 2],
    /// How turns were grouped when they were numbered.
    pub agent_kind: AgentKind,
    /// The sections under their headings; empty where no model could tell these turns.
    pub text: Arc<str>,
    /// Tokens of `text`.
    pub tokens: u32,
    /// Who wrote it.
    pub by: Maker,
}

/// A tool result, shortened by a model and checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condensed {
    /// The address of the result.
    pub original: OriginalHash,
    /// What stands instead of it.
    pub text: Arc<str>,
    /// Tokens of `text`.
    pub tokens: u32,
    /// Who wrote it.
    pub by: Maker,
}

/// How well the lines of a turn answer a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// The turn.
    pub turn: u32,
    /// How turns were grouped when it was numbered.
    pub agent_kind: AgentKind,
    /// Scores from 0 to 1 by the line's number in its turn.
    pub scores: Vec<(u32, f32)>,
    /// Who scored.
    pub by: Maker,
}

/// One thing that a model made for a trajectory; kept beside it in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "made", rename_all = "lowercase")]
pub enum Compression {
    /// A recap of turns.
    Told(Told),
    /// A shortened result.
    Condensed(Condensed),
    /// Scored lines.
    Scored(Scored),
}

/// Everything that was made for one session.
#[derive(Debug, Clone, Default)]
pub struct Made {
    told: Vec<Told>,
    condensed: FxHashMap<OriginalHash, Condensed>,
    scores: FxHashMap<(u32, u32), f32>,
    scorer: Option<Maker>,
    scored: FxHashSet<u32>,
    scored_to: u32,
    telling_to: u32,
}

impl Made {
    /// Notes that turns up to this one are to be told, however few are left of them.
    pub fn will_tell(&mut self, turn: u32) {
        self.telling_to = self.telling_to.max(turn);
    }

    /// Tells whether no model could tell one of the turns up to this one.
    #[must_use]
    pub fn failed_up_to(&self, turn: u32) -> bool {
        self.told(0, turn).iter().any(|told| told.by.failed.is_some())
    }

    /// Tells whether no model could tell a turn and none has scored its lines instead.
    #[must_use]
    pub fn is_undone(&self, turn: u32) -> bool {
        let holds = |told: &&Told| (told.turns[0]..=told.turns[1]).contains(&turn);
        let told = self.told.iter().find(holds);
        told.is_some_and(|told| told.by.failed.is_some()) && !self.scored.contains(&turn)
    }

    /// Notes that nothing is left to be scored up to this turn.
    pub fn has_scored(&mut self, turn: u32) {
        self.scored_to = self.scored_to.max(turn);
    }

    /// Tells whether turns that were to be told are left.
    #[must_use]
    pub fn is_telling(&self) -> bool {
        self.told_to() < self.telling_to
    }

    /// Takes a compression. Tells whether it is of use: a recap must go on where the last one ends, and turns must be
    /// grouped as they are now.
    pub fn take(&mut self, made: Compression, grouping: AgentKind) -> bool {
        match made {
            Compression::Told(told) => self.take_told(told, grouping),
            Compression::Condensed(condensed) => {
                self.condensed.insert(condensed.original, condensed);
                true
            }
            Compression::Scored(scored) if scored.agent_kind == grouping => {
                let turn = scored.turn;
                self.scores.extend(scored.scores.into_iter().map(|(line, score)| ((turn, line), score)));
                self.scored.insert(turn);
                if scored.by.failed.is_none() {
                    self.scorer = Some(scored.by);
                }
                self.scored_to = self.scored_to.max(turn);
                true
            }
            Compression::Scored(_) => false,
        }
    }

    fn take_told(&mut self, told: Told, grouping: AgentKind) -> bool {
        let [first, last] = told.turns;
        let follows = first == self.told_to() + 1 && last >= first && told.agent_kind == grouping;
        if follows {
            self.told.push(told);
        }
        follows
    }

    /// Forgets what speaks of turns by their numbers.
    pub fn forget_turns(&mut self) {
        *self = Self { condensed: std::mem::take(&mut self.condensed), ..Self::default() };
    }

    /// Returns the last turn that recaps stand for; 0 for none.
    #[must_use]
    pub fn told_to(&self) -> u32 {
        self.told.last().map_or(0, |told| told.turns[1])
    }

    /// Returns the last turn whose lines are scored; 0 for none.
    #[must_use]
    pub fn scored_to(&self) -> u32 {
        self.scored_to
    }

    /// Returns the recaps whose last turn is in `after + 1..=until`, oldest first.
    #[must_use]
    pub fn told(&self, after: u32, until: u32) -> &[Told] {
        let from = self.told.partition_point(|told| told.turns[1] <= after);
        let to = self.told.partition_point(|told| told.turns[1] <= until);
        self.told.get(from..to).unwrap_or_default()
    }

    /// Returns what stands instead of a result, if a model shortened it.
    #[must_use]
    pub fn condensed(&self, original: OriginalHash) -> Option<&Condensed> {
        self.condensed.get(&original)
    }

    /// Returns the score of a line, 0 where it has none. Neighbours of a line that answers are half as good: they say
    /// what it means.
    #[must_use]
    pub fn score(&self, turn: u32, line: u32) -> f32 {
        let at = |line: Option<u32>| line.and_then(|line| self.scores.get(&(turn, line))).copied().unwrap_or(0.0);
        let beside = at(line.checked_sub(1)).max(at(line.checked_add(1)));
        at(Some(line)).max(beside / 2.0)
    }

    /// Returns who scored lines of these turns, first and last, if anybody did.
    #[must_use]
    pub fn scorer(&self, [first, last]: [u32; 2]) -> Option<&Maker> {
        self.scorer.as_ref().filter(|_| (first..=last).any(|turn| self.scored.contains(&turn)))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}
