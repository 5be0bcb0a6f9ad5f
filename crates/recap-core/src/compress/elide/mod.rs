//! The lossy compressor without a model: the units worth most per token, in source order, and where the rest is.

mod cut;
mod fate;
mod pick;
mod render;
mod worth;

use super::rules::RulesMatcher;
use super::units::{Units, fine_units, units};
use crate::tokens::TokenCounter;
use crate::trajectory::OriginalHash;
pub use cut::cut_head_tail;
pub use fate::{Ruled, bare_heading};
use pick::{Pick, order};
use render::{Plan, closing_line, render};
use worth::{Worths, worths};

/// The most renderings that are counted to find the selection that fits.
const RENDERINGS: u32 = 7;

/// What is to be shortened, and under what terms.
pub struct Elide<'a> {
    /// The source.
    pub text: &'a str,
    /// The address under which the source is stored.
    pub original: OriginalHash,
    /// The most tokens of the result.
    pub budget_tokens: u32,
    /// Counts tokens.
    pub counter: &'a dyn TokenCounter,
    /// The words of the task and of recent actions.
    pub query: &'a [&'a str],
    /// The guideline's rules.
    pub rules: &'a RulesMatcher,
    /// How well each of the text's [`units`] answers the query, from 0 to 1, where a model said so; else empty.
    pub scores: &'a [f32],
}

/// A shortened text. It has lost something, so it always names its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elided {
    /// Units of the source verbatim and in order, markers between them, the handle in the last line.
    pub text: String,
    /// The tokens of `text`.
    pub tokens: u32,
    /// The address of the whole source.
    pub handle: OriginalHash,
    /// How many units are shown.
    pub units_kept: u32,
    /// How many are not.
    pub units_dropped: u32,
}

/// Shortens a text to a budget; `None` if it fits already, or if the result is not smaller than the source (law 4).
///
/// The result counts at most `budget_tokens`. Below some 24 tokens there is no room for the handle's line, and
/// only the handle in [`Elided::handle`] tells of the source. Deterministic; `n log n` in the text's length.
#[must_use]
pub fn elide(request: &Elide<'_>) -> Option<Elided> {
    let source_tokens = request.counter.count(request.text);
    let cap = request.rules.caps().observation_tokens.map_or(u32::MAX, std::num::NonZeroU32::get);
    let budget = request.budget_tokens.min(cap);
    if source_tokens <= budget {
        return None;
    }
    let elided = selected(request, budget, source_tokens).unwrap_or_else(|| cut_through(request, budget));
    (elided.tokens < source_tokens).then_some(elided)
}

/// Returns the units of a text that rules and worth select from.
fn selected_from(text: &str, rules: &RulesMatcher) -> Units {
    if rules.has_keys() { fine_units(text) } else { units(text) }
}

/// Returns what of the rules keeps the words at a byte of a text from being shown in a shortened form; `None` where their
/// worth decides. Takes time linear in the text's length.
#[must_use]
pub fn ruled_out(text: &str, rules: &RulesMatcher, at: usize) -> Option<Ruled> {
    fate::ruled_out(text, &selected_from(text, rules), rules, at)
}

/// Returns the best selection whose rendering fits; `None` if not even one unit does.
fn selected(request: &Elide<'_>, budget: u32, source_tokens: u32) -> Option<Elided> {
    let cut = if request.scores.is_empty() { selected_from(request.text, request.rules) } else { units(request.text) };
    let density = f64::from(source_tokens) / f64::from(u32::try_from(request.text.len()).unwrap_or(u32::MAX)).max(1.0);
    let worths: Worths = worths(request, &cut, density);
    let room = budget.saturating_sub(request.counter.count(&closing_line(request.original)));
    let picks = order(&cut, &worths, room.saturating_mul(2));
    let plan = Plan { text: request.text, cut: &cut, worths: &worths, original: request.original };
    let mut search = Search { low: 0, high: picks.len() + 1, target: f64::from(room) };
    let mut best: Option<Elided> = None;
    for _ in 0..RENDERINGS {
        let Some(take) = search.next(&picks) else {
            break;
        };
        let rendered = render(&plan, picks.get(..take).unwrap_or_default());
        let tokens = request.counter.count(&rendered.text);
        search.learn(take, tokens, budget);
        if tokens <= budget && best.as_ref().is_none_or(|known| known.tokens < tokens) {
            best = Some(Elided {
                text: rendered.text,
                tokens,
                handle: request.original,
                units_kept: rendered.kept,
                units_dropped: rendered.dropped,
            });
        }
    }
    best
}

/// The search for the longest row of picks that fits.
struct Search {
    /// This many fit.
    low: usize,
    /// This many do not.
    high: usize,
    /// The estimated tokens to take next.
    target: f64,
}

impl Search {
    /// Returns how many picks to try next, strictly between the known bounds.
    fn next(&self, picks: &[Pick]) -> Option<usize> {
        if self.high - self.low <= 1 {
            return None;
        }
        let take = picks.partition_point(|pick| pick.spent <= self.target);
        Some(take.clamp(self.low + 1, self.high - 1))
    }

    /// Narrows the bounds after a count and corrects the estimate by what was found.
    fn learn(&mut self, take: usize, tokens: u32, budget: u32) {
        if tokens <= budget {
            self.low = take;
        } else {
            self.high = take;
        }
        self.target *= f64::from(budget) / f64::from(tokens.max(1)) * 0.99;
    }
}

/// Cuts the middle out, whatever it is; always fits.
fn cut_through(request: &Elide<'_>, budget: u32) -> Elided {
    let closing = closing_line(request.original);
    let mut room = budget.saturating_sub(request.counter.count(&closing) + 1);
    for _ in 0..3 {
        let text = format!("{}\n{closing}", cut_head_tail(request.text, room, request.counter));
        let tokens = request.counter.count(&text);
        if tokens <= budget && room > 0 {
            return through(request, text, tokens);
        }
        room = room.saturating_sub(tokens.saturating_sub(budget).max(1));
    }
    let text = cut_head_tail(request.text, budget, request.counter);
    let tokens = request.counter.count(&text);
    through(request, text, tokens)
}

fn through(request: &Elide<'_>, text: String, tokens: u32) -> Elided {
    Elided { text, tokens, handle: request.original, units_kept: 0, units_dropped: 1 }
}

#[cfg(test)]
mod tests;
