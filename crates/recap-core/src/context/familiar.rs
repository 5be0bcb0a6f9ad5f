//! Whether a plan looks like those that a head was trained on. A head that is asked about anything else guesses.
//!
//! A plan's profile is the mean of each feature over its values, before they are made relative: which kinds of values and lines
//! it holds, how large its results are, how much of them the agent wrote. Code and customer service differ in nearly all of them.

use serde::{Deserialize, Serialize};

use super::features::{FEATURES, Features, SCORE_AT};

/// Tasks below which nothing can be said of what is usual.
pub const LEAST_FAMILIAR_TASKS: usize = 10;
/// The share of plans of unseen tasks that count as usual.
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

/// A plan that a head is trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingPlan {
    /// The task of its run, by any number: plans of one task look alike.
    pub task: u64,
    /// Its profile.
    pub profile: Features,
}

/// Returns a plan's profile, from the features of its values as they are counted; `None` for a plan without values.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "values of one plan are far below 2^24")]
pub fn profile<'a>(values: impl IntoIterator<Item = &'a Features>) -> Option<Features> {
    let (mut sums, mut count) = ([0.0_f32; FEATURES], 0_usize);
    for features in values {
        count += 1;
        for (sum, number) in sums.iter_mut().zip(features) {
            *sum += number;
        }
    }
    (count > 0).then(|| sums.map(|sum| sum / count as f32))
}

impl Familiar {
    /// Learns what is usual from the plans of a training, of which all numbers are finite. The limit is honest: every second
    /// task is measured by the means and deviations of the others, both ways, and the larger distance stands. `None` for plans
    /// of fewer than [`LEAST_FAMILIAR_TASKS`] tasks: a head without this is asked about every plan.
    #[must_use]
    pub fn of(plans: &[TrainingPlan]) -> Option<Self> {
        let mut tasks: Vec<u64> = plans.iter().map(|plan| plan.task).collect();
        tasks.sort_unstable();
        tasks.dedup();
        if tasks.len() < LEAST_FAMILIAR_TASKS {
            return None;
        }
        let is_first = |plan: &TrainingPlan| tasks.binary_search(&plan.task).is_ok_and(|at| at % 2 == 0);
        let half = |first: bool| plans.iter().filter(|plan| is_first(plan) == first).collect::<Vec<_>>();
        let (one, other) = (half(true), half(false));
        let limit = Self::usual(&one).reach(&other).max(Self::usual(&other).reach(&one));
        Some(Self { limit, ..Self::usual(&plans.iter().collect::<Vec<_>>()) })
    }

    /// The means and deviations of plans, without a limit.
    #[expect(clippy::cast_precision_loss, reason = "plans of a training are far below 2^53")]
    #[expect(clippy::cast_possible_truncation, reason = "means of single-precision numbers")]
    fn usual(plans: &[&TrainingPlan]) -> Self {
        let count = plans.len().max(1) as f64;
        let column = |at: usize| plans.iter().map(move |plan| f64::from(plan.profile.get(at).copied().unwrap_or(0.0)));
        let means: Vec<f64> = (0..FEATURES).map(|at| column(at).sum::<f64>() / count).collect();
        let squares = means.iter().enumerate().map(|(at, mean)| column(at).map(|x| (x - mean).powi(2)).sum::<f64>());
        let deviations = squares.map(|sum| (sum / count).sqrt() as f32).collect();
        Self { means: means.into_iter().map(|mean| mean as f32).collect(), deviations, limit: 0.0 }
    }

