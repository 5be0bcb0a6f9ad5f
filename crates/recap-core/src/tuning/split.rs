//! Which tasks a tuning run may learn from, and which it is judged on.

use serde::{Deserialize, Serialize};

/// A division of tasks in two that depends on nothing but the seed and a task's own name: the same on every machine, and
/// tasks that come later move no other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Another seed is another division.
    pub seed: u64,
    /// The share of tasks that are held out, 0 to 1.
    pub held_out: f64,
}

/// The side of a task. All its trajectories stand on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Candidates are made and chosen from it.
    Train,
    /// Only the gate sees it.
    HeldOut,
}

/// The share that is held out is no share.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the share of tasks that are held out is {0}; it must be above 0 and below 1")]
pub struct SplitError(pub f64);

impl Split {
    /// Makes a division that has two sides.
    ///
    /// # Errors
    /// [`SplitError`] where `held_out` is not above 0 and below 1.
    pub fn new(seed: u64, held_out: f64) -> Result<Self, SplitError> {
        if held_out > 0.0 && held_out < 1.0 { Ok(Self { seed, held_out }) } else { Err(SplitError(held_out)) }
    }

    /// Returns the side of a task.
    #[must_use]
    pub fn side(&self, task: &str) -> Side {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(task.as_bytes());
        let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
        let place = f64::from(u32::from_le_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0);
        if place < self.held_out { Side::HeldOut } else { Side::Train }
    }
}

impl Default for Split {
    /// Holds out three tasks of ten.
    fn default() -> Self {
        Self { seed: 0, held_out: 0.3 }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_task_stands_where_it_always_stood() {
        let split = Split::new(11, 0.5).unwrap();
        let held_out = (0..12).filter(|n| split.side(&format!("task {n}")) == Side::HeldOut);
        assert_eq!(held_out.collect::<Vec<_>>(), [1, 3, 4, 5, 6, 7, 10, 11]);
    }

    #[test]
    fn the_share_is_held_out() {
        for held_out in [0.1, 0.5, 0.8] {
            let split = Split::new(7, held_out).unwrap();
            let out = (0..10_000).filter(|n| split.side(&format!("task {n}")) == Side::HeldOut).count();
            let share = f64::from(u32::try_from(out).unwrap()) / 10_000.0;
            assert!((share - held_out).abs() < 0.02, "{share} of {held_out}");
        }
    }

    #[test]
    fn another_seed_is_another_division() {
        let sides = |seed| (0..64).map(|n| Split { seed, held_out: 0.5 }.side(&n.to_string())).collect::<Vec<_>>();
        assert_ne!(sides(1), sides(2));
        assert_eq!(sides(1), sides(1));
    }

    #[test]
    fn a_side_may_not_be_empty() {
        for share in [0.0, 1.0, -0.1, f64::NAN, f64::INFINITY] {
            assert!(Split::new(1, share).is_err());
        }
    }
}
