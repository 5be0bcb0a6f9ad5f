//! What guidelines speak of.

use serde::{Deserialize, Serialize};

/// What a guideline speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuidelineKind {
    /// How a single tool result is compressed.
    Observation,
    /// How the past turns are compressed.
    History,
    /// What an outcome teaches.
    Reflect,
    /// How a playbook takes up what was learned.
    Curate,
    /// Why a compressed run failed.
    Analyse,
    /// How a guideline is made better.
    Propose,
}

impl GuidelineKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Observation, Self::History, Self::Reflect, Self::Curate, Self::Analyse, Self::Propose];

    /// Returns the name, which is also that of its files without `.md`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::History => "history",
            Self::Reflect => "reflect",
            Self::Curate => "curate",
            Self::Analyse => "analyse",
            Self::Propose => "propose",
        }
    }

    /// Returns the kind of a name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Returns the variables that a body of this kind may place.
    #[must_use]
    pub fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Observation => &["task", "query", "tool", "observation", "most_tokens"],
            Self::History => &["task", "query", "previous", "turns", "most_tokens"],
            Self::Reflect => &["task", "outcome", "feedback", "turns", "playbook", "most_tokens"],
            Self::Curate => &["task", "reflection", "playbook", "most_tokens"],
            Self::Analyse => &["task", "guideline", "full", "compressed", "outcome", "most_tokens"],
            Self::Propose => &["guideline", "analyses", "objective", "most_tokens"],
        }
    }
}