    /// The distance within which the usual share of plans lies.
    fn reach(&self, plans: &[&TrainingPlan]) -> f32 {
        let mut distances: Vec<f32> = plans.iter().map(|plan| self.distance(&plan.profile)).collect();
        distances.sort_unstable_by(f32::total_cmp);
        distances.get(rank(distances.len())).or(distances.last()).copied().unwrap_or(0.0)
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

    /// How far a profile is from the usual, in standard deviations. A reranker's score has no part in it: whether there is one is
    /// the daemon's configuration and says nothing of the plan.
    #[expect(clippy::cast_precision_loss, reason = "55 features")]
    fn distance(&self, profile: &Features) -> f32 {
        let usual = self.means.iter().zip(&self.deviations);
        let of_plan = profile.iter().zip(usual).enumerate().filter(|(at, _)| *at != SCORE_AT);
        let squares = of_plan.map(|(_, (number, (mean, deviation)))| {
            ((number - mean).abs() / (deviation + LEAST_DEVIATION)).min(MOST_DEVIATIONS).powi(2)
        });
        (squares.sum::<f32>() / (FEATURES - 1) as f32).sqrt()
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
    #![allow(clippy::unwrap_used, clippy::float_cmp, clippy::cast_possible_truncation, reason = "tests")]

    use super::*;

    /// A plan of one of 30 tasks, whose first numbers wander and whose others stay.
    fn plan(n: u16) -> TrainingPlan {
        let mut profile = [0.3; FEATURES];
        profile[0] = f32::from(n % 10) / 10.0;
        profile[1] = f32::from(n % 7) / 7.0;
        TrainingPlan { task: u64::from(n % 30), profile }
    }

    #[test]
    fn a_profile_is_the_mean_of_a_plans_values() {
        let mut rows = [[0.0; FEATURES]; 4];
        rows[3][2] = 1.0;
        let found = profile(&rows).unwrap();
        assert_eq!((found[2], found[0]), (0.25, 0.0));
        assert_eq!(profile([]), None);
    }

    #[test]
    fn what_is_like_training_is_known_and_what_is_not_is_not() {
        let plans: Vec<TrainingPlan> = (0..300).map(plan).collect();
        let usual = Familiar::of(&plans).unwrap();
        assert!(usual.is_sound());
        assert!(plans.iter().filter(|plan| usual.knows(&plan.profile)).count() >= 297);
        assert!(usual.knows(&plan(411).profile));
        let mut other = plan(5).profile;
        other[8..20].fill(0.9);
        assert!(!usual.knows(&other), "what never differed in training does here");
    }

    #[test]
    fn many_plans_of_few_tasks_say_nothing_of_what_is_usual() {
        let of_tasks = |tasks: usize| {
            let plans = (0..300).map(|n| TrainingPlan { task: u64::from(n) % tasks as u64, ..plan(n) });
            Familiar::of(&plans.collect::<Vec<_>>())
        };
        assert_eq!(of_tasks(LEAST_FAMILIAR_TASKS - 1), None);
        assert!(of_tasks(LEAST_FAMILIAR_TASKS).is_some());
    }

    #[test]
    fn the_limit_is_that_of_tasks_which_means_and_deviations_do_not_know() {
        let odd = |task: u64| {
            let mut profile = [0.0; FEATURES];
            profile[task as usize] = 1.0;
            TrainingPlan { task, profile }
        };
        let plans: Vec<TrainingPlan> = (0..20).map(|n| odd(n % 10)).collect();
        let usual = Familiar::of(&plans).unwrap();
        assert!(usual.knows(&odd(12).profile), "each task had a number that no other had: so may the next");
        let within = plans.iter().map(|plan| usual.distance(&plan.profile)).fold(0.0, f32::max);
        assert!(usual.limit > 2.0 * within, "{} {within}", usual.limit);
        let mut other = odd(12).profile;
        other[13] = 1.0;
        assert!(!usual.knows(&other));
    }

    #[test]
    fn one_wild_number_has_a_bounded_say() {
        let plans: Vec<TrainingPlan> = (0..300).map(plan).collect();
        let usual = Familiar::of(&plans).unwrap();
        let mut wild = plan(5).profile;
        wild[40] = f32::MAX;
        assert!(usual.distance(&wild).is_finite());
        assert!(!Familiar { limit: f32::NAN, ..usual }.is_sound());
    }
}
