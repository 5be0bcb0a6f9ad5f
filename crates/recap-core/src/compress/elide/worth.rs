//! What each unit is worth: its role, the exact values and query words in it, its place, the rules.

use std::collections::{HashMap, HashSet};

use super::Elide;
use super::fate::{Fate, Fates};
use crate::compress::kind::{Kind, log_prefix, number_prefix};
use crate::compress::units::{UnitRole, Units};

/// Worth of a unit that a model finds to answer the query fully: as much as an error.
const SCORE: f64 = 7.0;
/// The longest word that can be a value, in bytes.
const VALUE_BYTES: usize = 160;
/// The most values that one unit is worth.
const UNIT_VALUES: usize = 12;

/// What a unit holds that counts once only, wherever it stands.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// Which value or line template it is.
    pub id: u32,
    /// Its worth while it is not shown elsewhere.
    pub worth: f64,
}

/// One unit's worth and cost.
#[derive(Debug, Clone, Default)]
pub struct Worth {
    /// What does not depend on other units.
    pub own: f64,
    /// What counts once in the result.
    pub once: Vec<Token>,
    /// Estimated tokens.
    pub cost: f64,
    /// It must not be taken: a rule or a cap says so, or it is markup.
    pub dropped: bool,
    /// No marker tells of it: it only fills space, or the guideline wants it gone.
    pub silent: bool,
    /// The line with its digits taken for one another; equal for lines that differ in numbers only.
    pub template: u32,
}

/// The worth of every unit of a text.
pub struct Worths {
    /// By unit.
    pub units: Vec<Worth>,
    /// How many different once-only tokens there are.
    pub tokens: usize,
}

/// Returns the worth of every unit.
pub fn worths(request: &Elide<'_>, cut: &Units, density: f64) -> Worths {
    let mut words = Words::default();
    let query = query_words(request.query);
    let found: Vec<Found> = cut
        .units
        .iter()
        .map(|unit| {
            let text = request.text.get(unit.span.clone()).unwrap_or_default();
            words.read(text, cut.kind, &query)
        })
        .collect();
    let mut fates = Fates::new(request.text, request.rules, cut.kind);
    let telling = cut.units.iter().filter(|unit| unit.role != UnitRole::Boilerplate).count();
    let mut at = 0;
    let mut units = Vec::with_capacity(found.len());
    for (number, (unit, found)) in cut.units.iter().zip(found).enumerate() {
        let text = request.text.get(unit.span.clone()).unwrap_or_default();
        let fate = fates.next(unit, text);
        let filler = unit.role == UnitRole::Boilerplate;
        let role = role_worth(unit.role, cut.kind, text);
        let mut own = role * 0.2 + query_worth(&found, &words);
        if !filler {
            own += place(at, telling.saturating_sub(at + 1));
            at += 1;
        }
        own += f64::from(relevance(request.scores, number)) * SCORE;
        if fate == Fate::Keep {
            own += 1000.0;
        }
        let mut once = values_of(&found, &words);
        once.push(Token { id: found.template, worth: role * 0.8 });
        let bytes = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
        units.push(Worth {
            own,
            once,
            cost: bytes * density + 1.5,
            dropped: matches!(fate, Fate::Drop | Fate::Beyond) || (filler && cut.kind == Kind::Html),
            silent: filler || fate == Fate::Drop,
            template: found.template,
        });
    }
    Worths { units, tokens: words.ids.len() }
}

/// A unit's score; beside one that answers, half of its score: neighbours say what it means.
fn relevance(scores: &[f32], unit: usize) -> f32 {
    let at = |unit: usize| scores.get(unit).copied().unwrap_or_default();
    let beside = unit.checked_sub(1).map_or(0.0, at).max(at(unit + 1));
    at(unit).max(beside / 2.0)
}

fn role_worth(role: UnitRole, kind: Kind, text: &str) -> f64 {
    match (role, kind) {
        (UnitRole::Error, _) => 7.0,
        (UnitRole::Summary, _) => 6.0,
        (UnitRole::Detail, _) => 3.0,
        (UnitRole::Heading, Kind::Code | Kind::Diff) => 3.5,
        (UnitRole::Heading, _) => 2.0,
        (UnitRole::Plain, Kind::Listing) if text.ends_with('/') || text.trim_start().starts_with('d') => 1.5,
        (UnitRole::Plain, Kind::Code | Kind::Diff) => 0.6,
        (UnitRole::Plain, _) => 1.0,
        (UnitRole::Boilerplate, _) => 0.05,
    }
}

