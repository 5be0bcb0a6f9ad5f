//! The core's settings of one trajectory.

use std::sync::Arc;

use recap_core::context::{ActiveHead, Handles, HistoryBy, Marks, Prepares, RULES, Settings, Weights};
use recap_core::tokens::{Counter, count_tools};
use recap_core::trajectory::AgentKind;
use serde_json::Value;

use super::failure::Failure;
use super::guidelines::GuidelineSet;
use super::policy::Effective;
use crate::config::{Compressor, ObservationsRole};
use crate::store::StoreError;

/// Returns the core's settings under a policy and guidelines.
///
/// # Errors
///
/// [`StoreError::Unreadable`] where the tools are no list.
pub fn settings(
    set: &GuidelineSet,
    counter: Counter,
    held: &Effective,
    tools: Option<&str>,
    handles: Handles,
) -> Result<Settings, Failure> {
    Ok(Settings {
        tools_tokens: tools.map_or(Ok(0), |tools| tools_tokens(tools, &counter))?,
        agent_kind: held.observations_role.map(|role| match role {
            ObservationsRole::Tool => AgentKind::Tool,
            ObservationsRole::User => AgentKind::Text,
        }),
        marks: Marks { low: held.low_mark, soft: held.soft_mark, tail: held.tail_share },
        pinned_share: held.pinned_share,
        handles,
        maker: maker(held, set),
        history_rules: Arc::clone(&set.history.rules),
        weights: Weights::default().under(&set.history.guideline.weigh),
        observation_guideline: Some(set.observation.label.clone()),
        guideline: Some(set.history.label.clone()),
        prepares: prepares(held, set),
        head: asked_head(held, set),
        ..Settings::new(counter, Arc::clone(&set.observation.rules))
    })
}

/// The trained head that has its word in what `extract` keeps of old turns.
fn asked_head(held: &Effective, set: &GuidelineSet) -> Option<Arc<ActiveHead>> {
    set.head.clone().filter(|_| held.history == Compressor::Extract)
}

/// What policy leaves to models.
fn prepares(held: &Effective, set: &GuidelineSet) -> Prepares {
    let least_tokens = held.t_hist.under(set.history.guideline.thresholds.t_hist);
    Prepares {
        observations: matches!(held.observation, Compressor::Extract | Compressor::Llm),
        history: match held.history {
            Compressor::Rules | Compressor::Off => HistoryBy::Rules,
            Compressor::Extract if !held.reranks => HistoryBy::Rules,
            Compressor::Extract => HistoryBy::Scored,
            Compressor::Llm => HistoryBy::Told { least_tokens },
        },
    }
}

/// Names code, settings and guidelines that make an epoch (law 12): epochs of another maker end.
fn maker(held: &Effective, set: &GuidelineSet) -> String {
    let mut settings =
        format!("{:?} {:?} {:?} {:?}", held.low_mark, held.soft_mark, held.tail_share, held.pinned_share);
    if prepares(held, set) != Prepares::default() {
        settings.extend([format!(" {:?} {:?}", held.observation, held.history)]);
    }
    if let Some(head) = asked_head(held, set) {
        settings.push_str(&head.hash.to_string());
    }
    for guideline in [&set.observation, &set.history] {
        settings.extend([format!(" {} {}", guideline.label, guideline.hash)]);
    }
    let hash = blake3::hash(settings.as_bytes()).to_hex();
    format!("{RULES}+{}", hash.get(..12).unwrap_or_default())
}

fn tools_tokens(tools: &str, counter: &Counter) -> Result<u32, Failure> {
    let tools: Vec<Value> = serde_json::from_str(tools).map_err(|_| StoreError::Unreadable("a trajectory's tools"))?;
    Ok(count_tools(&tools, counter.as_ref()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::HashMap;

    use recap_core::compress::{Guideline, GuidelineKind, Rules, RulesMatcher};
    use recap_core::tokens::for_model;

    use super::super::guidelines::Guidelines;
    use super::super::policy::over;
    use super::*;
    use crate::config::{Flags, Policy, load};

    #[test]
    fn the_configurations_defaults_are_the_cores() {
        let config = load(&Flags::default(), HashMap::new()).unwrap().config;
        let rules = Arc::new(RulesMatcher::new(&Rules::default()).unwrap());
        let core = Settings::new(for_model(None), Arc::clone(&rules));
        let held = over(&Policy::default(), &config);
        let guidelines = Guidelines::load(&config.guidelines).unwrap();
        let own = settings(&guidelines.default_set(), for_model(None), &held, None, Handles::Shown).unwrap();
        assert_eq!(own.marks, core.marks);
        assert!((own.pinned_share - core.pinned_share).abs() < f64::EPSILON);
    }

    #[test]
    fn a_guideline_sets_weights() {
        let config = load(&Flags::default(), HashMap::new()).unwrap().config;
        let held = over(&Policy::default(), &config);
        let mut set = (*Guidelines::load(&config.guidelines).unwrap().default_set()).clone();
        let text = "---\nweigh: {path: 2.5}\n---\n";
        set.history.guideline = Guideline::parse_as(GuidelineKind::History, text).unwrap().into();
        let own = settings(&set, for_model(None), &held, None, Handles::Shown).unwrap();
        assert_eq!(own.weights, Weights { path: 2.5, ..Weights::default() });
    }

    #[test]
    fn law_12_another_guideline_is_another_maker() {
        let config = load(&Flags::default(), HashMap::new()).unwrap().config;
        let held = over(&Policy::default(), &config);
        let set = (*Guidelines::load(&config.guidelines).unwrap().default_set()).clone();
        let before = maker(&held, &set);
        for kind in 0..2 {
            let mut other = set.clone();
            let changed = if kind == 0 { &mut other.observation } else { &mut other.history };
            changed.hash = recap_core::trajectory::OriginalHash::of("another");
            assert_ne!(maker(&held, &other), before);
        }
        assert_eq!(maker(&held, &set.clone()), before);
    }
}
