//! What replays of many trajectories say together.

use serde::Serialize;

use super::run::TrajectoryScore;

/// Resamples of the bootstrap interval.
const RESAMPLES: usize = 500;

/// The measures over many trajectories. Ratios are rounded to four decimals; `None` where nothing was to be kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Trajectories replayed.
    pub trajectories: usize,
    /// Contexts served.
    pub contexts: usize,
    /// Values needed.
    pub needed: usize,
    /// Of those, far: before the last turn only.
    pub far_needed: usize,
    /// Of those, used by the agent for the first time.
    pub first_needed: usize,
    /// Needed values present.
    pub grounding: Option<f64>,
    /// Needed values near the words that stood near them.
    pub bound: Option<f64>,
    /// Far values present.
    pub far: Option<f64>,
    /// First uses bound.
    pub first: Option<f64>,
    /// First uses with a whole source line.
    pub whole: Option<f64>,
    /// 95 % bootstrap interval of `bound`, resampled by trajectory.
    pub bound_ci95: [f64; 2],
    /// Trajectories that lost no value.
    pub intact: Option<f64>,
    /// Largest served context relative to the full one, mean over trajectories.
    pub peak: Option<f64>,
    /// Quadratic token cost relative to full contexts.
    pub dependency: Option<f64>,
    /// Input tokens with a cached prefix at 0.1, relative to full contexts.
    pub billed: Option<f64>,
    /// Previous contexts' tokens that stand as an unchanged prefix.
    pub prefix: Option<f64>,
    /// Contexts refused as too small and asked for again.
    pub refused: usize,
    /// Trajectories whose budget was the floor.
    pub floored: Option<f64>,
    /// Contexts larger than the budget.
    pub over: usize,
    /// Contexts that no provider accepts, or that are not the conversation.
    pub invalid: usize,
}

impl Summary {
    /// Sums up the scores of several trajectories.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    pub fn of(scores: &[TrajectoryScore]) -> Summary {
        let sum = |field: fn(&TrajectoryScore) -> usize| scores.iter().map(field).sum::<usize>();
        let total = |field: fn(&TrajectoryScore) -> f64| scores.iter().map(field).sum::<f64>();
        let share = |part: usize, of: usize| ratio(part as f64, of as f64);
        let (needed, far, first) = (sum(|s| s.need), sum(|s| s.far), sum(|s| s.first));
        let measured = scores.iter().filter(|s| s.full_peak > 0);
        let peaks: Vec<f64> = measured.map(|s| s.peak as f64 / s.full_peak as f64).collect();
        Summary {
            trajectories: scores.len(),
            contexts: sum(|s| s.steps),
            needed,
            far_needed: far,
            first_needed: first,
            grounding: share(sum(|s| s.kept), needed),
            bound: share(sum(|s| s.bound), needed),
            far: share(sum(|s| s.far_kept), far),
            first: share(sum(|s| s.first_kept), first),
            whole: share(sum(|s| s.whole_kept), first),
            bound_ci95: interval(scores),
            intact: share(sum(|s| usize::from(s.kept == s.need)), scores.len()),
            peak: ratio(peaks.iter().sum(), peaks.len() as f64),
            dependency: ratio(total(|s| s.dep), total(|s| s.full_dep)),
            billed: ratio(total(|s| s.billed), total(|s| s.full_billed)),
            prefix: ratio(total(|s| s.pre as f64), total(|s| s.pre_of as f64)),
            refused: sum(|s| s.refused),
            floored: share(sum(|s| usize::from(s.floored)), scores.len()),
            over: sum(|s| s.over),
            invalid: sum(|s| s.invalid),
        }
    }
}

/// Returns a quotient rounded to four decimals (ties of the exact value to even), `None` by zero.
fn ratio(part: f64, of: f64) -> Option<f64> {
    if of == 0.0 {
        return None;
    }
    let quotient = part / of;
    format!("{quotient:.4}").parse().ok()
}

/// Returns the 95 % bootstrap interval of `bound`; the same scores always give the same interval.
#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn interval(scores: &[TrajectoryScore]) -> [f64; 2] {
    let mut state = 0_u64;
    let mut bounds: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let (mut kept, mut of) = (0, 0);
            for _ in scores {
                if let Some(score) = scores.get(pick(&mut state, scores.len())) {
                    kept += score.bound;
                    of += score.need;
                }
            }
            ratio(kept as f64, of as f64).unwrap_or(0.0)
        })
        .collect();
    bounds.sort_by(f64::total_cmp);
    [RESAMPLES / 40, RESAMPLES * 39 / 40].map(|at| bounds.get(at).copied().unwrap_or(0.0))
}

/// Returns the next index below `n` of a linear congruential generator (Knuth, MMIX), from its upper half.
fn pick(state: &mut u64, n: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let upper = *state >> 32;
    usize::try_from((upper * n as u64) >> 32).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "tests")]

    use super::*;

    fn score(need: usize, bound: usize) -> TrajectoryScore {
        TrajectoryScore { need, kept: need, bound, steps: 2, peak: 30, full_peak: 90, ..TrajectoryScore::default() }
    }

    #[test]
    fn ratios_are_rounded_and_undefined_by_zero() {
        let summary = Summary::of(&[score(2, 2), score(1, 0)]);
        assert_eq!((summary.trajectories, summary.contexts, summary.needed), (2, 4, 3));
        assert_eq!((summary.grounding, summary.bound, summary.intact), (Some(1.0), Some(0.6667), Some(1.0)));
        assert_eq!((summary.far, summary.whole, summary.dependency, summary.prefix), (None, None, None, None));
        assert_eq!((summary.peak, summary.floored), (Some(0.3333), Some(0.0)));
        assert_eq!(ratio(1.0, 32.0), Some(0.0312));
        assert_eq!(ratio(3.0, 32.0), Some(0.0938));
    }

    #[test]
    fn the_interval_is_deterministic_and_holds_the_ratio() {
        let scores: Vec<_> = (0..20).map(|i| score(10, 5 + i % 5)).collect();
        let [low, high] = interval(&scores);
        assert_eq!(interval(&scores), [low, high]);
        assert!(low < 0.7 && 0.7 < high && low >= 0.5 && high <= 0.9);
        assert_eq!(interval(&[score(4, 1)]), [0.25, 0.25]);
        assert_eq!(interval(&[]), [0.0, 0.0]);
    }
}
