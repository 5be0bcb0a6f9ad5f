//! What the guideline's rules and caps decide about each unit.

use std::collections::HashMap;

use crate::compress::kind::Kind;
use crate::compress::rules::{DropRule, RulesMatcher, Verdict};
use crate::compress::units::{Unit, UnitRole, Units};

/// What is decided about a unit before its worth is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A rule keeps it.
    Keep,
    /// A rule drops it, or what encloses it.
    Drop,
    /// It, or what encloses it, stands beyond a cap. Caps bind kept ones too.
    Beyond,
    /// Its worth decides.
    Open,
}

/// Decides about the units of a text in order.
pub struct Fates<'a> {
    source: &'a str,
    rules: &'a RulesMatcher,
    kind: Kind,
    decided: Vec<Fate>,
    /// Which units are arrays or table headers.
    lists: Vec<bool>,
    /// Elements or rows so far, by the list's unit.
    listed: HashMap<u32, u32>,
    line_start: usize,
    read: usize,
    /// The cap beyond which the last unit stands by itself.
    beyond: Option<&'static str>,
}

impl<'a> Fates<'a> {
    /// Returns the state before the first unit.
    pub fn new(source: &'a str, rules: &'a RulesMatcher, kind: Kind) -> Self {
        Self {
            source,
            rules,
            kind,
            decided: Vec::new(),
            lists: Vec::new(),
            listed: HashMap::new(),
            line_start: 0,
            read: 0,
            beyond: None,
        }
    }

    /// Decides about the next unit.
    pub fn next(&mut self, unit: &Unit, text: &str) -> Fate {
        let above = unit.parent.and_then(|parent| self.decided.get(parent as usize).copied());
        let (list, line) = (self.is_beyond_list(unit), self.is_beyond_line(unit));
        let in_list = if self.kind == Kind::Table { "caps.table_rows" } else { "caps.list_items" };
        self.beyond = if list { Some(in_list) } else { line.then_some("caps.line_bytes") };
        let beyond = list || line;
        let fate = match (own_verdict(self.rules, unit, text, self.kind), above) {
            _ if beyond || above == Some(Fate::Beyond) => Fate::Beyond,
            (Verdict::Keep, _) => Fate::Keep,
            (Verdict::Drop, _) | (_, Some(Fate::Drop)) => Fate::Drop,
            (Verdict::Neutral, _) => Fate::Open,
        };
        self.decided.push(fate);
        self.lists.push(match self.kind {
            Kind::Json | Kind::Jsonl => text.ends_with('['),
            Kind::Table => unit.role == UnitRole::Heading,
            _ => false,
        });
        fate
    }

    fn is_beyond_list(&mut self, unit: &Unit) -> bool {
        let caps = self.rules.caps();
        let cap = if self.kind == Kind::Table { caps.table_rows } else { caps.list_items };
        let Some((parent, cap)) = unit.parent.zip(cap) else {
            return false;
        };
        let listed = self.lists.get(parent as usize).copied().unwrap_or(false);
        if unit.role == UnitRole::Boilerplate || !listed {
            return false;
        }
        let count = self.listed.entry(parent).or_default();
        *count = count.saturating_add(1);
        *count > cap.get()
    }

    fn is_beyond_line(&mut self, unit: &Unit) -> bool {
        let passed = self.source.get(self.read..unit.span.start).unwrap_or_default();
        if let Some(at) = passed.rfind('\n') {
            self.line_start = self.read + at + 1;
        }
        self.read = unit.span.start;
        let cap = self.rules.caps().line_bytes.map_or(usize::MAX, |cap| cap.get() as usize);
        unit.span.start.saturating_sub(self.line_start) >= cap
    }
}

/// What of a guideline rules out a stretch of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruled {
    /// A rule that drops it, or what encloses it.
    Rule(DropRule),
    /// A cap that it, or what encloses it, stands beyond: the field of the front matter.
    Cap(&'static str),
}

/// Returns what of the rules keeps the unit that holds a byte of a text from being shown; `None` where its worth decides.
///
/// `cut` are the units that are selected from.
#[must_use]
pub fn ruled_out(text: &str, cut: &Units, rules: &RulesMatcher, at: usize) -> Option<Ruled> {
    let mut fates = Fates::new(text, rules, cut.kind);
    let mut reasons: Vec<Option<Ruled>> = Vec::new();
    for unit in &cut.units {
        let words = text.get(unit.span.clone()).unwrap_or_default();
        let above = unit.parent.and_then(|parent| reasons.get(parent as usize).cloned().flatten());
        let reason = match fates.next(unit, words) {
            Fate::Beyond => fates.beyond.map(Ruled::Cap).or(above),
            Fate::Drop => own_rule(rules, unit, words, cut.kind).map(Ruled::Rule).or(above),
            Fate::Keep | Fate::Open => None,
        };
        if unit.span.end > at {
            return reason;
        }
        reasons.push(reason);
    }
    None
}

/// Returns the rule that drops a unit for its own words.
fn own_rule(rules: &RulesMatcher, unit: &Unit, text: &str, kind: Kind) -> Option<DropRule> {
    rules.line_dropped_by(text).or_else(|| match kind {
        Kind::Json | Kind::Jsonl => rules.key_dropped_by(key_of(text)?),
        _ if unit.role == UnitRole::Heading => rules.section_dropped_by(bare_heading(text)),
        _ => None,
    })
}

/// Returns a heading without its marks.
#[must_use]
pub fn bare_heading(text: &str) -> &str {
    text.trim_matches(|c: char| !c.is_alphanumeric())
}

/// Returns the verdict on a unit's own words: its line, its key, its heading.
fn own_verdict(rules: &RulesMatcher, unit: &Unit, text: &str, kind: Kind) -> Verdict {
    let line = rules.verdict(text);
    let key = match kind {
        Kind::Json | Kind::Jsonl => key_of(text).map_or(Verdict::Neutral, |key| rules.key(key)),
        _ if unit.role == UnitRole::Heading => rules.section(bare_heading(text)),
        _ => Verdict::Neutral,
    };
    match (line, key) {
        (Verdict::Keep, _) | (_, Verdict::Keep) => Verdict::Keep,
        (Verdict::Drop, _) | (_, Verdict::Drop) => Verdict::Drop,
        _ => Verdict::Neutral,
    }
}

/// Returns the key of a member.
fn key_of(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(['{', ' ']);
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (key, rest) = text.get(1..)?.split_once(quote)?;
    rest.trim_start().starts_with(':').then_some(key)
}
