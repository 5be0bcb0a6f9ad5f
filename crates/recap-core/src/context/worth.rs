//! What a value is worth to a recap: how likely a later action is to need it.

use std::collections::HashSet;

use rustc_hash::FxHashMap;

use super::digest::{Digest, Line, LineFact, Sightings, TurnDigest};
use super::familiar::profile;
use super::features::Outlook;
use super::head::{ActiveHead, make_relative};
use super::made::Maker;
use super::recap::RecapSource;
use crate::trajectory::{FactKey, FactKind};

/// Weights of the selection. The defaults follow how often values of recorded runs were used again
/// (`docs/measures.md`): the model is log-linear, so every weight but the shares is a power or a factor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// Power of a value's age in turns, for values that the agent never wrote.
    pub age: f32,
    /// Power of the number of turns that hold it.
    pub turns: f32,
    /// Power of the number of values that stand with it in its source: one of many is seldom the one.
    pub crowd: f32,
    /// Factor for values that the agent wrote.
    pub said: f32,
    /// Power of the number of turns in which the agent wrote it.
    pub said_turns: f32,
    /// Power of the turns since the agent wrote it last.
    pub said_age: f32,
    /// Factor for paths that the agent never wrote.
    pub path: f32,
    /// Factor for numbers.
    pub number: f32,
    /// Factor for numbers that open a line.
    pub opening: f32,
    /// Factor for ids.
    pub id: f32,
    /// Share of a value's worth that any line with it brings; the rest is for the newest line with it, whose
    /// words say what it means now.
    pub presence: f32,
    /// Factor for a value that stands verbatim in a turn that stays.
    pub in_tail: f32,
    /// Share of a value's worth that a second line with it still brings.
    pub again: f32,
    /// Power of the tokens that a gain is divided by.
    pub density: f32,
    /// Worth of an error or summary line beside its facts.
    pub error: f32,
    /// Worth of any line for each word that it shares with the newest turns.
    pub echo: f32,
    /// Worth of a line without facts.
    pub line: f32,
    /// Worth of a turn's headline.
    pub headline: f32,
    /// Share of a block for the table of values that its recap lost.
    pub facts_share: f32,
    /// Share of a block for lines that match what the agent is doing.
    pub recalled_share: f32,
    /// Worth of a line that a model finds to answer the query, for its score from 0 to 1.
    pub relevance: f32,
    /// Power of a trained head's word on a value against that of the formula above: 0 for the formula alone, 1 for the head
    /// alone.
    pub head_share: f32,
    /// Factor for all values that a head was asked about: its word weighs more than the formula's.
    pub head_scale: f32,
    /// Power of the head's probability.
    pub head_power: f32,
    /// Factor for values that the agent has not written yet, where a head speaks.
    pub head_fresh: f32,
    /// Share of a block for recaps that a model wrote.
    pub told_share: f32,
    /// Share of a block's worth that may be lost to keep all of the last block, so that the provider need not read it
    /// again.
    pub stay: f32,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            age: -0.33,
            turns: 0.17,
            crowd: -0.19,
            said: 0.34,
            said_turns: 0.6,
            said_age: -0.65,
            path: 0.43,
            number: 0.7,
            opening: 0.23,
            id: 1.75,
            presence: 0.31,
            in_tail: 0.14,
            again: 0.1,
            density: 0.84,
            error: 0.22,
            echo: 0.012,
            line: 0.008,
            headline: 0.1,
            facts_share: 0.06,
            recalled_share: 0.03,
            relevance: 0.1,
            head_share: 0.6,
            head_scale: 5.0,
            head_power: 0.8,
            head_fresh: 4.0,
            told_share: 0.4,
            stay: 0.17,
        }
    }
}

/// Values that sections which stay already hold.
pub struct Held {
    /// The values.
    pub facts: HashSet<FactKey>,
    /// The last turn that these sections stand for.
    pub until: u32,
}

/// The values of the covered turns, numbered, with their worths.
pub struct FactWorths<'a> {
    digest: &'a Digest,
    numbers: FxHashMap<FactKey, u32>,
    worths: Vec<f32>,
    held_worth: f32,
}

impl<'a> FactWorths<'a> {
    /// Weighs every value of the covered turns.
    #[must_use]
    pub fn new(source: &RecapSource<'a>, covered: &[TurnDigest], held: &Held) -> Self {
        let mut found =
            Self { digest: source.digest, numbers: FxHashMap::default(), worths: Vec::new(), held_worth: 0.0 };
        let lines = covered.iter().flat_map(|turn| turn.lines.iter().chain([&turn.headline]));
        for fact in lines.flat_map(|line| &line.facts) {
            if !found.numbers.contains_key(&fact.key) && !source.pinned.contains(&fact.key) {
                found.add(source, *fact, held);
            }
        }
        found
    }

