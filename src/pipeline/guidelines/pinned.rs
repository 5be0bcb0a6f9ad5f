//! Sets that steer single trajectories, whatever steers everybody else: how agents try a version that is no champion.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::GuidelineSet;
use crate::pipeline::Pipeline;

/// The pinned sets, by trajectory. They are in memory alone: a trajectory whose daemon ended follows its set's champions.
#[derive(Debug, Default)]
pub(super) struct Pins(ArcSwap<BTreeMap<String, Arc<GuidelineSet>>>);

impl Pins {
    pub(super) fn of(&self, trajectory: &str) -> Option<Arc<GuidelineSet>> {
        self.0.load().get(trajectory).cloned()
    }

    fn change(&self, change: impl Fn(&mut BTreeMap<String, Arc<GuidelineSet>>)) {
        self.0.rcu(|pins| {
            let mut pins = BTreeMap::clone(pins);
            change(&mut pins);
            pins
        });
    }
}

/// A set steers a trajectory for as long as this lives.
#[must_use]
pub struct Pinned {
    pipeline: Pipeline,
    trajectory: String,
}

impl Pipeline {
    /// Lets a set steer a trajectory in place of its own one, from the next read on.
    pub fn pin_guidelines(&self, trajectory: &str, set: &Arc<GuidelineSet>) -> Pinned {
        self.guidelines().pins.change(|pins| drop(pins.insert(trajectory.to_owned(), Arc::clone(set))));
        Pinned { pipeline: self.clone(), trajectory: trajectory.to_owned() }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.pipeline.guidelines().pins.change(|pins| drop(pins.remove(&self.trajectory)));
    }
}
