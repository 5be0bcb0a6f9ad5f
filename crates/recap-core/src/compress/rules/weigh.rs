//! Weights that a guideline names: how a recap weighs values and lines, where the defaults do not fit.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A weight by which a recap selects its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightName {
    /// Power of a value's age in turns.
    Age,
    /// Power of the number of turns that hold it.
    Turns,
    /// Power of the number of values beside it.
    Crowd,
    /// Factor for values that the agent wrote.
    Said,
    /// Power of the number of turns in which the agent wrote it.
    SaidTurns,
    /// Power of the turns since then.
    SaidAge,
    /// Factor for paths that the agent never wrote.
    Path,
    /// Factor for numbers.
    Number,
    /// Factor for numbers that open a line.
    Opening,
    /// Factor for ids.
    Id,
    /// Share of a value's worth that any line with it brings.
    Presence,
    /// Factor for a value that stands in a turn that stays.
    InTail,
    /// Share of a value's worth that a second line with it still brings.
    Again,
    /// Power of the tokens that a gain is divided by.
    Density,
    /// Worth of an error or summary line beside its facts.
    Error,
    /// Worth of a line for each word that it shares with the newest turns.
    Echo,
    /// Worth of a line without facts.
    Line,
    /// Worth of a turn's headline.
    Headline,
    /// Share of a block for the table of lost values.
    FactsShare,
    /// Share of a block for lines that match what the agent is doing.
    RecalledShare,
    /// Worth of a line that a model finds to answer the query.
    Relevance,
    /// Share of a block for recaps that a model wrote.
    ToldShare,
    /// Share of a block's worth that may be lost to keep all of the last block.
    Stay,
}

impl WeightName {
    /// Every weight.
    pub const ALL: [Self; 23] = [
        Self::Age,
        Self::Turns,
        Self::Crowd,
        Self::Said,
        Self::SaidTurns,
        Self::SaidAge,
        Self::Path,
        Self::Number,
        Self::Opening,
        Self::Id,
        Self::Presence,
        Self::InTail,
        Self::Again,
        Self::Density,
        Self::Error,
        Self::Echo,
        Self::Line,
        Self::Headline,
        Self::FactsShare,
        Self::RecalledShare,
        Self::Relevance,
        Self::ToldShare,
        Self::Stay,
    ];

    /// Returns the name as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Turns => "turns",
            Self::Crowd => "crowd",
            Self::Said => "said",
            Self::SaidTurns => "said_turns",
            Self::SaidAge => "said_age",
            Self::Path => "path",
            Self::Number => "number",
            Self::Opening => "opening",
            Self::Id => "id",
            Self::Presence => "presence",
            Self::InTail => "in_tail",
            Self::Again => "again",
            Self::Density => "density",
            Self::Error => "error",
            Self::Echo => "echo",
            Self::Line => "line",
            Self::Headline => "headline",
            Self::FactsShare => "facts_share",
            Self::RecalledShare => "recalled_share",
            Self::Relevance => "relevance",
            Self::ToldShare => "told_share",
            Self::Stay => "stay",
        }
    }

    /// Returns the weight of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|weight| weight.name() == name)
    }

    /// Returns what it may be.
    #[must_use]
    pub fn range(self) -> RangeInclusive<f32> {
        match self {
            Self::Age | Self::SaidAge => -3.0..=0.0,
            Self::Turns | Self::Crowd | Self::SaidTurns => -2.0..=2.0,
            Self::Said
            | Self::Path
            | Self::Number
            | Self::Opening
            | Self::Id
            | Self::Error
            | Self::Headline
            | Self::Relevance => 0.0..=10.0,
            Self::Density => 0.3..=1.5,
            Self::FactsShare | Self::RecalledShare => 0.0..=0.5,
            Self::Presence | Self::InTail | Self::Again | Self::Echo | Self::Line | Self::ToldShare | Self::Stay => {
                0.0..=1.0
            }
        }
    }
}

/// Weights by name; what is not named is as it is by default.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Weigh(BTreeMap<WeightName, f32>);

impl Weigh {
    /// Returns the named weights in the order of [`WeightName::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (WeightName, f32)> + '_ {
        self.0.iter().map(|(name, value)| (*name, *value))
    }

    /// Returns a weight, if it is named.
    #[must_use]
    pub fn get(&self, name: WeightName) -> Option<f32> {
        self.0.get(&name).copied()
    }

    /// Tells whether none is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Weigh {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Named)
    }
}

struct Named;

impl<'de> Visitor<'de> for Named {
    type Value = Weigh;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("weights by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weigh, A::Error> {
        let mut found = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<WeightName, f32>()? {
            let (range, word) = (name.range(), name.name());
            if !range.contains(&value) {
                let said = format!("`{word}` is {value}; it must be from {} to {}", range.start(), range.end());
                return Err(A::Error::custom(said));
            }
            if found.insert(name, value).is_some() {
                return Err(A::Error::custom(format!("`{word}` stands twice")));
            }
        }
        Ok(Weigh(found))
    }
}