    fn add(&mut self, source: &RecapSource<'_>, fact: LineFact, held: &Held) {
        let weights = &source.weights;
        let seen = self.digest.sightings(fact.key);
        let worth =
            source.learned.of(fact.key).unwrap_or_else(|| beside_tail(source.tail, fact, &seen, source.now, weights));
        let [mut presence, mut meaning] = [worth * weights.presence, worth * (1.0 - weights.presence)];
        if held.facts.contains(&fact.key) {
            self.held_worth += presence;
            presence *= weights.again;
            if seen.last_turn <= held.until {
                self.held_worth += meaning;
                meaning *= weights.again;
            }
        }
        self.numbers.insert(fact.key, u32::try_from(self.worths.len()).unwrap_or(u32::MAX));
        self.worths.extend([presence, meaning]);
    }

    /// Returns what the held values are worth.
    #[must_use]
    pub fn held_worth(&self) -> f32 {
        self.held_worth
    }

    /// Returns the numbers of what a line's values bring: each value's presence, and its meaning where this is
    /// the newest line that holds it.
    #[must_use]
    pub fn numbers(&self, turn: u32, line: &Line) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(line.facts.len() * 2);
        for fact in &line.facts {
            let Some(&number) = self.numbers.get(&fact.key) else { continue };
            let seen = self.digest.sightings(fact.key);
            numbers.push(number);
            if seen.last_turn == turn && seen.last_line == line.number {
                numbers.push(number + 1);
            }
        }
        numbers
    }

    /// Returns the worths by number.
    #[must_use]
    pub fn worths(&self) -> &[f32] {
        &self.worths
    }
}

/// Whether a trained head had a word on a plan that covers values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadWord {
    /// It was asked.
    Asked,
    /// The plan is unlike those that it was trained on: rules decided.
    Unfamiliar,
}

impl HeadWord {
    /// Returns the name that counters show.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Unfamiliar => "unfamiliar",
        }
    }
}

/// What a trained head makes of the values' worths; empty without one.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    worths: FxHashMap<FactKey, f32>,
    by: Option<Maker>,
    word: Option<HeadWord>,
}

impl Learned {
    /// Asks a head about every value. Taken together the values are worth `head_scale` times what the formula says,
    /// however sure the head is of itself. Where the plan is like none that it was trained on, the formula decides alone. Of
    /// a plan without values there is nothing to ask.
    #[must_use]
    pub fn by(head: &ActiveHead, outlook: &Outlook<'_>, weights: &Weights) -> Self {
        let mut values = outlook.values();
        let Some(profile) = profile(values.iter().map(|value| &value.features)) else { return Self::default() };
        if !head.head.knows(&profile) {
            return Self { word: Some(HeadWord::Unfamiliar), ..Self::default() };
        }
        let bases: Vec<f32> = values
            .iter()
            .map(|value| {
                let seen = outlook.digest.sightings(value.key);
                beside_tail(outlook.tail, value.fact, &seen, outlook.now, weights)
            })
            .collect();
        make_relative(values.iter_mut().map(|value| &mut value.features));
        let heads = values.iter().map(|value| {
            let fresh = if value.said { 1.0 } else { weights.head_fresh };
            fresh * head.head.score(&value.features).powf(weights.head_power)
        });
        let mixed: Vec<f32> = heads
            .zip(&bases)
            .map(|(head, base)| base.powf(1.0 - weights.head_share) * head.powf(weights.head_share))
            .collect();
        let scale = weights.head_scale * bases.iter().sum::<f32>() / mixed.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        Self {
            worths: values.iter().zip(mixed).map(|(value, worth)| (value.key, worth * scale)).collect(),
            by: Some(Maker { compressor: head.name(), ..Maker::default() }),
            word: Some(HeadWord::Asked),
        }
    }

    /// Returns whether a head had a word; `None` without a head, and for a plan without values.
    #[must_use]
    pub fn word(&self) -> Option<HeadWord> {
        self.word
    }

    /// Returns whose word it is, if any head had one.
    #[must_use]
    pub fn maker(&self) -> Option<&Maker> {
        self.by.as_ref()
    }

    fn of(&self, key: FactKey) -> Option<f32> {
        self.worths.get(&key).copied()
    }
}

/// A value's worth beside the turns that stay.
fn beside_tail(tail: &HashSet<FactKey>, fact: LineFact, seen: &Sightings, now: u32, weights: &Weights) -> f32 {
    let share = if tail.contains(&fact.key) { weights.in_tail } else { 1.0 };
    share * worth(seen, fact, now, weights)
}

/// Returns what a value is worth.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of turns and values are far below 2^24")]
pub fn worth(seen: &Sightings, fact: LineFact, now: u32, weights: &Weights) -> f32 {
    let since = |turn: u32| (1 + now.saturating_sub(turn)) as f32;
    let number = if fact.opens { weights.opening * weights.number } else { weights.number };
    let kind = match fact.kind {
        FactKind::Number => number,
        FactKind::Id => weights.id,
        FactKind::Path if seen.said_turn == 0 => weights.path,
        _ => 1.0,
    };
    let base = if seen.said_turn > 0 {
        weights.said
            * ((1 + seen.said_turns) as f32).powf(weights.said_turns)
            * since(seen.said_turn).powf(weights.said_age)
    } else {
        since(seen.last_turn).powf(weights.age) * (seen.crowd.max(1) as f32).powf(weights.crowd)
    };
    base * kind * (seen.turns.max(1) as f32).powf(weights.turns)
}