/// First and last units tell what a text is and how it ended.
fn place(before: usize, after: usize) -> f64 {
    match (before, after) {
        (0, _) => 2.0,
        (1 | 2, _) => 1.0,
        (_, 0..=2) => 1.5,
        _ => 0.0,
    }
}

/// What was read in one unit.
struct Found {
    values: Vec<u32>,
    asked: Vec<u32>,
    template: u32,
}

/// Values, query words and templates of a text, numbered, with how often they occur.
#[derive(Default)]
struct Words {
    ids: HashMap<String, u32>,
    counts: Vec<u32>,
}

impl Words {
    fn read(&mut self, text: &str, kind: Kind, query: &HashSet<String>) -> Found {
        let body = text.get(prefix_len(text, kind)..).unwrap_or(text);
        let mut found = Found { values: Vec::new(), asked: Vec::new(), template: 0 };
        for word in body.split(|c: char| c.is_whitespace() || "\"'`()[]{}<>,;=|".contains(c)) {
            let word = word.trim_matches(|c: char| ".:!?*\\".contains(c));
            if found.values.len() < UNIT_VALUES && is_value(word) {
                found.values.push(self.number(word));
            }
        }
        if !query.is_empty() {
            for word in body.split(|c: char| !c.is_alphanumeric()).filter(|word| is_asked(word)) {
                let word = word.to_lowercase();
                if query.contains(&word) {
                    found.asked.push(self.number(&format!("?{word}")));
                }
            }
            found.asked.sort_unstable();
            found.asked.dedup();
        }
        found.template = self.number(&template(body));
        found
    }

    fn number(&mut self, word: &str) -> u32 {
        let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let id = if let Some(id) = self.ids.get(word) {
            *id
        } else {
            self.ids.insert(word.to_owned(), next);
            self.counts.push(0);
            next
        };
        if let Some(count) = self.counts.get_mut(id as usize) {
            *count += 1;
        }
        id
    }

    /// Returns 1 for what occurs once, less the more often it occurs.
    fn rarity(&self, id: u32) -> f64 {
        let count = self.counts.get(id as usize).copied().unwrap_or(1).max(1);
        1.0 / f64::from(count.ilog2() + 1)
    }
}

/// Numbers and times before a line are no values of it.
fn prefix_len(text: &str, kind: Kind) -> usize {
    match kind {
        Kind::Code => number_prefix(text).map_or(0, |(_, at)| at),
        Kind::Log => log_prefix(text).unwrap_or(0),
        _ => 0,
    }
}

/// Tells a word that an action could need exactly: a number, an id, a path, an address, a dotted name.
fn is_value(word: &str) -> bool {
    if !(4..=VALUE_BYTES).contains(&word.len()) || !word.chars().any(char::is_alphanumeric) {
        return false;
    }
    let marked = word.bytes().any(|b| b.is_ascii_digit() || b"_@#/-".contains(&b));
    let dotted = word.split_once('.').is_some_and(|(head, tail)| !head.is_empty() && !tail.is_empty());
    marked || dotted
}

/// Returns the line with each run of digits taken for `#`, marked so that it is no value's name.
fn template(body: &str) -> String {
    let mut out = String::with_capacity(body.len() + 1);
    out.push('\n');
    let mut digits = false;
    for c in body.trim().chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !digits {
            out.push('#');
        }
        digits = c.is_ascii_digit();
    }
    out
}

/// Tells a word long enough, or a number, to be looked for.
fn is_asked(word: &str) -> bool {
    word.len() >= 3 || (word.len() == 2 && word.bytes().all(|b| b.is_ascii_digit()))
}

fn query_words(query: &[&str]) -> HashSet<String> {
    query
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| is_asked(word))
        .map(str::to_lowercase)
        .collect()
}

fn query_worth(found: &Found, words: &Words) -> f64 {
    let sum: f64 = found.asked.iter().map(|id| 1.5 * words.rarity(*id)).sum();
    sum.min(5.0)
}

fn values_of(found: &Found, words: &Words) -> Vec<Token> {
    found.values.iter().map(|id| Token { id: *id, worth: 0.4 + 0.9 * words.rarity(*id) }).collect()
}
