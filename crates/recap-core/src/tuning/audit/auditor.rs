//! Asks of each lost value where it stood and what dropped it.

use super::place::{Held, Shapes};
use super::{Cause, Loss};
use crate::context::{ContextRequest, EpochRecord, Fate, Piece, PieceKind, Scales, Session};
use crate::trajectory::OriginalHash;
use crate::tuning::replay::{Lost, Measure, Recorded};

/// Who made what nobody made.
const VERBATIM: &str = "verbatim";

/// Stands beside the replay of one trajectory on one line of reads.
#[derive(Default)]
pub struct Auditor {
    scales: Scales,
    shapes: Shapes,
    epoch: Option<EpochRecord>,
    pieces: Vec<Piece>,
    /// The session's message for each recorded one; empty where they are the same.
    origins: Vec<usize>,
}

impl Auditor {
    /// Makes an auditor of a record whose messages are not one by one the session's: `origins` names the session's
    /// message that each of them was made from, in ascending order.
    #[must_use]
    pub fn of_origins(origins: Vec<usize>) -> Self {
        Self { origins, ..Self::default() }
    }

    /// The session's message for a recorded one.
    fn origin(&self, recorded: usize) -> usize {
        if self.origins.is_empty() { recorded } else { self.origins.get(recorded).copied().unwrap_or(usize::MAX) }
    }

    /// Notes what a read served: its receipt's pieces, and the epoch that it was in. To be told of each read, with the
    /// session as it was then.
    pub fn note(&mut self, session: &Session, request: &ContextRequest, epoch: &EpochRecord, pieces: &[Piece]) {
        let is_new = self.epoch.as_ref().is_none_or(|known| (known.n, &known.line) != (epoch.n, &epoch.line));
        if is_new {
            session.note_gains(request, epoch, self.epoch.as_ref(), &mut self.scales);
            self.epoch = Some(epoch.clone());
        }
        self.pieces.clear();
        self.pieces.extend_from_slice(pieces);
    }

    /// Says where a value that the context noted last has lost stood, and what dropped it. `None` where it stands near
    /// its words and only its line is cut, where no message before the action holds it, or no context was noted.
    pub fn explain(&mut self, recorded: &Recorded, session: &Session, lost: &Lost) -> Option<Loss> {
        if !lost.under.contains(&Measure::Bound) {
            return None;
        }
        let (message, flat) = recorded.last_with(&lost.value, lost.step)?;
        let epoch = self.epoch.as_ref()?;
        let message = self.origin(message);
        let spot = session.spot_of(message, &lost.value);
        let (place, fate) = if let Some(spot) = &spot {
            let place = self.shapes.place(&Held::of(spot, &lost.value));
            (place, session.fate_of(epoch, spot, &lost.value, &self.scales))
        } else {
            // the name of a call is no text of its own
            let turn = session.turn_of(message)?;
            let start = flat.rfind(&lost.value)?;
            let at = start..start + lost.value.len();
            let held = Held { turn, message, original: OriginalHash::of(flat), text: flat, at };
            (self.shapes.place(&held), session.fate_of_turn(epoch, turn, &self.scales))
        };
        let piece = piece_of(&self.pieces, place.turn, epoch.covered);
        let made = piece.and_then(|at| self.pieces.get(at));
        Some(Loss {
            step: self.origin(lost.step),
            value: lost.value.clone(),
            under: lost.under.clone(),
            place,
            piece,
            compressor: made.and_then(|piece| piece.compressor.clone()).unwrap_or_else(|| VERBATIM.to_owned()),
            guideline: made.and_then(|piece| piece.guideline.clone()),
            cause: cause_of(fate, &lost.under),
        })
    }
}

/// The piece that stands for a turn.
fn piece_of(pieces: &[Piece], turn: u32, covered: u32) -> Option<usize> {
    let is_own = |kind: PieceKind| match kind {
        PieceKind::Recap => (1..=covered).contains(&turn),
        PieceKind::Verbatim | PieceKind::Observation => turn == 0 || turn > covered,
        PieceKind::Recalled | PieceKind::Playbook | PieceKind::Facts | PieceKind::Pinned => false,
    };
    let holds = |piece: &Piece| {
        let (first, last) = (piece.turns.first(), piece.turns.last());
        first.zip(last).is_some_and(|(first, last)| (*first..=*last).contains(&turn))
    };
    pieces.iter().position(|piece| is_own(piece.kind) && holds(piece))
}

/// What to blame: what became of the value's own line, and where it stands all the same, but apart, only what the
/// guideline did to that line.
fn cause_of(fate: Fate, under: &[Measure]) -> Cause {
    let apart = !under.contains(&Measure::Grounding);
    match fate {
        Fate::Dropped(rule) => Cause::Rule { field: rule.field.to_owned(), pattern: rule.pattern },
        Fate::Capped(field) => Cause::Cap { field: field.to_owned() },
        Fate::Stands => Cause::Apart,
        _ if apart => Cause::Apart,
        Fate::Outweighed { gain, least_chosen } => Cause::Outweighed { gain, least_chosen },
        Fate::Untold => Cause::Untold,
        Fate::Thinned => Cause::Thinned,
        Fate::Elided => Cause::Elided,
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
