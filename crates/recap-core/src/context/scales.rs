//! What the lines that recaps leave out would have added: why one value stands and another does not.

use rustc_hash::FxHashMap;

/// The number of a turn's headline among its lines.
pub const HEADLINE: u32 = u32::MAX;

/// The gains of lines in the newest recap that speaks of their turn, for their tokens. Kept beside a session by who wants
/// to know; no context depends on it.
#[derive(Debug, Clone, Default)]
pub struct Scales {
    gains: FxHashMap<(u32, u32), f32>,
    least: FxHashMap<u32, f32>,
}

impl Scales {
    /// Notes what a line would still add; `None` where it was chosen.
    pub(super) fn note(&mut self, turn: u32, line: u32, gain: Option<f32>) {
        match gain {
            Some(gain) => drop(self.gains.insert((turn, line), gain)),
            None => drop(self.gains.remove(&(turn, line))),
        }
    }

    /// Notes the least that a chosen line added when a turn's lines were weighed.
    pub(super) fn note_least(&mut self, turn: u32, least: Option<f32>) {
        match least {
            Some(least) => drop(self.least.insert(turn, least)),
            None => drop(self.least.remove(&turn)),
        }
    }

    /// Returns what a line would still have added; 0 where that is not known.
    pub(super) fn gain(&self, turn: u32, line: u32) -> f32 {
        self.gains.get(&(turn, line)).copied().unwrap_or(0.0)
    }

    /// Returns the least that a chosen line added beside a turn; 0 where none was chosen.
    pub(super) fn least(&self, turn: u32) -> f32 {
        self.least.get(&turn).copied().unwrap_or(0.0)
    }
}
