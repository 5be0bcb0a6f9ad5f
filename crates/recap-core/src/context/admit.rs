//! Admission: what is decided about a message once, before it is served for the first time.

use std::sync::Arc;

use crate::compress::reformat;
use crate::tokens::TokenCounter;
use crate::trajectory::{Block, Edits, Message, OriginalHash, count_message};

/// A message with its counts and the lossless form of its observations.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The message as sent.
    pub message: Message,
    /// Tokens of the message as sent, framing included.
    pub tokens: u32,
    /// Tokens of the message as served: at most `tokens`.
    pub served_tokens: u32,
    /// Lossless forms of observations, only where they are smaller.
    pub reformatted: Option<Edits>,
    /// Pictures whose tokens are not known.
    pub unknown_images: u32,
    /// Whether somebody pinned it.
    pub pinned: bool,
    /// The addresses of the message's originals, in order.
    pub originals: Arc<[OriginalHash]>,
}

impl Admitted {
    /// Returns the lossless form of a block, if it has one.
    #[must_use]
    pub fn reformatted_text(&self, block: usize) -> Option<&Arc<str>> {
        self.reformatted.as_ref()?.texts.get(&block)
    }

    /// Returns the address of a block's original, if it has one.
    #[must_use]
    pub fn original(&self, block: usize) -> Option<OriginalHash> {
        let own = self.message.blocks.get(block)?.original().is_some();
        let before = self.message.blocks.iter().take(block).filter_map(Block::original).count();
        self.originals.get(before).copied().filter(|_| own)
    }
}

/// Whether observations are rewritten losslessly on admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reformatting {
    /// Observations are served in their smallest lossless form.
    On,
    /// Observations are served as sent.
    Off,
}

/// Returns the addresses of a message's originals, in order.
#[must_use]
pub fn addresses(message: &Message) -> Arc<[OriginalHash]> {
    message.originals().map(|text| OriginalHash::of(text)).collect()
}

/// Counts a message and reformats its observations where that saves tokens (law 4).
#[must_use]
pub fn admit(message: Message, counter: &dyn TokenCounter, reformatting: Reformatting) -> Admitted {
    let sum = count_message(&message, counter);
    let mut admitted = Admitted {
        originals: addresses(&message),
        message,
        tokens: sum.tokens,
        served_tokens: sum.tokens,
        reformatted: None,
        unknown_images: sum.unknown_images,
        pinned: false,
    };
    if reformatting == Reformatting::On {
        reformat_observations(&mut admitted, counter);
    }
    admitted
}

fn reformat_observations(admitted: &mut Admitted, counter: &dyn TokenCounter) {
    for (at, block) in admitted.message.blocks.iter().enumerate() {
        let Block::Observation(observation) = block else {
            continue;
        };
        let Some(smaller) = reformat::reformat(&observation.text) else {
            continue;
        };
        let (before, after) = (counter.count(&observation.text), counter.count(&smaller.text));
        if after < before {
            admitted.served_tokens = admitted.served_tokens.saturating_sub(before - after);
            admitted.reformatted.get_or_insert_default().texts.insert(at, smaller.text.into());
        }
    }
}
