//! Counters that are sums of events, and fade.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

const WEEK_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// After this many weeks an event weighs half.
pub const HALF_LIFE_WEEKS: u32 = 13;

/// A sum of events by the week that they happened in. Taking back takes the newest events first, and no more than there
/// are, so that a tally of merged ones is always their sum.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tally(BTreeMap<i64, i64>);

impl Tally {
    /// Counts `count` events at a time in milliseconds since 1970; below 0, takes events back.
    pub fn add(&mut self, count: i64, at_ms: i64) {
        if count > 0 {
            let sum = self.0.entry(at_ms.div_euclid(WEEK_MS)).or_default();
            *sum = sum.saturating_add(count);
        } else {
            self.take_back(count.saturating_neg());
        }
    }

    fn take_back(&mut self, mut count: i64) {
        while count > 0
            && let Some((week, sum)) = self.0.pop_last()
        {
            if sum > count {
                self.0.insert(week, sum - count);
            }
            count = count.saturating_sub(sum);
        }
    }

    /// Takes over the events of another one.
    pub fn merge(&mut self, other: &Self) {
        for (week, count) in &other.0 {
            self.add(*count, week.saturating_mul(WEEK_MS));
        }
    }

    /// Returns how many events there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        let sum = self.0.values().fold(0i64, |sum, count| sum.saturating_add(*count));
        u64::try_from(sum).unwrap_or(0)
    }

    /// Returns the sum in which an event weighs half after [`HALF_LIFE_WEEKS`].
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts and weeks are far below 2^53")]
    pub fn faded(&self, now_ms: i64) -> f64 {
        let now = now_ms.div_euclid(WEEK_MS);
        let weight = |week: i64| 0.5_f64.powf(now.saturating_sub(week).max(0) as f64 / f64::from(HALF_LIFE_WEEKS));
        self.0.iter().map(|(week, count)| *count as f64 * weight(*week)).sum::<f64>().max(0.0)
    }
}
