//! A draft: the lines of the covered turns that are worth their tokens.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::RecapSource;
use crate::compress::select::{Gains, Item, Weighing, gains, select};
use crate::compress::{Kind, UnitRole, Verdict};
use crate::context::digest::{TurnDigest, Verbatim};
use crate::context::epoch::Cut;
use crate::context::scales::{HEADLINE, Scales};
use crate::context::worth::FactWorths;

/// Tokens of a turn's heading beside its headline, and of its marker.
const TURN_TOKENS: u32 = 4;
const MARKER_TOKENS: u32 = 3;

/// Words that a line has to have for its values to be known by them.
const NAMING_WORDS: u32 = 2;

/// Worth of a line that the guideline keeps, and of one that it drops, beside any sum of facts.
const ALWAYS: f32 = 1e6;
const NEVER: f32 = -1e6;

/// What a recap may hold, weighed once for drafts of any length.
pub struct Choice<'a> {
    turns: &'a [TurnDigest],
    items: Vec<Item>,
    origins: Vec<Origin>,
    forced: Vec<usize>,
    whole: HashSet<(usize, u32)>,
    /// Those of `whole` that stand before anything else.
    promised: Vec<(usize, u32)>,
    worths: &'a FactWorths<'a>,
    weighing: Weighing,
}

/// Chosen lines by turn.
pub struct Draft<'a> {
    choice: &'a Choice<'a>,
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

impl<'a> Choice<'a> {
    /// Weighs the lines of turns.
    #[must_use]
    pub fn new(source: &RecapSource<'_>, turns: &'a [TurnDigest], worths: &'a FactWorths<'a>) -> Self {
        let weights = &source.weights;
        let mut choice = Self {
            turns,
            items: Vec::new(),
            origins: Vec::new(),
            forced: Vec::new(),
            whole: HashSet::new(),
            promised: Vec::new(),
            worths,
            weighing: Weighing { repeat: weights.again, density: weights.density },
        };
        let mut pinned_left = source.pinned_tokens;
        let mut promised_left = Some(source.promised_tokens);
        // newest first, so that a full share of pinned words leaves out the oldest
        for (at, turn) in turns.iter().enumerate().rev() {
            choice.push_turn(source, at, turn);
            let kept = fitting(turn, &mut pinned_left);
            choice.promise(at, turn, &kept, &mut promised_left);
            choice.keep_whole(at, turn, kept);
        }
        choice
    }

