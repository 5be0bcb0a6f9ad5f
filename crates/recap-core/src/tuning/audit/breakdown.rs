//! Many losses in a few numbers: by cause, rule, compressor, kind of text, key and heading.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Cause, Loss};
use crate::compress::Kind;
use crate::tuning::replay::Measure;

/// Different keys and headings that are counted; values under later ones count elsewhere all the same.
const MOST_NAMES: usize = 10_000;

/// How many values were lost under the measures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LossCounts {
    /// Absent.
    pub grounding: usize,
    /// Absent, or apart from the words that stood near them: all that an audit finds.
    pub bound: usize,
    /// Not bound, at the agent's first use of them.
    pub first: usize,
}

impl LossCounts {
    fn add(&mut self, under: &[Measure]) {
        let lost = |measure| usize::from(under.contains(&measure));
        self.grounding += lost(Measure::Grounding);
        self.bound += lost(Measure::Bound);
        self.first += lost(Measure::First);
    }
}

/// What losses have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breakdown {
    /// All.
    pub all: LossCounts,
    /// By the name of their cause.
    pub causes: BTreeMap<String, LossCounts>,
    /// By rule or cap, as in `drop: Downloading`.
    pub rules: BTreeMap<String, LossCounts>,
    /// By who made the piece.
    pub compressors: BTreeMap<String, LossCounts>,
    /// By the kind of text that they stood in.
    pub kinds: BTreeMap<Kind, LossCounts>,
    /// By the nearest JSON member.
    pub keys: BTreeMap<String, LossCounts>,
    /// By the nearest heading.
    pub headings: BTreeMap<String, LossCounts>,
}

impl Cause {
    /// Returns its name, as in its JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rule { .. } => "rule",
            Self::Cap { .. } => "cap",
            Self::Outweighed { .. } => "outweighed",
            Self::Untold => "untold",
            Self::Thinned => "thinned",
            Self::Elided => "elided",
            Self::Apart => "apart",
        }
    }

    /// Returns the rule or cap of the guideline, if it is to blame.
    #[must_use]
    pub fn rule(&self) -> Option<String> {
        match self {
            Self::Rule { field, pattern } => Some(format!("{field}: {pattern}")),
            Self::Cap { field } => Some(field.clone()),
            _ => None,
        }
    }
}

impl Breakdown {
    /// Counts losses.
    #[must_use]
    pub fn of<'a>(losses: impl IntoIterator<Item = &'a Loss>) -> Self {
        let mut found = Self::default();
        losses.into_iter().for_each(|loss| found.add(loss));
        found
    }

    /// Counts one more.
    pub fn add(&mut self, loss: &Loss) {
        let under = &loss.under;
        self.all.add(under);
        self.causes.entry(loss.cause.name().to_owned()).or_default().add(under);
        self.compressors.entry(loss.compressor.clone()).or_default().add(under);
        self.kinds.entry(loss.place.kind).or_default().add(under);
        for (names, name) in [
            (&mut self.rules, loss.cause.rule()),
            (&mut self.keys, loss.place.key.clone()),
            (&mut self.headings, loss.place.heading.clone()),
        ] {
            if let Some(name) = name.filter(|name| names.len() < MOST_NAMES || names.contains_key(name)) {
                names.entry(name).or_default().add(under);
            }
        }
    }

    /// Leaves at most `most` rules, keys and headings, those with most losses.
    #[must_use]
    pub fn top(mut self, most: usize) -> Self {
        for names in [&mut self.rules, &mut self.keys, &mut self.headings] {
            *names = most_lost(names, most).into_iter().map(|(name, counts)| (name.clone(), *counts)).collect();
        }
        self
    }
}

/// Returns the names with most values lost, most first.
#[must_use]
pub fn most_lost<K: Ord>(names: &BTreeMap<K, LossCounts>, most: usize) -> Vec<(&K, &LossCounts)> {
    let mut sorted: Vec<_> = names.iter().collect();
    sorted.sort_by_key(|(_, counts)| std::cmp::Reverse((counts.bound, counts.first)));
    sorted.truncate(most);
    sorted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::Place;
    use super::*;
    use crate::trajectory::OriginalHash;

    fn loss(key: &str, cause: Cause, under: &[Measure]) -> Loss {
        let place = Place {
            turn: 1,
            message: 3,
            original: OriginalHash::of("x"),
            kind: Kind::Json,
            line: 1,
            text: "x".to_owned(),
            json_pointer: Some(format!("/{key}")),
            key: Some(key.to_owned()),
            heading: None,
        };
        let compressor = "rules:1".to_owned();
        let under = under.to_vec();
        Loss { step: 5, value: "AB1".to_owned(), under, place, piece: Some(1), compressor, guideline: None, cause }
    }

    #[test]
    fn losses_are_counted_under_each_name() {
        let rule = Cause::Rule { field: "drop".to_owned(), pattern: "/^x/".to_owned() };
        let losses = [
            loss("id", rule, &[Measure::Grounding, Measure::Bound, Measure::First]),
            loss("id", Cause::Apart, &[Measure::Bound]),
            loss("name", Cause::Outweighed { gain: 0.5, least_chosen: 1.0 }, &[Measure::Bound]),
        ];
        let found = Breakdown::of(&losses);
        assert_eq!(found.all, LossCounts { grounding: 1, bound: 3, first: 1 });
        assert_eq!(found.causes.keys().collect::<Vec<_>>(), ["apart", "outweighed", "rule"]);
        assert_eq!(found.rules["drop: /^x/"].bound, 1);
        assert_eq!((found.kinds[&Kind::Json].bound, found.compressors["rules:1"].bound), (3, 3));
        assert_eq!(found.clone().top(1).keys.keys().collect::<Vec<_>>(), ["id"]);
        assert_eq!(serde_json::from_str::<Breakdown>(&serde_json::to_string(&found).unwrap()).unwrap(), found);
    }

    #[test]
    fn losses_go_through_json() {
        let lost = loss("id", Cause::Outweighed { gain: 0.5, least_chosen: 1.0 }, &[Measure::Far]);
        assert_eq!(serde_json::from_str::<Loss>(&serde_json::to_string(&lost).unwrap()).unwrap(), lost);
    }
}
