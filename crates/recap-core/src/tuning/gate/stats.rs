//! The statistics of the gate: an exact sign test, and a bootstrap of ratios by task.

use std::cmp::Ordering;

/// Resamples of an interval.
const RESAMPLES: usize = 2_000;

/// Returns the chance that at least `wins` of `wins + losses` fair coins fall one way: the one-sided exact sign test, on
/// pairs of successes the exact test of `McNemar` (1947). 1 where there is no pair.
#[must_use]
pub(super) fn sign_test(wins: usize, losses: usize) -> f64 {
    let n = wins + losses;
    let half = std::f64::consts::LN_2 * float(n);
    let mut log_ways = 0.0_f64;
    let mut chance = 0.0;
    // ways to lose k of n, from k = 0 on, while at least `wins` are won
    for k in 0..=losses {
        chance += (log_ways - half).exp();
        log_ways += float(n - k).ln() - float(k + 1).ln();
    }
    chance.min(1.0)
}

/// What one task adds to a ratio of each side: numerator and denominator.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) champion: [f64; 2],
    pub(super) candidate: [f64; 2],
}

/// A ratio of both sides and by how much the candidate's is greater.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    /// Tasks that have something to be a share of.
    pub(super) tasks: usize,
    pub(super) champion: f64,
    pub(super) candidate: f64,
    /// The interval's bounds; each holds at the level alone.
    pub(super) interval: [f64; 2],
}

/// Compares two ratios of sums over tasks; those without a denominator say nothing and are left out. `None` where none is
/// left. The interval is the percentile bootstrap's (Efron 1979) with tasks drawn whole: a share `level` of the resamples
/// lies beyond each bound.
#[must_use]
pub(super) fn difference(tasks: &[Sums], level: f64, seed: u64) -> Option<Difference> {
    let tasks: Vec<&Sums> = tasks.iter().filter(|task| task.is_measured()).collect();
    if tasks.is_empty() {
        return None;
    }
    let total = tasks.iter().copied().fold(Sums::default(), Sums::plus);
    let mut draws = Draws(seed);
    let mut differences: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..tasks.len()).filter_map(|_| tasks.get(draws.below(tasks.len())).copied());
            drawn.fold(Sums::default(), Sums::plus).difference()
        })
        .collect();
    differences.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2,000")]
    let beyond = (level.clamp(0.0, 0.5) * float(RESAMPLES)) as usize;
    let at = |place: usize| differences.get(place.min(RESAMPLES - 1)).copied().unwrap_or(0.0);
    Some(Difference {
        tasks: tasks.len(),
        champion: ratio(total.champion),
        candidate: ratio(total.candidate),
        interval: [at(beyond), at((RESAMPLES - 1).saturating_sub(beyond))],
    })
}

/// Counts the tasks of which the candidate's ratio is greater, and those of which the champion's is.
#[must_use]
pub(super) fn discordant(tasks: &[Sums]) -> [usize; 2] {
    let count = |order: Ordering| tasks.iter().filter(|task| task.is_measured() && task.order() == order).count();
    [count(Ordering::Greater), count(Ordering::Less)]
}

impl Sums {
    fn plus(self, other: &Self) -> Self {
        let add = |a: [f64; 2], b: [f64; 2]| [a[0] + b[0], a[1] + b[1]];
        Self { champion: add(self.champion, other.champion), candidate: add(self.candidate, other.candidate) }
    }

    fn difference(self) -> f64 {
        ratio(self.candidate) - ratio(self.champion)
    }

    /// Tells whether there is something to be a share of.
    fn is_measured(&self) -> bool {
        self.champion[1] > 0.0
    }

    /// How the candidate's ratio stands to the champion's. Equal shares have equal quotients: division rounds correctly.
    fn order(&self) -> Ordering {
        ratio(self.candidate).total_cmp(&ratio(self.champion))
    }
}

/// A ratio; of nothing, nothing is there.
fn ratio([part, whole]: [f64; 2]) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Draws numbers: `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let scaled = (u128::from(z ^ (z >> 31)) * (bound as u128)) >> 64;
        usize::try_from(scaled).unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} is not {b}");
    }

    #[test]
    fn the_sign_test_is_exact() {
        near(sign_test(0, 0), 1.0);
        near(sign_test(4, 0), 1.0 / 16.0);
        near(sign_test(5, 0), 1.0 / 32.0);
        near(sign_test(0, 5), 1.0);
        near(sign_test(7, 1), 9.0 / 256.0);
        near(sign_test(6, 2), 37.0 / 256.0);
        assert!(sign_test(3_000, 2_000) < 1e-40);
    }

    #[test]
    fn five_pairs_of_one_mind_are_the_least_that_convince() {
        assert!(sign_test(4, 0) > 0.05 && sign_test(5, 0) < 0.05 && sign_test(5, 1) > 0.05);
    }

    #[test]
    fn intervals_are_as_wide_as_tasks_differ() {
        let even = [Sums { champion: [1.0, 10.0], candidate: [2.0, 10.0] }; 9];
        let found = difference(&even, 0.05, 1).unwrap();
        near(found.candidate - found.champion, 0.1);
        near(found.interval[0], 0.1);
        near(found.interval[1], 0.1);
        let mixed: Vec<Sums> = (0..40u8)
            .map(|n| Sums { champion: [5.0, 10.0], candidate: [if n % 2 == 0 { 2.0 } else { 9.0 }, 10.0] })
            .collect();
        let [low, high] = difference(&mixed, 0.05, 1).unwrap().interval;
        // ± 1.645 standard errors of 0.35 / √40
        assert!((low - (0.05 - 0.091)).abs() < 0.02 && (high - (0.05 + 0.091)).abs() < 0.02, "{low} {high}");
        assert_eq!(difference(&mixed, 0.05, 7), difference(&mixed, 0.05, 7));
    }

    #[test]
    fn what_was_not_measured_has_no_share() {
        assert_eq!(difference(&[], 0.05, 1), None);
        assert_eq!(difference(&[Sums::default(); 9], 0.05, 1), None);
        let mut tasks = vec![Sums::default(); 9];
        tasks.push(Sums { champion: [1.0, 10.0], candidate: [2.0, 10.0] });
        let found = difference(&tasks, 0.05, 1).unwrap();
        assert_eq!(found.tasks, 1);
        near(found.interval[0], 0.1);
        assert_eq!(discordant(&tasks), [1, 0]);
    }

    #[test]
    fn tasks_are_discordant_by_their_ratios() {
        let task = |champion, candidate| Sums { champion, candidate };
        let tasks = [
            task([1.0, 3.0], [2.0, 6.0]),
            task([1.0, 3.0], [1.0, 2.0]),
            task([1.0, 3.0], [0.0, 0.0]),
            task([3.0, 3.0], [2.0, 3.0]),
        ];
        assert_eq!(discordant(&tasks), [1, 2]);
    }
}
