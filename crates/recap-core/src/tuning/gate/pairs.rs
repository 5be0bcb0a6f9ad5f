//! The cases of both sides, matched and summed by task.

use std::collections::{BTreeMap, BTreeSet};

use super::stats::Sums;
pub(super) use super::stats::float;
use crate::tuning::case::CaseScore;

/// Scores of the same cases, in the order of their tasks and names.
pub(super) struct Pairs {
    cases: Vec<(CaseScore, CaseScore)>,
    missing: Vec<String>,
    unpaired: usize,
}

impl Pairs {
    pub(super) fn of(champion: &[CaseScore], candidate: &[CaseScore]) -> Self {
        let (champion, candidate) = (by_case(champion), by_case(candidate));
        let mut found = Self { cases: Vec::new(), missing: Vec::new(), unpaired: 0 };
        let cases: BTreeSet<&str> = champion.keys().chain(candidate.keys()).copied().collect();
        for case in cases {
            let sound = |side: &BTreeMap<&str, Option<CaseScore>>| side.get(case).cloned().flatten();
            match (sound(&champion), sound(&candidate)) {
                (Some(old), Some(new)) if (old.billed > 0.0) == (new.billed > 0.0) => found.cases.push((old, new)),
                // where only one side was billed, the other was not counted
                (Some(old), new) if old.billed > 0.0 || new.is_none() => {
                    found.missing.push(case.to_owned());
                    let new = nothing_of(&old);
                    found.cases.push((old, new));
                }
                (_, _) => found.unpaired += 1,
            }
        }
        found.cases.sort_by(|(a, _), (b, _)| (&a.task, &a.case).cmp(&(&b.task, &b.case)));
        found
    }

    pub(super) fn cases(&self) -> usize {
        self.cases.len()
    }

    pub(super) fn tasks(&self) -> usize {
        self.by_task().count()
    }

    pub(super) fn missing(&self) -> &[String] {
        &self.missing
    }

    pub(super) fn unpaired(&self) -> usize {
        self.unpaired
    }

    pub(super) fn faults(&self) -> [usize; 2] {
        let sum = |faults: fn(&(CaseScore, CaseScore)) -> usize| self.cases.iter().map(faults).sum();
        [sum(|(old, _)| old.faults), sum(|(_, new)| new.faults)]
    }

    /// Sums a ratio's two sides by task.
    pub(super) fn sums(&self, part: impl Fn(&CaseScore) -> [f64; 2]) -> Vec<Sums> {
        let sum = |scores: &mut dyn Iterator<Item = &CaseScore>| {
            scores.map(&part).fold([0.0, 0.0], |sum, part| [sum[0] + part[0], sum[1] + part[1]])
        };
        let tasks = self.by_task().map(|task| Sums {
            champion: sum(&mut task.iter().map(|(old, _)| old)),
            candidate: sum(&mut task.iter().map(|(_, new)| new)),
        });
        tasks.collect()
    }

    /// Sums billed tokens by task, both in units of the champion's.
    pub(super) fn billed(&self) -> Vec<Sums> {
        let tasks = self.by_task().map(|task| {
            let old: f64 = task.iter().map(|(old, _)| old.billed).sum();
            let new: f64 = task.iter().map(|(_, new)| new.billed).sum();
            Sums { champion: [old, old], candidate: [new, old] }
        });
        tasks.collect()
    }

    /// Counts successes and runs by task, of the cases that the champion has an outcome of.
    pub(super) fn successes(&self) -> Vec<Sums> {
        let tasks = self.by_task().filter_map(|task| {
            let run = task.iter().filter_map(|(old, new)| Some((old.success?, new.success == Some(true))));
            let sums = run.fold(Sums::default(), |sums, (old, new)| Sums {
                champion: [sums.champion[0] + f64::from(u8::from(old)), sums.champion[1] + 1.0],
                candidate: [sums.candidate[0] + f64::from(u8::from(new)), sums.candidate[1] + 1.0],
            });
            (sums.champion[1] > 0.0).then_some(sums)
        });
        tasks.collect()
    }

    fn by_task(&self) -> impl Iterator<Item = &[(CaseScore, CaseScore)]> {
        self.cases.chunk_by(|(a, _), (b, _)| a.task == b.task)
    }
}

/// The sound scores by case; a case that has none, or two, has `None`.
fn by_case(scores: &[CaseScore]) -> BTreeMap<&str, Option<CaseScore>> {
    let mut found: BTreeMap<&str, Option<CaseScore>> = BTreeMap::new();
    for score in scores {
        let sound = is_sound(score).then(|| score.clone());
        found.entry(&score.case).and_modify(|known| *known = None).or_insert(sound);
    }
    found
}

/// Tells whether a score can be one: parts within their wholes, sizes that are numbers.
fn is_sound(score: &CaseScore) -> bool {
    let size = |tokens: f64| tokens.is_finite() && tokens >= 0.0;
    let within = score.bound <= score.kept && score.kept <= score.need && score.first_kept <= score.first;
    within && score.first <= score.need && size(score.billed) && size(score.full_billed)
}

/// The score of a case that a candidate has none of.
fn nothing_of(champion: &CaseScore) -> CaseScore {
    CaseScore {
        success: champion.success.map(|_| false),
        kept: 0,
        bound: 0,
        first_kept: 0,
        billed: champion.full_billed.max(champion.billed),
        ..champion.clone()
    }
}
