//! A draft: the lines of the covered turns that are worth their tokens.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::RecapSource;
use crate::compress::UnitRole;
use crate::compress::select::{Item, Weighing, select};
use crate::context::digest::TurnDigest;
use crate::context::epoch::Cut;
use crate::context::worth::FactWorths;

/// Tokens of a turn's heading beside its headline, and of its marker.
const TURN_TOKENS: u32 = 4;
const MARKER_TOKENS: u32 = 3;

/// Chosen lines by turn.
pub struct Draft<'a> {
    turns: &'a [TurnDigest],
    /// By index of the turn: the chosen lines of those whose headline is shown.
    chosen: BTreeMap<usize, Vec<usize>>,
    worth: f32,
}

/// Where an item comes from: a turn's headline, or one of its lines.
#[derive(Clone, Copy)]
enum Origin {
    Headline(usize),
    Line(usize, usize),
}

impl<'a> Draft<'a> {
    /// Selects from turns in at most `target` tokens.
    #[must_use]
    pub fn select(source: &RecapSource<'_>, turns: &'a [TurnDigest], worths: &FactWorths<'_>, target: u32) -> Self {
        let weights = &source.weights;
        let mut items = Vec::new();
        let mut origins = Vec::new();
        let mut forced = Vec::new();
        let mut pinned_left = source.pinned_tokens;
        // newest first, so that a full share of pinned words leaves out the oldest
        for (at, turn) in turns.iter().enumerate().rev() {
            let base = items.len();
            push_turn(source, turn, worths, &mut items);
            origins.push(Origin::Headline(at));
            origins.extend((0..turn.lines.len()).map(|line| Origin::Line(at, line)));
            let tokens: u32 = items.get(base..).unwrap_or_default().iter().map(|item| item.tokens).sum();
            if turn.pinned && tokens <= pinned_left {
                pinned_left -= tokens;
                forced.extend(base..items.len());
            }
        }
        let weighing = Weighing { repeat: weights.again, density: weights.density };
        let picked = select(&items, worths.worths(), &forced, target, weighing);
        let mut chosen: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (origin, _) in origins.iter().zip(&picked.chosen).filter(|(_, picked)| **picked) {
            match *origin {
                Origin::Headline(at) => drop(chosen.entry(at).or_default()),
                Origin::Line(at, line) => chosen.entry(at).or_default().push(line),
            }
        }
        Self { turns, chosen, worth: picked.worth }
    }

    /// Returns the turns that were selected from.
    #[must_use]
    pub fn turns(&self) -> &'a [TurnDigest] {
        self.turns
    }

    /// Returns what the chosen lines are worth.
    #[must_use]
    pub fn worth(&self) -> f32 {
        self.worth
    }

    /// Returns a turn and its chosen lines; `None` if not even its headline is chosen.
    #[must_use]
    pub fn shown(&self, at: usize) -> Option<(&'a TurnDigest, &[usize])> {
        Some((self.turns.get(at)?, self.chosen.get(&at)?.as_slice()))
    }

    /// Returns the end of a run of turns from `start` whose chosen lines take about `size` tokens; a rest of less than
    /// half of that joins the run.
    #[must_use]
    pub fn end_of(&self, start: usize, size: u32) -> usize {
        let tokens = |range: Range<usize>| range.map(|at| self.tokens(at)).sum::<u32>();
        let mut sum = 0;
        for at in start..self.turns.len() {
            sum += self.tokens(at);
            if sum >= size && tokens(at + 1..self.turns.len()) >= size / 2 {
                return at + 1;
            }
        }
        self.turns.len()
    }

    fn tokens(&self, at: usize) -> u32 {
        let Some((turn, lines)) = self.shown(at) else { return 0 };
        let lines = lines.iter().filter_map(|&line| turn.lines.get(line));
        turn.headline.tokens + TURN_TOKENS + lines.map(|line| line.tokens).sum::<u32>()
    }

    /// Returns what is left out of a turn, and the original that holds most of it.
    #[must_use]
    pub fn cut(&self, at: usize) -> Option<Cut> {
        let turn = self.turns.get(at)?;
        let kept = self.chosen.get(&at);
        let mut left: Vec<u32> = turn.sources.iter().map(|source| source.tokens).collect();
        for line in kept.into_iter().flatten().filter_map(|&line| turn.lines.get(line)) {
            if let Some(tokens) = left.get_mut(line.source as usize) {
                *tokens = tokens.saturating_sub(line.tokens);
            }
        }
        let tokens = left.iter().sum();
        let most = left.iter().enumerate().max_by_key(|(_, tokens)| **tokens).map(|(source, _)| source);
        let expand = most.and_then(|source| turn.sources.get(source)).map(|source| source.original);
        (tokens > 0).then_some(Cut { turn: turn.turn, tokens, expand })
    }
}

/// Pushes a turn's headline and lines; a line without a parent hangs on the headline.
fn push_turn(source: &RecapSource<'_>, turn: &TurnDigest, worths: &FactWorths<'_>, items: &mut Vec<Item>) {
    let weights = &source.weights;
    let headline = u32::try_from(items.len()).unwrap_or(u32::MAX);
    items.push(Item {
        tokens: turn.headline.tokens + TURN_TOKENS + MARKER_TOKENS,
        worth: weights.headline,
        facts: worths.numbers(turn.turn, u32::MAX, &turn.headline.facts),
        parent: None,
    });
    for (at, line) in (0u32..).zip(&turn.lines) {
        let worth = match line.role {
            UnitRole::Boilerplate => 0.0,
            UnitRole::Error | UnitRole::Summary => weights.line + weights.error,
            _ => weights.line + weights.echo * echoes(&line.text, source.echo),
        };
        items.push(Item {
            tokens: line.tokens,
            worth,
            facts: worths.numbers(turn.turn, at, &line.facts),
            parent: Some(line.parent.map_or(headline, |parent| headline + 1 + parent)),
        });
    }
}

/// How many words of the newest turns a line shares, at most 4.
fn echoes(text: &str, echo: &HashSet<String>) -> f32 {
    if echo.is_empty() {
        return 0.0;
    }
    let shared = words(text).filter(|word| echo.contains(word)).take(4).count();
    f32::from(u8::try_from(shared).unwrap_or(4))
}

/// Returns the lower-case words of a text that have at least four letters.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.len() >= 4).map(str::to_lowercase)
}
