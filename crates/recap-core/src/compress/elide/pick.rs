//! The order in which units are taken: most worth per token first, each with what it needs beside it.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::render::marker_tokens;
use super::worth::Worths;
use crate::compress::units::Units;

/// How many enclosing units are taken with a unit at most.
const ANCESTORS: usize = 32;

/// One unit taken, and the estimated tokens of all taken so far.
pub struct Pick {
    /// The unit's index.
    pub unit: usize,
    /// Estimated tokens, this one and what was taken with it included.
    pub spent: f64,
}

struct Candidate {
    density: f64,
    unit: usize,
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.density.total_cmp(&other.density).then_with(|| other.unit.cmp(&self.unit))
    }
}

/// The state of a greedy selection.
struct Greedy<'a> {
    cut: &'a Units,
    worths: &'a Worths,
    shown: Vec<bool>,
    covered: Vec<bool>,
    picks: Vec<Pick>,
    spent: f64,
}

/// Returns units in the order of taking until about `most` estimated tokens are spent.
///
/// Worth falls as values get shown elsewhere, so a candidate is looked at again before it is taken (lazy greedy).
pub fn order(cut: &Units, worths: &Worths, most: u32) -> Vec<Pick> {
    let count = cut.units.len();
    let mut greedy = Greedy {
        cut,
        worths,
        shown: vec![false; count],
        covered: vec![false; worths.tokens],
        picks: Vec::new(),
        spent: 0.0,
    };
    let children = children_of(cut);
    let mut heap: BinaryHeap<Candidate> = (0..count).filter_map(|unit| greedy.candidate(unit)).collect();
    while let Some(top) = heap.pop() {
        if greedy.spent > f64::from(most) {
            break;
        }
        let Some(now) = greedy.candidate(top.unit) else {
            continue;
        };
        if now.density < top.density && heap.peek().is_some_and(|next| now < *next) {
            heap.push(now);
            continue;
        }
        for taken in greedy.take(top.unit) {
            let below = children.get(taken).into_iter().flatten().copied();
            let cheaper = below.chain([taken.saturating_sub(1), taken + 1]);
            heap.extend(cheaper.filter_map(|unit| greedy.candidate(unit)));
        }
    }
    greedy.picks
}

fn children_of(cut: &Units) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); cut.units.len()];
    for (at, unit) in cut.units.iter().enumerate() {
        if let Some(list) = unit.parent.and_then(|parent| children.get_mut(parent as usize)) {
            list.push(at);
        }
    }
    children
}

impl Greedy<'_> {
    /// Returns a unit as it stands now; `None` if it is shown or must not be.
    fn candidate(&self, unit: usize) -> Option<Candidate> {
        let worth = self.worths.units.get(unit)?;
        if worth.dropped || self.is_shown(unit) {
            return None;
        }
        let fresh: f64 = worth.once.iter().filter(|token| !self.is_covered(token.id)).map(|token| token.worth).sum();
        let beside: f64 = self.missing(unit).map(|above| self.cost(above)).sum();
        Some(Candidate { density: (worth.own + fresh) / (worth.cost + beside + self.seam(unit)), unit })
    }

    /// Takes a unit and what it needs, outermost first; returns all that were taken.
    fn take(&mut self, unit: usize) -> Vec<usize> {
        let mut chain: Vec<usize> = self.missing(unit).collect();
        chain.reverse();
        chain.push(unit);
        for taken in &chain {
            if let Some(shown) = self.shown.get_mut(*taken) {
                *shown = true;
            }
            self.spent += self.cost(*taken) + self.seam(*taken) / 2.0;
            for token in self.worths.units.get(*taken).map(|worth| worth.once.as_slice()).unwrap_or_default() {
                if let Some(covered) = self.covered.get_mut(token.id as usize) {
                    *covered = true;
                }
            }
        }
        let spent = self.spent;
        self.picks.extend(chain.iter().map(|unit| Pick { unit: *unit, spent }));
        chain
    }

    /// Returns the enclosing units that are not shown yet, innermost first.
    fn missing(&self, unit: usize) -> impl Iterator<Item = usize> {
        let above = |at: usize| self.cut.units.get(at).and_then(|unit| unit.parent).map(|parent| parent as usize);
        std::iter::successors(above(unit), move |at| above(*at)).take_while(|at| !self.is_shown(*at)).take(ANCESTORS)
    }

    /// Returns what the gaps beside a unit cost if it is taken: nearly nothing next to one that is shown.
    fn seam(&self, unit: usize) -> f64 {
        let beside = |at: Option<usize>| at.and_then(|at| self.shown.get(at)).copied().unwrap_or(false);
        if beside(unit.checked_sub(1)) || beside(unit.checked_add(1)) { 0.5 } else { marker_tokens(self.cut.kind) }
    }

    fn cost(&self, unit: usize) -> f64 {
        self.worths.units.get(unit).map_or(0.0, |worth| worth.cost)
    }

    fn is_shown(&self, unit: usize) -> bool {
        self.shown.get(unit).copied().unwrap_or(true)
    }

    fn is_covered(&self, token: u32) -> bool {
        self.covered.get(token as usize).copied().unwrap_or(true)
    }
}
