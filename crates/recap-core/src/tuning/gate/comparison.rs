//! Both sides on the same cases, in numbers: what the gate judges by, and what is told where nothing is judged.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pairs::{Pairs, float};
use super::stats::{Difference, Sums, difference, discordant};
use super::{Margins, SignTest, percent};
use crate::tuning::case::CaseScore;

/// A share or a sum of both sides, and how the candidate's differs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Compared {
    /// The champion's.
    pub champion: f64,
    /// The candidate's.
    pub candidate: f64,
    /// How much greater the candidate's is: a difference of shares, or of billed tokens the growth as a share.
    pub by: f64,
    /// Bounds of that, each sure at the level.
    pub interval: [f64; 2],
    /// Tasks that it was measured on.
    #[serde(default)]
    pub tasks: usize,
}

/// The change with its interval, as `+1.2 % (+0.4 % to +2.0 %)`.
impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.interval;
        write!(f, "{} ({} to {})", percent(self.by), percent(low), percent(high))
    }
}

/// How a candidate's scores differ from the champion's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Cases compared.
    pub cases: usize,
    /// Tasks that they are of.
    pub tasks: usize,
    /// Shares of needed values that are present; null where no action needed one.
    pub grounding: Option<Compared>,
    /// Shares of needed values that stand near the words that gave them meaning; null likewise.
    pub bound: Option<Compared>,
    /// Tasks on which bound recall is higher, and lower.
    pub bound_by_task: SignTest,
    /// The share that is bound of values that are used for the first time; null where there is none.
    pub first: Option<Compared>,
    /// Billed tokens: sums, and the growth as a share; null where none were counted.
    pub billed: Option<Compared>,
    /// Tasks that take fewer billed tokens, and more.
    pub billed_by_task: SignTest,
    /// Cases that the candidate has no sound score of.
    pub missing: usize,
    /// Cases that the champion has no sound score of; they are not compared.
    pub unpaired: usize,
    /// Over-full, invalid or unserved contexts of the champion.
    pub champion_faults: usize,
    /// The same of the candidate.
    pub candidate_faults: usize,
}

/// Compares a candidate's scores with the champion's on the same cases, in any order, and judges nothing. Cases without a
/// sound score count as they do for [`judge`](super::judge).
#[must_use]
pub fn compare(champion: &[CaseScore], candidate: &[CaseScore], margins: &Margins, seed: u64) -> Comparison {
    Comparison::of(&Pairs::of(champion, candidate), margins, seed)
}

impl Comparison {
    pub(super) fn of(pairs: &Pairs, margins: &Margins, seed: u64) -> Self {
        let share = |part: fn(&CaseScore) -> [f64; 2]| compared(&pairs.sums(part), margins, seed);
        let bound = pairs.sums(|score| [float(score.bound), float(score.need)]);
        let billed = pairs.billed();
        let [champion_faults, candidate_faults] = pairs.faults();
        Self {
            cases: pairs.cases(),
            tasks: pairs.tasks(),
            grounding: share(|score| [float(score.kept), float(score.need)]),
            bound: compared(&bound, margins, seed),
            bound_by_task: SignTest::of(discordant(&bound)),
            first: share(|score| [float(score.first_kept), float(score.first)]),
            billed: growth(&billed, margins, seed),
            billed_by_task: SignTest::of(discordant(&billed)).turned(),
            missing: pairs.missing().len(),
            unpaired: pairs.unpaired(),
            champion_faults,
            candidate_faults,
        }
    }

    /// Returns the names of the members in which the candidate is worse: a share whose whole interval is below 0, billed tokens
    /// whose whole interval is above, scores that it misses, and faults where it has more.
    #[must_use]
    pub fn harms(&self) -> Vec<&'static str> {
        let is_lower = |change: Option<Compared>| change.is_some_and(|change| change.interval[1] < 0.0);
        let is_higher = |change: Option<Compared>| change.is_some_and(|change| change.interval[0] > 0.0);
        let harms = [
            ("grounding", is_lower(self.grounding)),
            ("bound", is_lower(self.bound)),
            ("first", is_lower(self.first)),
            ("billed", is_higher(self.billed)),
            ("missing", self.missing > 0),
            ("faults", self.candidate_faults > self.champion_faults),
        ];
        harms.into_iter().filter(|(_, harms)| *harms).map(|(name, _)| name).collect()
    }
}

pub(super) fn compared(tasks: &[Sums], margins: &Margins, seed: u64) -> Option<Compared> {
    let found = difference(tasks, margins.level, seed)?;
    let by = found.candidate - found.champion;
    let Difference { champion, candidate, interval, tasks } = found;
    Some(Compared { champion, candidate, by, interval, tasks })
}

/// The growth of billed tokens: the candidate's sum over the champion's, less one.
fn growth(tasks: &[Sums], margins: &Margins, seed: u64) -> Option<Compared> {
    let champion = tasks.iter().map(|task| task.champion[0]).sum();
    let candidate = tasks.iter().map(|task| task.candidate[0]).sum();
    Some(Compared { champion, candidate, ..compared(tasks, margins, seed)? })
}
