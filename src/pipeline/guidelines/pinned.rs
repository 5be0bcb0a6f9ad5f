//! Sets that steer single trajectories, whatever steers everybody else: how agents try a version that is no champion.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::GuidelineSet;
use crate::pipeline::Pipeline;

/// The pinned sets, by trajectory. They are in memory alone: a trajectory whose daemon ended follows its set's champions.
#[derive(Debug, Default)]
pub(super) struct Pins(ArcSwap<BTreeMap<String, Pin>>);

#[derive(Debug, Clone)]
struct Pin {
    set: Arc<GuidelineSet>,
    /// The trajectory that it was pinned to; others are forks.
    root: String,
}

impl Pins {
    pub(super) fn of(&self, trajectory: &str) -> Option<Arc<GuidelineSet>> {
        self.0.load().get(trajectory).map(|pin| Arc::clone(&pin.set))
    }

    fn pin(&self, trajectory: &str, set: &Arc<GuidelineSet>) {
        let pin = Pin { set: Arc::clone(set), root: trajectory.to_owned() };
        self.change(|pins| drop(pins.insert(trajectory.to_owned(), pin.clone())));
    }

    fn pin_fork(&self, trajectory: &str, fork: &str) {
        self.change(|pins| {
            if let Some(pin) = pins.get(trajectory).cloned() {
                pins.insert(fork.to_owned(), pin);
            }
        });
    }

    fn release(&self, root: &str) {
        self.change(|pins| pins.retain(|_, pin| pin.root != root));
    }

    fn change(&self, change: impl Fn(&mut BTreeMap<String, Pin>)) {
        self.0.rcu(|pins| {
            let mut pins = BTreeMap::clone(pins);
            change(&mut pins);
            pins
        });
    }
}

/// A set steers a trajectory and its forks for as long as this lives.
#[must_use]
pub struct Pinned {
    pipeline: Pipeline,
    trajectory: String,
}

impl Pipeline {
    /// Lets a set steer a trajectory in place of its own one, from the next read on.
    pub fn pin_guidelines(&self, trajectory: &str, set: &Arc<GuidelineSet>) -> Pinned {
        self.guidelines().pins.pin(trajectory, set);
        Pinned { pipeline: self.clone(), trajectory: trajectory.to_owned() }
    }

    /// Lets what is pinned to a trajectory steer its fork, too.
    pub(in crate::pipeline) fn pin_fork(&self, trajectory: &str, fork: &str) {
        self.guidelines().pins.pin_fork(trajectory, fork);
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.pipeline.guidelines().pins.release(&self.trajectory);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::Guidelines;
    use super::*;

    #[test]
    fn a_pin_holds_for_its_trajectory_and_forks_until_it_is_released() {
        let set = Guidelines::load(&crate::config::Guidelines::default()).unwrap().default_set();
        let (pins, other) = (Pins::default(), Arc::new(GuidelineSet::clone(&set)));
        pins.pin("a", &set);
        pins.pin("b", &other);
        for (from, to) in [("a", "a-1"), ("a-1", "a-2"), ("c", "c-1")] {
            pins.pin_fork(from, to);
        }
        let holds =
            |trajectory: &str, set: &Arc<GuidelineSet>| pins.of(trajectory).is_some_and(|pin| Arc::ptr_eq(&pin, set));
        assert!(["a", "a-1", "a-2"].iter().all(|trajectory| holds(trajectory, &set)) && holds("b", &other));
        assert!(pins.of("c-1").is_none());
        pins.release("a");
        assert!(["a", "a-1", "a-2"].iter().all(|trajectory| pins.of(trajectory).is_none()) && holds("b", &other));
    }
}
