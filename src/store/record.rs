//! What a trajectory's record holds.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A trajectory that is to be made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewTrajectory {
    /// Its id, unused so far.
    pub id: String,
    /// The namespace that keys are held against.
    pub namespace: String,
    /// The agent's name.
    pub agent: Option<String>,
    /// What is to be done.
    pub task: Option<String>,
    /// The agent's model.
    pub model: Option<String>,
    /// The tool schemas' JSON as sent.
    pub tools: Option<String>,
    /// Most tokens of a served context.
    pub budget: Option<u64>,
    /// The guideline set that compresses it.
    pub guideline_set: Option<String>,
    /// The playbook that it is served with.
    pub playbook: Option<String>,
    /// Its own settings.
    pub policy: Option<Json>,
    /// The caller's own words about it.
    pub metadata: Option<Json>,
    /// When it is made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A stored trajectory's record.
#[derive(Debug, Clone, PartialEq)]
pub struct TrajectoryRow {
    /// Its id.
    pub id: String,
    /// The namespace that keys are held against.
    pub namespace: String,
    /// The agent's name.
    pub agent: Option<String>,
    /// What is to be done.
    pub task: Option<String>,
    /// The agent's model.
    pub model: Option<String>,
    /// The tool schemas' JSON as sent.
    pub tools: Option<String>,
    /// Most tokens of a served context.
    pub budget: Option<u64>,
    /// The guideline set that compresses it.
    pub guideline_set: Option<String>,
    /// The playbook that it is served with.
    pub playbook: Option<String>,
    /// Its own settings.
    pub policy: Option<Json>,
    /// The caller's own words about it.
    pub metadata: Option<Json>,
    /// Whether its observations come as tool results or as user messages, once that is known.
    pub agent_kind: Option<String>,
    /// Messages.
    pub length: u64,
    /// Tokens of all messages.
    pub full_tokens: u64,
    /// How the run ended, once that is known.
    pub outcome: Option<Outcome>,
    /// The trajectory that it was forked from, and how many messages it shares.
    pub forked_from: Option<(String, u64)>,
    /// Grows by one with each change of the record or its messages.
    pub version: u64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was last changed, in milliseconds since 1970.
    pub updated_ms: i64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The verdict.
    pub status: OutcomeStatus,
    /// A score on the caller's scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What the judge says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<String>,
    /// Ids of the playbook bullets that were used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_bullets: Vec<String>,
}

/// A run's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeStatus {
    /// The task was done.
    Success,
    /// It was not.
    Failure,
    /// Some of it was.
    Partial,
    /// Nobody knows.
    Unknown,
}

impl OutcomeStatus {
    /// Returns the name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Partial => "partial",
            Self::Unknown => "unknown",
        }
    }
}

/// Changes of a record: `None` leaves a field as it is, `Some(None)` empties it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Patch {
    /// The tool schemas' JSON as sent.
    pub tools: Option<Option<String>>,
    /// Most tokens of a served context.
    pub budget: Option<Option<u64>>,
    /// Its own settings.
    pub policy: Option<Option<Json>>,
    /// The caller's own words about it.
    pub metadata: Option<Option<Json>>,
    /// Whether its observations come as tool results or as user messages.
    pub agent_kind: Option<Option<String>>,
    /// How the run ended.
    pub outcome: Option<Option<Outcome>>,
    /// The version that the change was made for; another one refuses it.
    pub expected_version: Option<u64>,
}

/// Which trajectories are listed; empty fields let all through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrajectoryFilter {
    /// Exactly this namespace.
    pub namespace: Option<String>,
    /// Exactly this agent.
    pub agent: Option<String>,
    /// This outcome.
    pub outcome: Option<OutcomeStatus>,
    /// The task or the id holds this text, ASCII letters in either case.
    pub q: Option<String>,
    /// Made at this time or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Made before this time, in milliseconds since 1970.
    pub until_ms: Option<i64>,
}

/// A page of trajectories, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct TrajectoryPage {
    /// The records.
    pub trajectories: Vec<TrajectoryRow>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}
