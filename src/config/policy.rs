//! Settings of one trajectory, namespace or agent over those of all.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sections::Compressor;

/// A trajectory's `policy`, or that of a namespace or agent: the same names as the configuration's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How texts are shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compress: Option<CompressPolicy>,
    /// How contexts are assembled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextPolicy>,
    /// In which role observations come; found out from the messages where it is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observations_role: Option<ObservationsRole>,
}

/// How texts are shortened.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompressPolicy {
    /// As `compress.observation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub observation: Option<Compressor>,
    /// As `compress.history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub history: Option<Compressor>,
    /// As `compress.t_obs`; goes before the guideline's threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t_obs: Option<u32>,
    /// As `compress.t_hist`; goes before the guideline's threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub t_hist: Option<u32>,
}

/// How contexts are assembled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextPolicy {
    /// As `context.budget`; the trajectory's own `budget` goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<u32>,
    /// As `context.soft_mark`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soft_mark: Option<f64>,
    /// As `context.low_mark`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low_mark: Option<f64>,
    /// As `context.tail_share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail_share: Option<f64>,
    /// As `context.pinned_share`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_share: Option<f64>,
}

/// In which role observations come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObservationsRole {
    /// As tool results.
    Tool,
    /// As user messages.
    User,
}

impl Policy {
    /// Returns this policy with what it leaves open taken from another.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let compress = (self.compress.clone().unwrap_or_default(), other.compress.clone().unwrap_or_default());
        let context = (self.context.clone().unwrap_or_default(), other.context.clone().unwrap_or_default());
        Self {
            compress: Some(CompressPolicy {
                observation: compress.0.observation.or(compress.1.observation),
                history: compress.0.history.or(compress.1.history),
                t_obs: compress.0.t_obs.or(compress.1.t_obs),
                t_hist: compress.0.t_hist.or(compress.1.t_hist),
            }),
            context: Some(ContextPolicy {
                budget: context.0.budget.or(context.1.budget),
                soft_mark: context.0.soft_mark.or(context.1.soft_mark),
                low_mark: context.0.low_mark.or(context.1.low_mark),
                tail_share: context.0.tail_share.or(context.1.tail_share),
                pinned_share: context.0.pinned_share.or(context.1.pinned_share),
            }),
            observations_role: self.observations_role.or(other.observations_role),
        }
    }
}
