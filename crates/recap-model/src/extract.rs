//! Which units of a text answer a query: the scores of extractive compression.

use std::collections::HashMap;

use crate::ModelError;
use crate::bert::{CrossEncoder, Wanted, relevance};

/// A unit with fewer letters says nothing that a model could judge.
pub const MIN_LETTERS: usize = 3;

/// Returns for each unit (a line, a sentence, a JSON node as text) how probably it answers the query, 0 to 1.
///
/// Trivial units (see [`is_trivial`]) score 0 without the model. Equal units are scored once and get the same score.
/// Units are taken in their order until the model's inputs would count more than `max_tokens`; those after that get
/// `None`.
///
/// Causes of failures (`panicked at`, `assertion failed`) are not found this way: the model looks for answers.
///
/// # Errors
///
/// As [`CrossEncoder::score`].
pub fn score_units(
    model: &CrossEncoder,
    query: &str,
    units: &[&str],
    max_tokens: usize,
    wanted: Wanted<'_>,
) -> Result<Vec<Option<f32>>, ModelError> {
    let plan = Plan::of(units);
    let logits = model.score_within(query, &plan.texts, max_tokens, wanted)?;
    Ok(plan.scores(&logits))
}

/// Returns whether a unit is blank, only punctuation and numbers, or has fewer than [`MIN_LETTERS`] letters.
#[must_use]
pub fn is_trivial(unit: &str) -> bool {
    unit.chars().filter(|char| char.is_alphabetic()).nth(MIN_LETTERS - 1).is_none()
}

/// The texts that a model has to read for some units.
struct Plan<'u> {
    /// Each text once, by its first unit.
    texts: Vec<&'u str>,
    /// For each unit, the index of its text; `None` if it is trivial.
    of_unit: Vec<Option<usize>>,
}

impl<'u> Plan<'u> {
    fn of(units: &[&'u str]) -> Self {
        let mut texts = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        let mut index = |unit: &'u str| {
            let text = unit.trim();
            *known.entry(text).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            })
        };
        let of_unit = units.iter().map(|unit| (!is_trivial(unit)).then(|| index(unit))).collect();
        Self { texts, of_unit }
    }

    /// Returns each unit's score from the texts' logits.
    fn scores(&self, logits: &[Option<f32>]) -> Vec<Option<f32>> {
        let score = |index: &Option<usize>| match index {
            Some(index) => logits.get(*index).copied().flatten().map(relevance),
            None => Some(0.0),
        };
        self.of_unit.iter().map(score).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_without_words_are_trivial() {
        for unit in ["", "  \t", "----", "}", "429", "a = 1", "2026-11-04T10:00:00Z"] {
            assert!(is_trivial(unit), "{unit}");
        }
        for unit in ["end", "ttl 3600", "größe", "報告書"] {
            assert!(!is_trivial(unit), "{unit}");
        }
    }

    #[test]
    fn equal_units_are_read_once() {
        let plan = Plan::of(&["retry later", "----", "  retry later", "limit: 600", "retry later"]);
        assert_eq!(plan.texts, ["retry later", "limit: 600"]);
        let scores = plan.scores(&[Some(0.0), Some(40.0)]);
        assert_eq!(scores, [Some(0.5), Some(0.0), Some(0.5), Some(1.0), Some(0.5)]);
    }

    #[test]
    fn texts_that_were_not_read_have_no_score() {
        let plan = Plan::of(&["first line", "", "second line"]);
        assert_eq!(plan.scores(&[Some(0.0), None]), [Some(0.5), Some(0.0), None]);
    }
}
