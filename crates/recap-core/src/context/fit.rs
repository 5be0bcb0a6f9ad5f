//! Makes one turn fit a number of tokens: its observations are elided first; if that is not enough, every text
//! and every string argument is cut to the skeleton.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::admit::Admitted;
use super::epoch::EditedMessage;
use crate::compress::{Elide, RulesMatcher, cut_head_tail, elide};
use crate::tokens::TokenCounter;
use crate::trajectory::{Block, OriginalHash, Role};

/// A text longer than this is cut to head and tail in a skeleton (API.md, *The context*), in tokens.
pub const SKELETON_TOKENS: u32 = 150;

/// Shortened messages by their place in the turn.
pub type TurnEdits = BTreeMap<usize, EditedMessage>;

/// A turn that was made to fit.
pub struct Fitted {
    /// What stands instead of the turn's own texts.
    pub edits: TurnEdits,
    /// Tokens of the turn with them.
    pub tokens: u32,
}

/// What fitting needs to know beside the turn.
pub struct FitTerms<'a> {
    /// Counts tokens.
    pub counter: &'a dyn TokenCounter,
    /// The guideline's rules.
    pub rules: &'a RulesMatcher,
    /// Words of the task and of recent actions.
    pub query: &'a [&'a str],
}

/// A text of the turn that may be shortened.
struct Part<'a> {
    message: usize,
    block: usize,
    text: &'a Arc<str>,
    original: &'a str,
    tokens: u32,
    kind: PartKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PartKind {
    Observation,
    Words,
    Arguments,
}

/// Returns the turn shortened to at most `cap` tokens, or its skeleton if that is all that can be done; then
/// `tokens` is more than `cap`.
#[must_use]
pub fn fit_turn(turn: &[Admitted], cap: u32, terms: &FitTerms<'_>) -> Fitted {
    let parts = parts_of(turn, terms.counter);
    let mut fitted = Fitted { edits: TurnEdits::new(), tokens: turn.iter().map(|message| message.served_tokens).sum() };
    if fitted.tokens <= cap {
        return fitted;
    }
    let observations: Vec<&Part<'_>> = parts.iter().filter(|part| part.kind == PartKind::Observation).collect();
    let fixed = fitted.tokens.saturating_sub(observations.iter().map(|part| part.tokens).sum());
    let level = water_level(&observations, cap.saturating_sub(fixed));
    for part in &observations {
        if part.tokens > level {
            elide_part(turn, part, level.max(SKELETON_TOKENS), terms, &mut fitted);
        }
    }
    if fitted.tokens > cap {
        return cut_parts(turn, &parts, terms.counter);
    }
    fitted
}

/// Returns the turn with every long text cut to head and tail.
#[must_use]
pub fn skeleton(turn: &[Admitted], counter: &dyn TokenCounter) -> Fitted {
    cut_parts(turn, &parts_of(turn, counter), counter)
}

fn cut_parts(turn: &[Admitted], parts: &[Part<'_>], counter: &dyn TokenCounter) -> Fitted {
    let mut fitted = Fitted { edits: TurnEdits::new(), tokens: turn.iter().map(|message| message.served_tokens).sum() };
    for part in parts.iter().filter(|part| part.tokens > SKELETON_TOKENS) {
        let text = match part.kind {
            PartKind::Arguments => cut_arguments(part.text, counter),
            PartKind::Observation | PartKind::Words => cut_head_tail(part.text, SKELETON_TOKENS, counter),
        };
        replace(turn, part, text, counter, &mut fitted);
    }
    fitted
}

/// The greatest level at which texts cut to it add up to at most `room`.
fn water_level(parts: &[&Part<'_>], room: u32) -> u32 {
    let mut sizes: Vec<u32> = parts.iter().map(|part| part.tokens).collect();
    sizes.sort_unstable();
    let mut left = room;
    let mut count = u32::try_from(sizes.len()).unwrap_or(u32::MAX);
    for size in sizes {
        let share = left / count.max(1);
        if size > share {
            return share;
        }
        left -= size;
        count -= 1;
    }
    u32::MAX
}

fn elide_part(turn: &[Admitted], part: &Part<'_>, budget_tokens: u32, terms: &FitTerms<'_>, fitted: &mut Fitted) {
    let elided = elide(&Elide {
        text: part.text,
        original: OriginalHash::of(part.original),
        budget_tokens,
        counter: terms.counter,
        query: terms.query,
        rules: terms.rules,
        scores: &[],
    });
    if let Some(elided) = elided {
        replace(turn, part, elided.text, terms.counter, fitted);
    }
}

fn replace(turn: &[Admitted], part: &Part<'_>, text: String, counter: &dyn TokenCounter, fitted: &mut Fitted) {
    let tokens = counter.count(&text);
    if tokens >= part.tokens {
        return;
    }
    let saved = part.tokens - tokens;
    fitted.tokens = fitted.tokens.saturating_sub(saved);
    let whole = turn.get(part.message).map_or(0, |message| message.served_tokens);
    let edited = fitted.edits.entry(part.message).or_insert_with(|| EditedMessage {
        tokens: whole,
        texts: BTreeMap::new(),
        by: None,
    });
    edited.tokens = edited.tokens.saturating_sub(saved);
    edited.texts.insert(part.block, text.into());
}

fn parts_of<'a>(turn: &'a [Admitted], counter: &dyn TokenCounter) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for (message, admitted) in turn.iter().enumerate() {
        let words = if admitted.message.role == Role::Assistant { PartKind::Words } else { PartKind::Observation };
        for (block, content) in admitted.message.blocks.iter().enumerate() {
            let (original, kind) = match content {
                Block::Text(text) => (text, words),
                Block::Call(call) => (&call.arguments, PartKind::Arguments),
                Block::Observation(observation) => (&observation.text, PartKind::Observation),
                Block::Image(_) | Block::Thinking(_) | Block::Other(_) => continue,
            };
            let text = admitted.reformatted_text(block).unwrap_or(original);
            let tokens = counter.count(text);
            if tokens > 0 {
                parts.push(Part { message, block, text, original, tokens, kind });
            }
        }
    }
    parts
}

/// Cuts the long strings of an arguments object; what is no JSON was none before and is cut as text.
fn cut_arguments(arguments: &str, counter: &dyn TokenCounter) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(mut value) => {
            cut_strings(&mut value, counter);
            value.to_string()
        }
        Err(_) => cut_head_tail(arguments, SKELETON_TOKENS, counter),
    }
}

fn cut_strings(value: &mut Value, counter: &dyn TokenCounter) {
    match value {
        Value::String(text) if counter.count(text) > SKELETON_TOKENS => {
            *text = cut_head_tail(text, SKELETON_TOKENS, counter);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut_strings(item, counter)),
        Value::Object(members) => members.values_mut().for_each(|member| cut_strings(member, counter)),
        _ => {}
    }
}
