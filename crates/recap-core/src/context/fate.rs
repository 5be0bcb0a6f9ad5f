//! What became of a stretch of a trajectory's text in a served context, and why: the questions of an audit.

use std::sync::Arc;

use super::admit::Admitted;
use super::digest::{Line, TurnDigest};
use super::epoch::{EpochRecord, Section};
use super::plan::Planner;
use super::receipt::PieceKind;
use super::request::ContextRequest;
use super::scales::{HEADLINE, Scales};
use super::serve::{Layout, Served, Shown, render};
use super::session::Session;
use crate::compress::{DropRule, Ruled, ruled_out};
use crate::trajectory::{Block, Origin, OriginalHash};

/// Where a value stands in a trajectory.
#[derive(Debug, Clone)]
pub struct Spot<'a> {
    /// The turn; 0 is the head.
    pub turn: u32,
    /// The message's place in the trajectory.
    pub message: usize,
    /// The block of the message.
    pub block: usize,
    /// The address of the text.
    pub original: OriginalHash,
    /// The text as it was sent.
    pub text: &'a Arc<str>,
    /// The byte of it at which the value begins.
    pub at: usize,
}

/// What became of a stretch of text.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It stands, as it was sent or losslessly reformatted.
    Stands,
    /// A rule of the guideline drops it.
    Dropped(DropRule),
    /// It is beyond a cap of the guideline: the field of the front matter.
    Capped(&'static str),
    /// Other lines were worth more for their tokens.
    Outweighed {
        /// What its line would still have added, for its tokens.
        gain: f32,
        /// The least that a chosen line added while there was room for all that came up.
        least_chosen: f32,
    },
    /// A model wrote what stands there.
    Untold,
    /// The digest holds it no more.
    Thinned,
    /// The newest turn did not fit whole.
    Elided,
}

impl Session {
    /// Returns a session without messages under the same settings.
    #[must_use]
    pub fn rewound(&self) -> Self {
        Self::new(self.settings.clone())
    }

    /// Returns all messages.
    #[must_use]
    pub fn into_messages(self) -> Vec<Admitted> {
        self.messages
    }

    /// Returns the number of the last turn that can be served: its results have all come.
    #[must_use]
    pub fn newest_turn(&self) -> u32 {
        u32::try_from(self.last_servable().0).unwrap_or(u32::MAX)
    }

    /// Returns what an epoch serves as the trajectory stands, whether it fits or not. No line of reads changes.
    #[must_use]
    pub fn show_epoch(&self, epoch: &EpochRecord, request: &ContextRequest) -> Served {
        let layout = Layout::of(self, epoch, request);
        render(self, epoch, &layout, request, &Shown::default()).0
    }

