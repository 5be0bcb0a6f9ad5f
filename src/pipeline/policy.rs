//! A trajectory's own settings over the configuration's.

use recap_core::context::Reformatting;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::failure::Fault;
use crate::config::{Compressor, Config};

/// A trajectory's `policy`: the same names as the configuration's.
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
    /// `rules` or `off`, as `compress.observation`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub observation: Option<Compressor>,
    /// `rules`, as `compress.history`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub history: Option<Compressor>,
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

/// What holds for one trajectory.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// Tokens where a read names none and the trajectory has no budget.
    pub budget: u32,
    /// Share of the room above which the next epoch is prepared.
    pub soft_mark: f64,
    /// Share of the room at which a new epoch lands.
    pub low_mark: f64,
    /// Share of the room up to which turns before the last one stay as messages.
    pub tail_share: f64,
    /// Largest share of the room for human words.
    pub pinned_share: f64,
    /// Whether observations are reformatted on admission.
    pub reformatting: Reformatting,
    /// In which role observations come.
    pub observations_role: Option<ObservationsRole>,
}

impl Policy {
    /// Returns what holds under a configuration.
    #[must_use]
    pub fn over(&self, config: &Config) -> Effective {
        let context = self.context.clone().unwrap_or_default();
        let observation = self.compress.as_ref().and_then(|compress| compress.observation);
        Effective {
            budget: context.budget.unwrap_or(config.context.budget),
            soft_mark: context.soft_mark.unwrap_or(config.context.soft_mark),
            low_mark: context.low_mark.unwrap_or(config.context.low_mark),
            tail_share: context.tail_share.unwrap_or(config.context.tail_share),
            pinned_share: context.pinned_share.unwrap_or(config.context.pinned_share),
            reformatting: match observation.unwrap_or(config.compress.observation) {
                Compressor::Off => Reformatting::Off,
                Compressor::Rules | Compressor::Extract | Compressor::Llm => Reformatting::On,
            },
            observations_role: self.observations_role,
        }
    }

    /// Returns every fault under a configuration, with pointers below `/policy`.
    #[must_use]
    pub fn faults(&self, config: &Config) -> Vec<Fault> {
        let held = self.over(config);
        let compress = self.compress.clone().unwrap_or_default();
        let checks = [
            (held.budget > 0, "/policy/context/budget", "must be above 0".to_owned()),
            (
                0.0 < held.low_mark && held.low_mark < held.soft_mark && held.soft_mark < 1.0,
                "/policy/context/low_mark",
                format!("must hold 0 < low_mark ({}) < soft_mark ({}) < 1", held.low_mark, held.soft_mark),
            ),
            ((0.0..=1.0).contains(&held.tail_share), "/policy/context/tail_share", "must be from 0 to 1".to_owned()),
            (
                (0.0..=1.0).contains(&held.pinned_share),
                "/policy/context/pinned_share",
                "must be from 0 to 1".to_owned(),
            ),
            (
                matches!(compress.observation, None | Some(Compressor::Rules | Compressor::Off)),
                "/policy/compress/observation",
                "this daemon has the compressors `rules` and `off`".to_owned(),
            ),
            (
                matches!(compress.history, None | Some(Compressor::Rules)),
                "/policy/compress/history",
                "this daemon has the compressor `rules`".to_owned(),
            ),
        ];
        checks
            .into_iter()
            .filter(|(holds, ..)| !holds)
            .map(|(_, pointer, detail)| Fault { pointer: pointer.to_owned(), detail })
            .collect()
    }
}
