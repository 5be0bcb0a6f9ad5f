//! Whether a plan looks like those that a head was trained on. A head that is asked about anything else guesses.
//!
//! A plan's profile is the mean of each feature over its values, before they are made relative: which kinds of values and lines
//! it holds, how large its results are, how much of them the agent wrote. Code and customer service differ in nearly all of them.

use serde::{Deserialize, Serialize};

use super::features::{FEATURES, Features};

/// Plans below which nothing can be said of what is usual.
const LEAST_PLANS: usize = 20;
/// The share of training plans that count as usual.
const USUAL_SHARE: f64 = 0.99;
/// Added to standard deviations: a feature that never differed in training may differ by so much.
const LEAST_DEVIATION: f32 = 0.02;
/// One feature counts for at most this many standard deviations.
const MOST_DEVIATIONS: f32 = 10.0;

/// What was usual in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Familiar {
    /// The mean of each feature's mean, over plans.
    pub means: Vec<f32>,
    /// Its standard deviation over plans.
    pub deviations: Vec<f32>,
    /// The largest distance that is usual: the root of the mean squared deviation, in standard deviations.
    pub limit: f32,
}

/// Returns a plan's profile, from the features of its values as they are counted.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "values of one plan are far below 2^24")]
pub fn profile<'a>(values: impl IntoIterator<Item = &'a Features>) -> Features {
    let (mut sums, mut count) = ([0.0_f32; FEATURES], 0_usize);
    for features in values {
        count += 1;
        for (sum, number) in sums.iter_mut().zip(features) {
            *sum += number;
        }
    }
    sums.map(|sum| sum / count.max(1) as f32)
}

impl Familiar {
    /// Learns what is usual from the profiles of training plans; `None` where these are too few.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "plans of a training are far below 2^53")]
    #[expect(clippy::cast_possible_truncation, reason = "means of single-precision numbers")]
    pub fn of(plans: &[Features]) -> Option<Self> {
        if plans.len() < LEAST_PLANS {
            return None;
        }
        let count = plans.len() as f64;
        let column = |at: usize| plans.iter().map(move |plan| f64::from(plan.get(at).copied().unwrap_or(0.0)));
        let means: Vec<f64> = (0..FEATURES).map(|at| column(at).sum::<f64>() / count).collect();
        let squares = means.iter().enumerate().map(|(at, mean)| column(at).map(|x| (x - mean).powi(2)).sum::<f64>());
        let deviations = squares.map(|sum| (sum / count).sqrt() as f32).collect();
        let means = means.into_iter().map(|mean| mean as f32).collect();
        let mut usual = Self { means, deviations, limit: 0.0 };
        let mut distances: Vec<f32> = plans.iter().map(|plan| usual.distance(plan)).collect();
        distances.sort_unstable_by(f32::total_cmp);
        usual.limit = distances.get(rank(distances.len())).or(distances.last()).copied()?;
        Some(usual)
    }

    /// Tells whether a plan with this profile is usual.
    #[must_use]
    pub fn knows(&self, profile: &Features) -> bool {
        self.distance(profile) <= self.limit
    }

    /// Tells whether there is a finite number for each feature, and none below 0 that cannot be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let sizes = [self.means.len(), self.deviations.len()] == [FEATURES, FEATURES];
        let positive = |number: &f32| number.is_finite() && *number >= 0.0;
        sizes
            && self.means.iter().all(|mean| mean.is_finite())
            && self.deviations.iter().chain([&self.limit]).all(positive)
    }

    /// How far a profile is from the usual, in standard deviations.
    #[expect(clippy::cast_precision_loss, reason = "56 features")]
    fn distance(&self, profile: &Features) -> f32 {
        let usual = self.means.iter().zip(&self.deviations);
        let squares = profile.iter().zip(usual).map(|(number, (mean, deviation))| {
            ((number - mean).abs() / (deviation + LEAST_DEVIATION)).min(MOST_DEVIATIONS).powi(2)
        });
        (squares.sum::<f32>() / FEATURES as f32).sqrt()
    }
}

/// The place of the last usual one among so many in order.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a count is a count"
)]
fn rank(count: usize) -> usize {
    (count as f64 * USUAL_SHARE) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]

    use super::*;

    /// A plan whose first numbers wander and whose others stay.
    fn plan(n: u16) -> Features {
        let mut features = [0.3; FEATURES];
        features[0] = f32::from(n % 10) / 10.0;
        features[1] = f32::from(n % 7) / 7.0;
        features
    }

    #[test]
    fn a_profile_is_the_mean_of_a_plans_values() {
        let mut rows = [[0.0; FEATURES]; 4];
        rows[3][2] = 1.0;
        assert_eq!((profile(&rows)[2], profile(&rows)[0]), (0.25, 0.0));
        assert_eq!(profile([]), [0.0; FEATURES]);
    }

    #[test]
    fn what_is_like_training_is_known_and_what_is_not_is_not() {
        let plans: Vec<Features> = (0..300).map(plan).collect();
        let usual = Familiar::of(&plans).unwrap();
        assert!(usual.is_sound());
        assert!(plans.iter().filter(|plan| usual.knows(plan)).count() >= 297);
        assert!(usual.knows(&plan(411)));
        let mut other = plan(5);
        other[8..20].fill(0.9);
        assert!(!usual.knows(&other), "what never differed in training does here");
        assert_eq!(Familiar::of(&plans[..LEAST_PLANS - 1]), None);
    }

    #[test]
    fn one_wild_number_has_a_bounded_say() {
        let plans: Vec<Features> = (0..300).map(plan).collect();
        let usual = Familiar::of(&plans).unwrap();
        let mut wild = plan(5);
        wild[40] = f32::MAX;
        assert!(usual.distance(&wild).is_finite());
        assert!(!Familiar { limit: f32::NAN, ..usual }.is_sound());
    }
}
