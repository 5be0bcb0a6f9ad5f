//! The epoch planner: which turns stay as messages, what the block says of the others, where it lands.

use std::collections::{BTreeMap, HashSet};

use super::admit::Admitted;
use super::epoch::{EditedMessage, EpochRecord, Section};
use super::fit::{FitTerms, Fitted, fit_turn, skeleton_tokens};
use super::recap::{RecapSource, words, write_recap};
use super::request::{ContextError, ContextRequest};
use super::serve::Layout;
use super::session::{Session, facts_of};
use crate::tokens::REPLY_TOKENS;
use crate::trajectory::{Block, FactKey};

/// Why an epoch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The line's first read.
    Start,
    /// The room is full.
    Room,
    /// Somebody asked.
    Asked,
    /// An older epoch was restored.
    Restored,
}

impl Cause {
    /// Returns the name shown in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Room => "room",
            Self::Asked => "asked",
            Self::Restored => "restored",
        }
    }
}

/// Share of the room that turns before the last may keep as messages.
const TAIL_SHARE: f64 = 0.15;
/// Share of the room that a block may take at least, beside a large last turn.
const LEAST_BLOCK_SHARE: f64 = 0.25;
/// Tokens below which a block says nothing worth saying.
const LEAST_BLOCK: u32 = 96;

/// Plans one epoch.
pub struct Planner<'a> {
    session: &'a Session,
    request: &'a ContextRequest,
    last: usize,
}

impl<'a> Planner<'a> {
    /// Prepares a plan for a line of reads as the trajectory stands.
    #[must_use]
    pub fn new(session: &'a Session, request: &'a ContextRequest) -> Self {
        let (last, _) = session.last_servable();
        Self {
            session,
            request,
            last,
        }
    }

    /// Plans epoch `n`.
    ///
    /// # Errors
    /// [`ContextError::BudgetTooSmall`] if the pinned part and the last turn's skeleton do not fit.
    pub fn plan(&self, n: u32, cause: Cause) -> Result<(EpochRecord, Layout), ContextError> {
        let pinned = self.pinned_tokens();
        let room = self.request.limit().saturating_sub(pinned);
        let mut epoch = EpochRecord {
            line: self.request.line_key(),
            n,
            covered: 0,
            began_at: index(self.last),
            room,
            sections: Vec::new(),
            edits: BTreeMap::new(),
            maker: self.session.settings.maker.clone(),
            cause: cause.name().to_owned(),
        };
        if self.request.limit() >= pinned && cause == Cause::Start {
            if let Some(layout) = Layout::within(self.session, &epoch, self.request) {
                return Ok((epoch, layout));
            }
        }
        let fitted = self.fit_last(room)?;
        let first = self.first_kept(room, fitted.tokens);
        let tail = fitted.tokens + self.tokens_of(first, self.last);
        epoch.covered = index(first.saturating_sub(1));
        epoch.edits = self.edits_by_message(fitted);
        epoch
            .sections
            .extend(self.recap(epoch.covered, room, tail, first));
        match Layout::within(self.session, &epoch, self.request) {
            Some(layout) => Ok((epoch, layout)),
            None => Err(self.too_small()),
        }
    }

    fn pinned_tokens(&self) -> u32 {
        self.tokens_of(0, 1).min(self.head_tokens())
            + self.session.settings.tools_tokens
            + REPLY_TOKENS
    }

    fn head_tokens(&self) -> u32 {
        self.session
            .turn_messages(0)
            .iter()
            .map(|message| message.served_tokens)
            .sum()
    }

    /// Tokens of turns `first..last` as served.
    fn tokens_of(&self, first: usize, last: usize) -> u32 {
        (first..last)
            .flat_map(|turn| self.session.turn_messages(turn))
            .map(|message| message.served_tokens)
            .sum()
    }