    /// Selects in at most `target` tokens.
    #[must_use]
    pub fn select(&'a self, target: u32) -> Draft<'a> {
        let picked = select(&self.items, self.worths.worths(), &self.forced, target, self.weighing);
        let mut chosen: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (origin, _) in self.origins.iter().zip(&picked.chosen).filter(|(_, picked)| **picked) {
            match *origin {
                Origin::Headline(at) => drop(chosen.entry(at).or_default()),
                Origin::Line(at, line) => chosen.entry(at).or_default().push(line),
            }
        }
        Draft { choice: self, chosen, worth: picked.worth }
    }

    /// Notes what each line would still add beside a selection in at most `target` tokens.
    pub fn note_gains(&self, target: u32, scales: &mut Scales) {
        let Gains { left_out, least_chosen } =
            gains(&self.items, self.worths.worths(), &self.forced, target, self.weighing);
        for (origin, gain) in self.origins.iter().zip(left_out) {
            let (at, number) = match *origin {
                Origin::Headline(at) => (at, HEADLINE),
                Origin::Line(at, line) => {
                    let found = self.turns.get(at).and_then(|turn| turn.lines.get(line));
                    (at, found.map_or(HEADLINE, |line| line.number))
                }
            };
            if let Some(turn) = self.turns.get(at) {
                scales.note(turn.turn, number, gain);
                scales.note_least(turn.turn, least_chosen);
            }
        }
    }

    /// Pushes a turn's headline and lines; a line without a parent hangs on the headline.
    fn push_turn(&mut self, source: &RecapSource<'_>, at: usize, turn: &TurnDigest) {
        let weights = &source.weights;
        let headline = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        self.items.push(Item {
            tokens: turn.headline.tokens + TURN_TOKENS + MARKER_TOKENS,
            worth: weights.headline,
            facts: self.worths.numbers(turn.turn, &turn.headline),
            parent: None,
            beside: None,
        });
        self.origins.push(Origin::Headline(at));
        for (number, line) in turn.lines.iter().enumerate() {
            let worth = match (source.rules.verdict(&line.text), line.role) {
                (Verdict::Drop, _) => NEVER,
                (Verdict::Keep, _) => ALWAYS,
                (_, UnitRole::Boilerplate) => 0.0,
                (_, UnitRole::Error | UnitRole::Summary) => weights.line + weights.error,
                _ => weights.line + weights.echo * echoes(&line.text, source.echo),
            } + source.rules.favour(&line.text)
                + weights.relevance * source.made.score(turn.turn, line.number);
            self.items.push(Item {
                tokens: line.tokens,
                worth,
                facts: self.worths.numbers(turn.turn, line),
                parent: Some(line.parent.map_or(headline, |parent| headline + 1 + parent)),
                beside: named_by(turn, number).map(|beside| headline + 1 + beside),
            });
            self.origins.push(Origin::Line(at, number));
        }
    }

    /// Promises words of a turn, the newest first, until one takes more than what is left for that.
    fn promise(&mut self, at: usize, turn: &TurnDigest, kept: &[(u32, &Verbatim)], left: &mut Option<u32>) {
        let mut opening = turn.headline.tokens + TURN_TOKENS + MARKER_TOKENS;
        for (source, verbatim) in kept {
            *left = left.and_then(|left| left.checked_sub(verbatim.tokens + std::mem::take(&mut opening)));
            if left.is_none() {
                return;
            }
            self.promised.push((at, *source));
        }
    }

    /// Keeps sources of the turn that was pushed last whole: their words are charged to the headline, their lines cost
    /// nothing.
    fn keep_whole(&mut self, at: usize, turn: &TurnDigest, kept: Vec<(u32, &Verbatim)>) {
        if kept.is_empty() {
            return;
        }
        let base = self.items.len() - turn.lines.len() - 1;
        if let Some(headline) = self.items.get_mut(base) {
            headline.tokens += kept.iter().map(|(_, verbatim)| verbatim.tokens).sum::<u32>();
        }
        self.forced.push(base);
        self.whole.extend(kept.into_iter().map(|(source, _)| (at, source)));
        for (number, line) in turn.lines.iter().enumerate() {
            if self.whole.contains(&(at, line.source))
                && let Some(item) = self.items.get_mut(base + 1 + number)
            {
                item.tokens = 0;
                self.forced.push(base + 1 + number);
            }
        }
    }
}

/// The sources of a turn whose words fit what is left for words that stand whole, the newest first.
fn fitting<'a>(turn: &'a TurnDigest, left: &mut u32) -> Vec<(u32, &'a Verbatim)> {
    let mut kept = Vec::new();
    for (number, source) in (0u32..).zip(&turn.sources).collect::<Vec<_>>().into_iter().rev() {
        let Some(verbatim) = &source.verbatim else { continue };
        let opening = if kept.is_empty() { turn.headline.tokens + TURN_TOKENS + MARKER_TOKENS } else { 0 };
        if let Some(rest) = left.checked_sub(verbatim.tokens + opening) {
            *left = rest;
            kept.push((number, verbatim));
        }
    }
    kept
}

