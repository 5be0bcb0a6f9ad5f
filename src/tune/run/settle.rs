//! The end of a run: the best candidate on training tasks goes before the gate, on tasks that nobody has seen.

use std::cmp::Ordering;

use recap_core::tuning::{CaseScore, Margins, Objective};

/// How a candidate did on training tasks.
pub(super) struct Trained {
    pub n: i64,
    pub sums: Sums,
}

/// Sums over cases.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sums {
    pub cases: usize,
    pub need: usize,
    pub kept: usize,
    pub bound: usize,
    pub first: usize,
    pub first_kept: usize,
    pub billed: f64,
    pub full_billed: f64,
    pub faults: usize,
}

impl Sums {
    pub fn of<'a>(scores: impl IntoIterator<Item = &'a CaseScore>) -> Self {
        scores.into_iter().fold(Self::default(), |sums, score| Self {
            cases: sums.cases + 1,
            need: sums.need + score.need,
            kept: sums.kept + score.kept,
            bound: sums.bound + score.bound,
            first: sums.first + score.first,
            first_kept: sums.first_kept + score.first_kept,
            billed: sums.billed + score.billed,
            full_billed: sums.full_billed + score.full_billed,
            faults: sums.faults + score.faults,
        })
    }

    /// Returns the share of needed values near the words that gave them meaning.
    pub fn bound(&self) -> f64 {
        share(self.bound, self.need)
    }
}

/// Returns a quotient, 0 by nothing.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn share(part: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { part as f64 / of as f64 }
}

/// Returns the number of the candidate that is best on training tasks, the first of equals. That it is better than the
/// champion is for the gate to say.
pub(super) fn best(objective: Objective, margins: &Margins, champion: &Sums, candidates: &[Trained]) -> Option<i64> {
    let ranked =
        candidates.iter().map(|candidate| (candidate.n, rank(objective, margins, [champion, &candidate.sums])));
    let best = ranked.reduce(|best, next| if compare(&next.1, &best.1) == Ordering::Greater { next } else { best });
    best.map(|(n, _)| n)
}

/// What counts, from the most important on: all of it is to be large.
fn rank(objective: Objective, margins: &Margins, [champion, candidate]: [&Sums; 2]) -> [f64; 4] {
    let whole = candidate.cases >= champion.cases && candidate.faults <= champion.faults;
    let won = candidate.bound() - champion.bound();
    let growth = if champion.billed > 0.0 { candidate.billed / champion.billed - 1.0 } else { 0.0 };
    let flag = |holds: bool| f64::from(u8::from(holds));
    match objective {
        Objective::Utility => [flag(whole), flag(growth <= margins.token_growth), won, -growth],
        Objective::Compression => [flag(whole), flag(won >= -margins.inferiority), -growth, won],
        Objective::Both => [flag(whole), flag(won >= 0.0 && growth <= 0.0), won - growth, won],
    }
}

fn compare(one: &[f64; 4], other: &[f64; 4]) -> Ordering {
    let parts = one.iter().zip(other).map(|(one, other)| one.total_cmp(other));
    parts.fold(Ordering::Equal, Ordering::then)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(bound: usize, billed: f64) -> Sums {
        Sums::of(&[CaseScore { need: 10, bound, billed, ..CaseScore::default() }])
    }

    fn best_of(objective: Objective, candidates: &[(usize, f64)]) -> Option<i64> {
        let trained = (0..).zip(candidates).map(|(n, (bound, billed))| Trained { n, sums: sums(*bound, *billed) });
        best(objective, &Margins::default(), &sums(5, 100.0), &trained.collect::<Vec<_>>())
    }

    #[test]
    fn the_best_is_what_the_objective_asks_for() {
        let candidates = [(6, 104.0), (7, 104.0), (9, 150.0), (5, 60.0)];
        assert_eq!(best_of(Objective::Utility, &candidates), Some(1), "more tokens than may be are no gain");
        assert_eq!(best_of(Objective::Compression, &candidates), Some(3));
        assert_eq!(best_of(Objective::Compression, &[(4, 10.0), (5, 99.0)]), Some(1), "what is lost is no saving");
        assert_eq!(best_of(Objective::Both, &candidates), Some(3));
        assert_eq!(best_of(Objective::Utility, &[(5, 100.0), (5, 100.0)]), Some(0), "the first of equals");
        assert_eq!(best_of(Objective::Utility, &[]), None);
    }
}
