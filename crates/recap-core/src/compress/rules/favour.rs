//! Lines that a guideline favours: a softer `keep`, by which a line is worth more and nothing is forced.

use regex::RegexSet;
use serde::{Deserialize, Serialize};

use super::matcher::set;
use super::{Pattern, RulesError};

/// The most that patterns add to a line together.
const MOST_WORTH: f32 = 10.0;

/// Lines that are worth more to a recap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Favour {
    /// Which lines.
    pub pattern: Pattern,
    /// How much more, 0 to 10; a line with an error is worth 0.22 for that by default.
    #[serde(deserialize_with = "worth")]
    pub worth: f32,
}

fn worth<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
    let worth = f32::deserialize(deserializer)?;
    if (0.0..=MOST_WORTH).contains(&worth) {
        return Ok(worth);
    }
    Err(serde::de::Error::custom(format!("`worth` is {worth}; it must be from 0 to {MOST_WORTH}")))
}

/// The favoured patterns, compiled.
#[derive(Debug, Clone, Default)]
pub(super) struct Favours {
    patterns: RegexSet,
    worths: Vec<f32>,
}

impl Favours {
    pub(super) fn new(favours: &[Favour]) -> Result<Self, RulesError> {
        let patterns = favours.iter().map(|favour| match &favour.pattern {
            Pattern::Words(words) => format!("(?i-u:{})", regex::escape(words)),
            Pattern::Regex(inner) => inner.clone(),
        });
        let worths = favours.iter().map(|favour| favour.worth).collect();
        Ok(Self { patterns: set("favour", patterns.collect())?, worths })
    }

    /// Returns what the patterns that match a line add to it.
    pub(super) fn worth(&self, line: &str) -> f32 {
        if self.worths.is_empty() {
            return 0.0;
        }
        let matched = self.patterns.matches(line);
        let sum: f32 = matched.iter().filter_map(|at| self.worths.get(at)).sum();
        sum.min(MOST_WORTH)
    }
}
