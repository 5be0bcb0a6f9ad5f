//! What a trajectory's contexts are made under.

use std::sync::Arc;

use super::account::RULES;
use super::head::ActiveHead;
use super::recap::Handles;
use super::request::Marks;
use super::worth::Weights;
use crate::compress::RulesMatcher;
use crate::tokens::Counter;
use crate::trajectory::AgentKind;

/// What a trajectory's contexts are made under. Changes act at the next epoch.
#[derive(Clone)]
pub struct Settings {
    /// Counts tokens.
    pub counter: Counter,
    /// Tokens of the tool schemas; 0 without tools.
    pub tools_tokens: u32,
    /// How observations are recognised, if somebody said so.
    pub agent_kind: Option<AgentKind>,
    /// Where epochs begin and land.
    pub marks: Marks,
    /// Share of the room for a user's words kept verbatim.
    pub pinned_share: f64,
    /// What the guideline says of single observations.
    pub rules: Arc<RulesMatcher>,
    /// What the guideline says of histories.
    pub history_rules: Arc<RulesMatcher>,
    /// How values are weighed.
    pub weights: Weights,
    /// A trained head that has its word in it.
    pub head: Option<Arc<ActiveHead>>,
    /// Whether originals are stored, so that markers can name them.
    pub handles: Handles,
    /// Set, kind and hash of the guideline behind `rules`, shown in receipts.
    pub observation_guideline: Option<String>,
    /// The same of the guideline behind `history_rules`.
    pub guideline: Option<String>,
    /// Which models prepare what.
    pub prepares: Prepares,
    /// Hash of code and configuration (law 12).
    pub maker: String,
}

impl Settings {
    /// Returns the defaults for a counter and a guideline's rules: no tools, originals stored.
    #[must_use]
    pub fn new(counter: Counter, rules: Arc<RulesMatcher>) -> Self {
        Self {
            counter,
            tools_tokens: 0,
            agent_kind: None,
            marks: Marks::default(),
            pinned_share: 0.3,
            history_rules: Arc::clone(&rules),
            rules,
            weights: Weights::default(),
            head: None,
            handles: Handles::Shown,
            observation_guideline: None,
            guideline: None,
            prepares: Prepares::default(),
            maker: RULES.to_owned(),
        }
    }
}

/// Which compressors with models prepare what the next epoch shows; where none does, rules alone write it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Prepares {
    /// Whether one shortens single results.
    pub observations: bool,
    /// Who speaks of old turns.
    pub history: HistoryBy,
}

/// Who speaks of old turns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum HistoryBy {
    /// Rules alone.
    #[default]
    Rules,
    /// Rules, on lines that a model scores.
    Scored,
    /// A model tells them, and rules quote beside it.
    Told {
        /// Tokens of turns without a recap from which on one is written.
        least_tokens: u32,
    },
}
