//! Turns that stay as messages, with the results that a model shortened.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::admit::Admitted;
use super::epoch::EditedMessage;
use super::session::Session;

/// The first turn that stays as messages, `last` being the newest: as many as `most` tokens hold, and always the newest.
#[must_use]
pub fn first_kept(session: &Session, most: u32, last: usize, last_tokens: u32) -> usize {
    let mut tokens = last_tokens;
    let mut first = last;
    while first > 1 {
        tokens += kept_tokens(session, first - 1, first);
        if tokens > most {
            break;
        }
        first -= 1;
    }
    first.max(1)
}

/// Tokens of turns `first..last` as an epoch keeps them: results that a model shortened in their short form.
pub(super) fn kept_tokens(session: &Session, first: usize, last: usize) -> u32 {
    let whole = |turn: usize| session.turn_messages(turn).iter().map(|message| message.served_tokens).sum::<u32>();
    (first..last)
        .map(|turn| whole(turn).saturating_sub(condensed_edits(session, turn).iter().map(|(_, _, saved)| saved).sum()))
        .sum()
}

/// The messages of a turn with results that a model shortened, and the tokens that this saves.
pub(super) fn condensed_edits(session: &Session, turn: usize) -> Vec<(usize, EditedMessage, u32)> {
    let start = session.turns.get(turn).map_or(0, |turn| turn.messages.start);
    let messages = (start..).zip(session.turn_messages(turn));
    messages.filter_map(|(at, admitted)| condensed_edit(session, turn, at, admitted)).collect()
}

fn condensed_edit(
    session: &Session,
    turn: usize,
    at: usize,
    admitted: &Admitted,
) -> Option<(usize, EditedMessage, u32)> {
    if !session.settings.prepares.observations {
        return None;
    }
    let mut edited = EditedMessage { tokens: admitted.served_tokens, texts: BTreeMap::new(), by: None };
    for block in 0..admitted.message.blocks.len() {
        let Some(result) = session.result_in(turn, admitted, block) else { continue };
        let Some(shorter) = admitted.original(block).and_then(|original| session.made.condensed(original)) else {
            continue;
        };
        let served = admitted.reformatted_text(block).unwrap_or(result);
        if shorter.by.failed.is_some() {
            continue;
        }
        // it may have been made for another model's tokenizer
        let (before, after) = (session.settings.counter.count(served), session.settings.counter.count(&shorter.text));
        if after < before {
            edited.tokens = edited.tokens.saturating_sub(before - after);
            edited.texts.insert(block, Arc::clone(&shorter.text));
            edited.by = Some(shorter.by.clone());
        }
    }
    let saved = admitted.served_tokens - edited.tokens;
    (saved > 0 && !admitted.pinned).then_some((at, edited, saved))
}
