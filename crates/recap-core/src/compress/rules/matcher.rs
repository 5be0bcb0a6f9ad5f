//! Rules compiled once, asked for each line.

use aho_corasick::AhoCorasick;
use regex::{RegexSet, RegexSetBuilder};

use super::favour::Favours;
use super::pattern::REGEX_BYTES;
use super::{Caps, Glob, NameRules, Pattern, Rules, RulesError};

/// The most memory of one list's compiled regular expressions, in bytes.
const SET_BYTES: usize = 16 * REGEX_BYTES;

/// What the rules say of a line or a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A keep rule matches.
    Keep,
    /// A drop rule matches, and no keep rule.
    Drop,
    /// No rule matches.
    Neutral,
}

/// Compiled rules; the default has none.
#[derive(Debug, Clone, Default)]
pub struct RulesMatcher {
    keep: Lines,
    drop: Lines,
    keys: Names,
    sections: Names,
    caps: Caps,
    favours: Favours,
}

impl RulesMatcher {
    /// Compiles rules.
    ///
    /// # Errors
    /// [`RulesError::Patterns`] with the list that is too large.
    pub fn new(rules: &Rules) -> Result<Self, RulesError> {
        Ok(Self {
            keep: Lines::new("keep", &rules.keep)?,
            drop: Lines::new("drop", &rules.drop)?,
            keys: Names::new(["keys.keep", "keys.drop"], &rules.keys)?,
            sections: Names::new(["sections.keep", "sections.drop"], &rules.sections)?,
            caps: rules.caps,
            favours: Favours::new(&rules.favour)?,
        })
    }

    /// Returns what the rules say of a line. Takes time linear in its length.
    #[must_use]
    pub fn verdict(&self, line: &str) -> Verdict {
        verdict(self.keep.matches(line), || self.drop.matches(line))
    }

    /// Returns what a line is worth beside its values, for it is favoured; 0 to 10.
    #[must_use]
    pub fn favour(&self, line: &str) -> f32 {
        self.favours.worth(line)
    }

    /// Returns what the rules say of a JSON member's key.
    #[must_use]
    pub fn key(&self, name: &str) -> Verdict {
        self.keys.verdict(name)
    }

    /// Tells whether there are rules on keys.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !(self.keys.keep.is_empty() && self.keys.drop.is_empty())
    }

    /// Returns what the rules say of a heading (without its marks).
    #[must_use]
    pub fn section(&self, heading: &str) -> Verdict {
        self.sections.verdict(heading)
    }

    /// Returns the upper bounds.
    #[must_use]
    pub fn caps(&self) -> Caps {
        self.caps
    }
}

fn verdict(keep: bool, drop: impl FnOnce() -> bool) -> Verdict {
    match keep {
        true => Verdict::Keep,
        false if drop() => Verdict::Drop,
        false => Verdict::Neutral,
    }
}

/// The patterns of one list.
#[derive(Debug, Clone, Default)]
struct Lines {
    words: Option<AhoCorasick>,
    expressions: RegexSet,
}

impl Lines {
    fn new(field: &'static str, patterns: &[Pattern]) -> Result<Self, RulesError> {
        let words = patterns.iter().filter_map(|pattern| match pattern {
            Pattern::Words(words) => Some(words.as_str()),
            Pattern::Regex(_) => None,
        });
        let expressions = patterns.iter().filter_map(|pattern| match pattern {
            Pattern::Regex(inner) => Some(inner.clone()),
            Pattern::Words(_) => None,
        });
        let words: Vec<&str> = words.collect();
        let automaton = (!words.is_empty())
            .then(|| AhoCorasick::builder().ascii_case_insensitive(true).build(&words))
            .transpose()
            .map_err(|error| RulesError::Patterns { field, reason: error.to_string() })?;
        Ok(Self { words: automaton, expressions: set(field, expressions.collect())? })
    }

    fn matches(&self, line: &str) -> bool {
        self.words.as_ref().is_some_and(|words| words.is_match(line)) || self.expressions.is_match(line)
    }
}

/// The names of one pair of lists.
#[derive(Debug, Clone, Default)]
struct Names {
    keep: RegexSet,
    drop: RegexSet,
}

impl Names {
    fn new([keep, drop]: [&'static str; 2], rules: &NameRules) -> Result<Self, RulesError> {
        let globs = |list: &[Glob]| list.iter().map(Glob::to_regex).collect();
        Ok(Self { keep: set(keep, globs(&rules.keep))?, drop: set(drop, globs(&rules.drop))? })
    }

    fn verdict(&self, name: &str) -> Verdict {
        verdict(self.keep.is_match(name), || self.drop.is_match(name))
    }
}

/// Compiles the expressions of a list.
pub(super) fn set(field: &'static str, expressions: Vec<String>) -> Result<RegexSet, RulesError> {
    RegexSetBuilder::new(expressions)
        .size_limit(SET_BYTES)
        .build()
        .map_err(|error| RulesError::Patterns { field, reason: error.to_string() })
}
