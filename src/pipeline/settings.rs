//! The core's settings of one trajectory.

use std::sync::Arc;

use recap_core::compress::RulesMatcher;
use recap_core::context::{Handles, Marks, RULES, Settings};
use recap_core::tokens::{Counter, count_tools};
use recap_core::trajectory::AgentKind;
use serde_json::Value;

use super::failure::Failure;
use super::policy::{Effective, ObservationsRole};
use crate::store::StoreError;

/// Returns the core's settings under a policy.
///
/// # Errors
///
/// [`StoreError::Unreadable`] where the tools are no list.
pub fn settings(
    rules: &Arc<RulesMatcher>,
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
        maker: maker(held),
        ..Settings::new(counter, Arc::clone(rules))
    })
}

/// Names code and settings that make an epoch (law 12): epochs of another maker end.
fn maker(held: &Effective) -> String {
    let settings = format!("{:?} {:?} {:?} {:?}", held.low_mark, held.soft_mark, held.tail_share, held.pinned_share);
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

    use recap_core::compress::Rules;
    use recap_core::tokens::for_model;

    use super::super::policy::Policy;
    use super::*;
    use crate::config::{Flags, load};

    #[test]
    fn the_configurations_defaults_are_the_cores() {
        let config = load(&Flags::default(), HashMap::new()).unwrap().config;
        let rules = Arc::new(RulesMatcher::new(&Rules::default()).unwrap());
        let core = Settings::new(for_model(None), Arc::clone(&rules));
        let held = Policy::default().over(&config);
        let own = settings(&rules, for_model(None), &held, None, Handles::Shown).unwrap();
        assert_eq!(own.marks, core.marks);
        assert!((own.pinned_share - core.pinned_share).abs() < f64::EPSILON);
    }
}
