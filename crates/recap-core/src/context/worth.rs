//! What a value is worth to a recap: how likely a later action is to need it.

use std::collections::{HashMap, HashSet};

use super::digest::{Digest, TurnDigest};
use crate::trajectory::FactKey;

/// Weights of the selection. The defaults were chosen on development data; `docs/measures.md` shows the frontier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Turns after which a value's worth has fallen half of the way to `floor`.
    pub half_life: f32,
    /// Worth of a very old value, relative to a new one.
    pub floor: f32,
    /// Factor for a value that stands in several lines.
    pub repeated: f32,
    /// Factor for a value that the agent itself has written.
    pub said: f32,
    /// Factor for a value that stands verbatim in a turn that stays.
    pub in_tail: f32,
    /// Share of a value's worth that a second line with it still brings.
    pub again: f32,
    /// Power of the tokens that a gain is divided by.
    pub density: f32,
    /// Factor for the facts of a line that the agent wrote.
    pub own_line: f32,
    /// Worth of an error or summary line beside its facts.
    pub error: f32,
    /// Worth of any line for each word that it shares with the newest turns.
    pub echo: f32,
    /// Worth of a line without facts.
    pub line: f32,
    /// Worth of a turn's headline.
    pub headline: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            half_life: 6.0,
            floor: 0.2,
            repeated: 1.3,
            said: 0.8,
            in_tail: 0.1,
            again: 0.1,
            density: 0.8,
            own_line: 1.2,
            error: 1.0,
            echo: 0.1,
            line: 0.05,
            headline: 0.5,
        }
    }
}

/// The values of the covered turns, numbered, with their worths.
pub struct FactWorths {
    numbers: HashMap<FactKey, u32>,
    worths: Vec<f32>,
}

impl FactWorths {
    /// Weighs every value of the covered turns. `now` is the newest turn; `pinned` values stand in the head,
    /// `tail` values in turns that stay verbatim.
    #[must_use]
    pub fn new(
        digest: &Digest,
        covered: &[TurnDigest],
        now: u32,
        pinned: &HashSet<FactKey>,
        tail: &HashSet<FactKey>,
        weights: &Weights,
    ) -> Self {
        let mut found = Self {
            numbers: HashMap::new(),
            worths: Vec::new(),
        };
        for fact in covered
            .iter()
            .flat_map(|turn| turn.lines.iter().chain([&turn.headline]))
            .flat_map(|line| &line.facts)
        {
            if found.numbers.contains_key(fact) {
                continue;
            }
            found
                .numbers
                .insert(*fact, u32::try_from(found.worths.len()).unwrap_or(u32::MAX));
            found.worths.push(if pinned.contains(fact) {
                0.0
            } else {
                let share = if tail.contains(fact) {
                    weights.in_tail
                } else {
                    1.0
                };
                share * worth(digest, *fact, now, weights)
            });
        }
        found
    }

    /// Returns a value's number.
    #[must_use]
    pub fn number(&self, fact: FactKey) -> Option<u32> {
        self.numbers.get(&fact).copied()
    }

    /// Returns the worths by number.
    #[must_use]
    pub fn worths(&self) -> &[f32] {
        &self.worths
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "turn numbers are far below 2^24"
)]
fn worth(digest: &Digest, fact: FactKey, now: u32, weights: &Weights) -> f32 {
    let seen = digest.sightings(fact);
    let age = now.saturating_sub(seen.last_turn) as f32;
    let fresh = weights.floor + (1.0 - weights.floor) / (1.0 + (age / weights.half_life).powi(2));
    let repeated = if seen.lines > 1 {
        weights.repeated
    } else {
        1.0
    };
    let said = if seen.said_turn > 0 {
        weights.said
    } else {
        1.0
    };
    fresh * repeated * said
}
