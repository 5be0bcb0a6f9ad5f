//! Rules compiled once, asked for each line.

use aho_corasick::AhoCorasick;
use regex::{RegexSet, RegexSetBuilder};

use super::favour::Favours;
use super::pattern::REGEX_BYTES;
use super::{Caps, Glob, NameRules, Pattern, Rules, RulesError};

/// The most memory of one list's compiled regular expressions, in bytes.
const SET_BYTES: usize = 16 * REGEX_BYTES;

/// A rule that drops something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropRule {
    /// The list that it stands in: `drop`, `keys.drop` or `sections.drop`.
    pub field: &'static str,
    /// The pattern as it is written.
    pub pattern: String,
}

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

    /// Returns the first rule that drops a line; `None` where none does, or one keeps it.
    #[must_use]
    pub fn line_dropped_by(&self, line: &str) -> Option<DropRule> {
        let dropped = self.verdict(line) == Verdict::Drop;
        self.drop.first_match(line).filter(|_| dropped).map(|pattern| DropRule { field: "drop", pattern })
    }

    /// Returns the first rule that drops a JSON member's key; `None` where none does, or one keeps it.
    #[must_use]
    pub fn key_dropped_by(&self, name: &str) -> Option<DropRule> {
        self.keys.dropped_by(name).map(|pattern| DropRule { field: "keys.drop", pattern })
    }

    /// Returns the first rule that drops a heading; `None` where none does, or one keeps it.
    #[must_use]
    pub fn section_dropped_by(&self, heading: &str) -> Option<DropRule> {
        self.sections.dropped_by(heading).map(|pattern| DropRule { field: "sections.drop", pattern })
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
    /// The words of `words`, in its order.
    written: Vec<String>,
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
        let written = words.into_iter().map(str::to_owned).collect();
        Ok(Self { words: automaton, expressions: set(field, expressions.collect())?, written })
    }

    /// Returns the pattern that matches a line, as it is written; words come before expressions.
    fn first_match(&self, line: &str) -> Option<String> {
        let words = self.words.as_ref().and_then(|words| words.find(line));
        if let Some(found) = words {
            return self.written.get(found.pattern().as_usize()).cloned();
        }
        let at = self.expressions.matches(line).iter().next()?;
        self.expressions.patterns().get(at).map(|inner| format!("/{inner}/"))
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
    /// The globs of `drop`, in its order.
    written: Vec<String>,
}

impl Names {
    fn new([keep, drop]: [&'static str; 2], rules: &NameRules) -> Result<Self, RulesError> {
        let globs = |list: &[Glob]| list.iter().map(Glob::to_regex).collect();
        let written = rules.drop.iter().cloned().map(String::from).collect();
        Ok(Self { keep: set(keep, globs(&rules.keep))?, drop: set(drop, globs(&rules.drop))?, written })
    }

    fn dropped_by(&self, name: &str) -> Option<String> {
        let dropped = self.verdict(name) == Verdict::Drop;
        let at = self.drop.matches(name).iter().next().filter(|_| dropped)?;
        self.written.get(at).cloned()
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