impl<'a> Draft<'a> {
    /// Returns the turns that were selected from.
    #[must_use]
    pub fn turns(&self) -> &'a [TurnDigest] {
        self.choice.turns
    }

    /// Returns what the chosen lines are worth.
    #[must_use]
    pub fn worth(&self) -> f32 {
        self.worth
    }

    /// Returns a turn and its chosen lines; `None` if not even its headline is chosen.
    #[must_use]
    pub fn shown(&self, at: usize) -> Option<(&'a TurnDigest, &[usize])> {
        Some((self.turns().get(at)?, self.chosen.get(&at)?.as_slice()))
    }

    /// Returns a source's words if they stand whole.
    #[must_use]
    pub fn whole(&self, at: usize, source: u32) -> Option<&'a Verbatim> {
        let found = self.turns().get(at)?.sources.get(source as usize)?.verbatim.as_ref();
        found.filter(|_| self.choice.whole.contains(&(at, source)) && self.chosen.contains_key(&at))
    }

    /// Returns the words that stand whole.
    pub fn words(&self) -> impl Iterator<Item = &'a Arc<str>> {
        self.choice.whole.iter().filter_map(|&(at, source)| self.whole(at, source)).map(|verbatim| &verbatim.text)
    }

    /// Tells whether all words stand whole that have to stand before anything else.
    #[must_use]
    pub fn keeps_promise(&self) -> bool {
        self.choice.promised.iter().all(|&(at, source)| self.whole(at, source).is_some())
    }

    /// Returns the end of a run of turns from `start` whose chosen lines take about `size` tokens; a rest of less than
    /// half of that joins the run.
    #[must_use]
    pub fn end_of(&self, start: usize, size: u32) -> usize {
        let mut rest: u32 = (start..self.turns().len()).map(|at| self.tokens(at)).sum();
        let mut sum = 0;
        for at in start..self.turns().len() {
            let tokens = self.tokens(at);
            (sum, rest) = (sum + tokens, rest - tokens);
            if sum >= size && rest >= size / 2 {
                return at + 1;
            }
        }
        self.turns().len()
    }

    fn tokens(&self, at: usize) -> u32 {
        let Some((turn, lines)) = self.shown(at) else { return 0 };
        let lines = lines.iter().filter_map(|&line| turn.lines.get(line));
        turn.headline.tokens + TURN_TOKENS + lines.map(|line| line.tokens).sum::<u32>()
    }

    /// Returns what is left out of a turn, and the original that holds most of it.
    #[must_use]
    pub fn cut(&self, at: usize) -> Option<Cut> {
        let turn = self.turns().get(at)?;
        let mut left: Vec<u32> = (0u32..)
            .zip(&turn.sources)
            .map(|(number, source)| if self.whole(at, number).is_some() { 0 } else { source.tokens })
            .collect();
        for line in self.chosen.get(&at).into_iter().flatten().filter_map(|&line| turn.lines.get(line)) {
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

/// The line beside a line that holds values and fewer than [`NAMING_WORDS`] words to name them: the one before, or the one
/// after where that one has no words either. Keys and table headers name values themselves: there it is none.
fn named_by(turn: &TurnDigest, number: usize) -> Option<u32> {
    let line = turn.lines.get(number)?;
    let kind = turn.sources.get(line.source as usize).map(|source| source.kind);
    let is_keyed = matches!(kind, Some(Kind::Json | Kind::Jsonl | Kind::Records | Kind::Table));
    if is_keyed || line.facts.is_empty() || line.words >= NAMING_WORDS {
        return None;
    }
    let names = |at: &usize| turn.lines.get(*at).is_some_and(|near| near.source == line.source && near.words > 0);
    let beside = number.checked_sub(1).filter(names).or_else(|| number.checked_add(1).filter(names))?;
    u32::try_from(beside).ok()
}

/// How many words of the newest turns a line shares, at most 4.
fn echoes(text: &str, echo: &HashSet<String>) -> f32 {
    if echo.is_empty() {
        return 0.0;
    }
    let shared = raw_words(text).filter(|word| echo.contains(lower(word).as_ref())).take(4).count();
    f32::from(u8::try_from(shared).unwrap_or(4))
}

/// Returns the lower-case words of a text that have at least four letters.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    raw_words(text).map(|word| lower(word).into_owned())
}

fn raw_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.len() >= 4)
}

/// A word in lower case; copied only where it is not.
fn lower(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(word)
    } else {
        Cow::Owned(word.to_lowercase())
    }
}
