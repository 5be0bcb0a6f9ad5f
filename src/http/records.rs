//! The trajectories' records on the wire.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::problem::{Code, Problem};
use crate::pipeline::tally::{Sums, Tally};
use crate::store::TrajectoryRow;
use crate::world::rfc3339;

/// A trajectory's record.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrajectoryRecord {
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
    /// The tool schemas as sent.
    #[schema(value_type = Option<Vec<Object>>)]
    pub tools: Option<Box<RawValue>>,
    /// Most tokens of a served context.
    pub budget: Option<u64>,
    /// The guideline set that compresses it.
    pub guideline_set: Option<String>,
    /// The playbook that it is served with.
    pub playbook: Option<String>,
    /// Its own settings.
    #[schema(value_type = Option<crate::config::Policy>)]
    pub policy: Option<Value>,
    /// The caller's own words about it.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    /// Messages.
    pub length: u64,
    /// Tokens of all messages.
    pub tokens: u64,
    /// The newest epoch of any line of reads; absent before the first read.
    pub epoch: Option<u64>,
    /// How the run ended.
    #[schema(value_type = Option<Object>)]
    pub outcome: Option<Value>,
    /// What its steps cost; only where one trajectory is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// The trajectory that it was forked from.
    pub forked_from: Option<String>,
    /// How many messages it shares with that.
    pub forked_length: Option<u64>,
    /// Grows by one with each change.
    pub version: u64,
    /// When it was made.
    pub created_at: String,
    /// When it was last changed.
    pub updated_at: String,
}

/// What a trajectory's steps cost.
#[derive(Debug, Serialize, ToSchema)]
pub struct Metrics {
    /// Uncompressed.
    pub full: Tally,
    /// As served, over the steps before which a context was read.
    pub served: Tally,
}

impl From<Sums> for Metrics {
    fn from(sums: Sums) -> Self {
        Self { full: sums.full, served: sums.served }
    }
}

impl TrajectoryRecord {
    /// Makes the wire form of a row.
    ///
    /// # Errors
    ///
    /// `internal` where the row's JSON is damaged.
    pub fn of(row: TrajectoryRow, metrics: Option<Metrics>, epoch: Option<u64>) -> Result<Self, Problem> {
        let damaged = |_| Problem::new(Code::Internal, "a stored record is damaged");
        let (forked_from, forked_length) = row.forked_from.unzip();
        Ok(Self {
            tools: row.tools.map(RawValue::from_string).transpose().map_err(damaged)?,
            outcome: row.outcome.map(serde_json::to_value).transpose().map_err(damaged)?,
            id: row.id,
            namespace: row.namespace,
            agent: row.agent,
            task: row.task,
            model: row.model,
            budget: row.budget,
            guideline_set: row.guideline_set,
            playbook: row.playbook,
            policy: row.policy,
            metadata: row.metadata,
            length: row.length,
            tokens: row.full_tokens,
            epoch,
            metrics,
            forked_from,
            forked_length,
            version: row.version,
            created_at: rfc3339(row.created_ms),
            updated_at: rfc3339(row.updated_ms),
        })
    }
}