    /// The last turn, shortened if it alone would leave nothing for the block.
    fn fit_last(&self, room: u32) -> Result<Fitted, ContextError> {
        if self.last == 0 {
            return Ok(Fitted {
                edits: BTreeMap::new(),
                tokens: 0,
            });
        }
        let turn = self.session.turn_messages(self.last);
        let block = if self.last > 1 {
            LEAST_BLOCK.max(share(room, LEAST_BLOCK_SHARE) / 2)
        } else {
            0
        };
        let query = self.query();
        let query: Vec<&str> = query.iter().map(String::as_str).collect();
        let terms = FitTerms {
            counter: &*self.session.settings.counter,
            rules: &self.session.settings.rules,
            query: &query,
        };
        let fitted = fit_turn(turn, room.saturating_sub(block), &terms);
        if fitted.tokens > room {
            Err(self.too_small())
        } else {
            Ok(fitted)
        }
    }

    fn too_small(&self) -> ContextError {
        let skeleton = if self.last == 0 {
            0
        } else {
            skeleton_tokens(
                self.session.turn_messages(self.last),
                &*self.session.settings.counter,
            )
        };
        ContextError::BudgetTooSmall {
            budget: self.request.budget,
            minimum_budget: self.pinned_tokens() + skeleton + self.request.reserve,
        }
    }

    /// The first turn that stays as messages.
    fn first_kept(&self, room: u32, last_tokens: u32) -> usize {
        let most = share(room, TAIL_SHARE);
        let mut tokens = last_tokens;
        let mut first = self.last;
        while first > 1 {
            tokens += self.tokens_of(first - 1, first);
            if tokens > most {
                break;
            }
            first -= 1;
        }
        first.max(1)
    }

    /// Writes the block so that the whole lands at the low mark.
    fn recap(&self, covered: u32, room: u32, tail: u32, first: usize) -> Option<Section> {
        let low = share(room, self.session.settings.marks.low);
        let target = low
            .saturating_sub(tail)
            .max(share(room, LEAST_BLOCK_SHARE))
            .min(room.saturating_sub(tail));
        let settings = &self.session.settings;
        let tail_facts: HashSet<FactKey> = (first..=self.last)
            .flat_map(|turn| facts_of(self.session.turn_messages(turn)))
            .collect();
        let echo: HashSet<String> = self.query().iter().flat_map(|text| words(text)).collect();
        let source = RecapSource {
            digest: &self.session.digest,
            covered,
            now: index(self.last),
            pinned: &self.session.head_facts,
            tail: &tail_facts,
            echo: &echo,
            weights: settings.weights,
            pinned_tokens: share(room, settings.pinned_share).min(target),
            handles: settings.handles,
        };
        write_recap(&source, target, &*settings.counter)
    }

    /// What the agent is about to do: the query, or the words of the last turn.
    fn query(&self) -> Vec<String> {
        if let Some(query) = &self.request.query {
            return vec![query.clone()];
        }
        self.session
            .turn_messages(self.last)
            .iter()
            .flat_map(said_texts)
            .collect()
    }

    fn edits_by_message(&self, fitted: Fitted) -> BTreeMap<usize, EditedMessage> {
        let start = self
            .session
            .turns
            .get(self.last)
            .map_or(0, |turn| turn.messages.start);
        fitted
            .edits
            .into_iter()
            .map(|(message, edits)| (start + message, edits))
            .collect()
    }
}

/// The words and call arguments of a message, bounded.
fn said_texts(admitted: &Admitted) -> Vec<String> {
    const MOST_CHARS: usize = 2_000;
    admitted
        .message
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) => Some(text.as_ref()),
            Block::Call(call) => Some(call.arguments.as_ref()),
            _ => None,
        })
        .map(|text| text.chars().take(MOST_CHARS).collect())
        .collect()
}

/// A share of the room, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a u32 between 0 and 1"
)]
fn share(room: u32, share: f64) -> u32 {
    (f64::from(room) * share.clamp(0.0, 1.0)) as u32
}

fn index(turn: usize) -> u32 {
    u32::try_from(turn).unwrap_or(u32::MAX)
}
