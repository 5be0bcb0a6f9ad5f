//! A trajectory's own settings over the configuration's.

use super::failure::Fault;
use crate::config::{Compressor, Config, ObservationsRole, Policy, lack, lack_of_history};
use recap_core::context::Reformatting;

/// Returns what holds for a trajectory: its own policy over its agent's, its namespace's and the configuration.
#[must_use]
pub fn held(own: &Policy, namespace: &str, agent: Option<&str>, config: &Config) -> Effective {
    let named = |name: String| config.policies.get(&name).cloned().unwrap_or_default();
    let agent = agent.map(|agent| named(format!("agent:{agent}"))).unwrap_or_default();
    over(&own.or(&agent).or(&named(format!("namespace:{namespace}"))), config)
}

/// A number of tokens and who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// A policy, which goes before the guideline.
    Policy(u32),
    /// The configuration, which the guideline goes before.
    Configuration(u32),
}

impl Threshold {
    fn new(policy: Option<u32>, configuration: u32) -> Self {
        policy.map_or(Self::Configuration(configuration), Self::Policy)
    }

    /// Returns the tokens under a guideline.
    #[must_use]
    pub fn under(self, guideline: Option<std::num::NonZeroU32>) -> u32 {
        match self {
            Self::Policy(tokens) => tokens,
            Self::Configuration(tokens) => guideline.map_or(tokens, std::num::NonZeroU32::get),
        }
    }
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
    /// What shortens observations.
    pub observation: Compressor,
    /// What tells old turns.
    pub history: Compressor,
    /// Tokens above which a model shortens an observation, where policy or configuration says more than the guideline.
    pub t_obs: Threshold,
    /// Tokens of turns without a recap above which a model writes one, likewise.
    pub t_hist: Threshold,
    /// Whether observations are reformatted on admission.
    pub reformatting: Reformatting,
    /// Whether a cross-encoder scores lines for `extract`.
    pub reranks: bool,
    /// In which role observations come.
    pub observations_role: Option<ObservationsRole>,
}

/// Returns what holds under a policy and the configuration, whoever the trajectory belongs to.
#[must_use]
pub fn over(policy: &Policy, config: &Config) -> Effective {
    let context = policy.context.clone().unwrap_or_default();
    let compress = policy.compress.clone().unwrap_or_default();
    let observation = compress.observation.unwrap_or(config.compress.observation);
    Effective {
        observation,
        history: compress.history.unwrap_or(config.compress.history),
        t_obs: Threshold::new(compress.t_obs, config.compress.t_obs),
        t_hist: Threshold::new(compress.t_hist, config.compress.t_hist),
        budget: context.budget.unwrap_or(config.context.budget),
        soft_mark: context.soft_mark.unwrap_or(config.context.soft_mark),
        low_mark: context.low_mark.unwrap_or(config.context.low_mark),
        tail_share: context.tail_share.unwrap_or(config.context.tail_share),
        pinned_share: context.pinned_share.unwrap_or(config.context.pinned_share),
        reformatting: match observation {
            Compressor::Off => Reformatting::Off,
            Compressor::Rules | Compressor::Extract | Compressor::Llm => Reformatting::On,
        },
        reranks: config.models.reranker.is_some(),
        observations_role: policy.observations_role,
    }
}

/// Returns every fault of a policy under a configuration, with pointers below `/policy`.
#[must_use]
pub fn faults(policy: &Policy, config: &Config) -> Vec<Fault> {
    let held = over(policy, config);
    let lacks = |what: &str| format!("this daemon lacks {what}");
    let observation = lack(config, held.observation).map(lacks);
    let history = lack_of_history(config, held.history).map(lacks);
    let checks = [
        (held.budget > 0, "/policy/context/budget", "must be above 0".to_owned()),
        (
            0.0 < held.low_mark && held.low_mark < held.soft_mark && held.soft_mark < 1.0,
            "/policy/context/low_mark",
            format!("must hold 0 < low_mark ({}) < soft_mark ({}) < 1", held.low_mark, held.soft_mark),
        ),
        ((0.0..=1.0).contains(&held.tail_share), "/policy/context/tail_share", "must be from 0 to 1".to_owned()),
        ((0.0..=1.0).contains(&held.pinned_share), "/policy/context/pinned_share", "must be from 0 to 1".to_owned()),
        (observation.is_none(), "/policy/compress/observation", observation.unwrap_or_default()),
        (
            history.is_none() && held.history != Compressor::Off,
            "/policy/compress/history",
            history.unwrap_or_else(|| "must be `rules`, `extract` or `llm`".to_owned()),
        ),
    ];
    checks
        .into_iter()
        .filter(|(holds, ..)| !holds)
        .map(|(_, pointer, detail)| Fault { pointer: pointer.to_owned(), detail })
        .collect()
}