    /// Returns the last place at which a message holds a value; `None` where none of its texts does.
    #[must_use]
    pub fn spot_of(&self, message: usize, value: &str) -> Option<Spot<'_>> {
        let admitted = self.messages.get(message)?;
        let turn = self.turns.iter().position(|turn| turn.messages.contains(&message))?;
        let blocks = admitted.message.blocks.iter().enumerate().rev();
        let mut found = blocks.filter_map(|(block, content)| {
            let text = content.original().filter(|_| !matches!(content, Block::Thinking(_)))?;
            Some((block, text, text.rfind(value)?))
        });
        let (block, text, at) = found.next()?;
        let original = admitted.original(block)?;
        Some(Spot { turn: u32::try_from(turn).unwrap_or(u32::MAX), message, block, original, text, at })
    }

    /// Returns the turn that a message belongs to.
    #[must_use]
    pub fn turn_of(&self, message: usize) -> Option<u32> {
        let turn = self.turns.iter().position(|turn| turn.messages.contains(&message))?;
        u32::try_from(turn).ok()
    }

    /// Notes what the lines would have added that an epoch leaves out, as the trajectory stands. To be called when the
    /// epoch has just begun; `before` is the one that it followed.
    pub fn note_gains(
        &self,
        request: &ContextRequest,
        epoch: &EpochRecord,
        before: Option<&EpochRecord>,
        scales: &mut Scales,
    ) {
        // an epoch that did not begin for want of room kept nothing
        let before = before.filter(|_| epoch.cause == "room");
        Planner::new(self, request, before).note_gains(epoch, before, scales);
    }

    /// Returns what became of a value in what an epoch serves.
    #[must_use]
    pub fn fate_of(&self, epoch: &EpochRecord, spot: &Spot<'_>, value: &str, scales: &Scales) -> Fate {
        if spot.turn == 0 || spot.turn > epoch.covered {
            return self.fate_in_message(epoch, spot, value);
        }
        match recap_of(epoch, spot.turn) {
            Some(section) => self.fate_in_recap(section, spot, value, scales),
            None => Fate::Elided,
        }
    }

    /// Returns what became of the name of a call, or of anything else of a message that is no text of its own.
    #[must_use]
    pub fn fate_of_turn(&self, epoch: &EpochRecord, turn: u32, scales: &Scales) -> Fate {
        if turn == 0 || turn > epoch.covered {
            return Fate::Stands;
        }
        match recap_of(epoch, turn) {
            Some(section) if self.is_told(section, turn) => Fate::Untold,
            Some(_) => outweighed(turn, HEADLINE, scales),
            None => Fate::Elided,
        }
    }

    fn fate_in_message(&self, epoch: &EpochRecord, spot: &Spot<'_>, value: &str) -> Fate {
        let edited = epoch.edits.get(&spot.message).filter(|edited| edited.texts.contains_key(&spot.block));
        let Some(edited) = edited else { return Fate::Stands };
        let shows = |text: &Arc<str>| text.contains(value);
        if edited.texts.get(&spot.block).is_some_and(shows) {
            return Fate::Stands;
        }
        if edited.by.is_some() {
            return Fate::Untold;
        }
        let admitted = self.messages.get(spot.message);
        let served = admitted.and_then(|admitted| admitted.reformatted_text(spot.block)).unwrap_or(spot.text);
        let ruled = served.rfind(value).and_then(|at| ruled_out(served, &self.settings.rules, at));
        match ruled {
            Some(Ruled::Rule(rule)) => Fate::Dropped(rule),
            Some(Ruled::Cap(field)) => Fate::Capped(field),
            None => Fate::Elided,
        }
    }

    fn fate_in_recap(&self, section: &Section, spot: &Spot<'_>, value: &str, scales: &Scales) -> Fate {
        let Some(turn) = self.digest.of(spot.turn, spot.turn).first() else { return self.undigested(spot) };
        let Some(line) = line_with(turn, spot.original, value) else {
            let in_headline = turn.headline.text.contains(value);
            return if in_headline { self.fate_of_line(section, turn, &turn.headline, scales) } else { Fate::Thinned };
        };
        self.fate_of_line(section, turn, line, scales)
    }

    fn fate_of_line(&self, section: &Section, turn: &TurnDigest, line: &Line, scales: &Scales) -> Fate {
        if section.text.contains(line.text.trim()) {
            return Fate::Stands;
        }
        if let Some(rule) = self.settings.history_rules.line_dropped_by(&line.text) {
            return Fate::Dropped(rule);
        }
        if self.is_told(section, turn.turn) {
            return Fate::Untold;
        }
        outweighed(turn.turn, line.number, scales)
    }

    /// What recapd wrote itself is never digested: it is left out as untold words of a model are.
    fn undigested(&self, spot: &Spot<'_>) -> Fate {
        let own = self.messages.get(spot.message).is_some_and(|own| own.message.origin == Origin::Recapd);
        if own { Fate::Untold } else { Fate::Thinned }
    }

    /// Tells whether a model told a turn in a section.
    fn is_told(&self, section: &Section, turn: u32) -> bool {
        let told = self.made.told(0, u32::MAX).iter();
        let mut about = told.filter(|told| (told.turns[0]..=told.turns[1]).contains(&turn));
        section.by.is_some() && about.any(|told| !told.text.is_empty() && section.text.contains(told.text.trim_end()))
    }
}

/// The recap that stands for a turn.
fn recap_of(epoch: &EpochRecord, turn: u32) -> Option<&Section> {
    let recaps = epoch.sections.iter().filter(|section| section.kind == PieceKind::Recap);
    recaps.into_iter().find(|section| (section.turns[0]..=section.turns[1]).contains(&turn))
}

/// The last line of a text that holds a value.
fn line_with<'a>(turn: &'a TurnDigest, original: OriginalHash, value: &str) -> Option<&'a Line> {
    let is_of = |line: &&Line| turn.sources.get(line.source as usize).is_some_and(|from| from.original == original);
    turn.lines.iter().rev().filter(is_of).find(|line| line.text.contains(value))
}

fn outweighed(turn: u32, line: u32, scales: &Scales) -> Fate {
    Fate::Outweighed { gain: scales.gain(turn, line), least_chosen: scales.least(turn) }
}
