//! Recall by length, and what follows from it.

use std::fmt::{Display, Formatter, Result};

use serde::Serialize;

/// The normal distribution's quantile for 95 %.
const Z: f64 = 1.959_964;
/// A model that finds less than this in the shortest text finds nothing by skill.
const LEAST: f64 = 0.5;
/// Cells of a full bar.
const CELLS: f64 = 24.0;

/// What was found at one length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Point {
    /// Tokens of the texts, by the counter.
    pub length: u32,
    /// Questions.
    pub asked: u32,
    /// Exact answers.
    pub found: u32,
    /// Tokens of a prompt as the model counts them, on average; 0 where it does not tell.
    pub prompt_tokens: u64,
    /// Their share.
    pub recall: f64,
    /// The interval of 95 % around it.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Points by rising length.
#[derive(Debug)]
pub(super) struct Curve {
    pub points: Vec<Point>,
}

/// What the curve speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Proposal {
    /// The length, rounded down to two digits.
    pub budget: u32,
    /// The largest length that holds.
    pub length: u32,
    /// Whether a larger one was measured and does not.
    pub falls: bool,
}

impl Point {
    pub(super) fn new(length: u32, asked: u32, found: u32, prompt_tokens: u64) -> Self {
        let (low, high) = wilson(found, asked);
        let recall = f64::from(found) / f64::from(asked.max(1));
        Self { length, asked, found, prompt_tokens, recall, low, high }
    }
}

impl Display for Point {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        let cells = "█".repeat((0..24_u32).filter(|cell| f64::from(*cell) + 0.5 <= self.recall * CELLS).count());
        write!(
            out,
            "{:>7} {cells:<24} {:.2} [{:.2}, {:.2}] {} of {}, {} tokens read",
            self.length, self.recall, self.low, self.high, self.found, self.asked, self.prompt_tokens
        )
    }
}

impl Curve {
    /// Returns the largest length up to which every recall is at least `keep` of the shortest length's.
    pub(super) fn proposal(&self, keep: f64) -> Option<Proposal> {
        let least = self.points.first().map(|point| point.recall).filter(|recall| *recall >= LEAST)? * keep;
        let holding = self.points.iter().take_while(|point| point.recall >= least).count();
        let length = self.points.get(holding.checked_sub(1)?)?.length;
        Some(Proposal { budget: two_digits(length), length, falls: holding < self.points.len() })
    }
}

/// Returns the interval of a share: Wilson, "Probable inference", 1927, without the correction for continuity.
fn wilson(found: u32, asked: u32) -> (f64, f64) {
    if asked == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (f64::from(asked), f64::from(found) / f64::from(asked));
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((middle - half) / scale).max(0.0), ((middle + half) / scale).min(1.0))
}

fn two_digits(number: u32) -> u32 {
    let unit = 10_u32.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(found: &[u32]) -> Curve {
        let points = found.iter().zip(1_u32..);
        Curve { points: points.map(|(found, at)| Point::new(1234 * at, 10, *found, 0)).collect() }
    }

    #[test]
    fn the_proposal_ends_before_the_first_fall() {
        let proposal = |found: &[u32]| curve(found).proposal(0.9);
        assert_eq!(proposal(&[10, 9, 4, 10]), Some(Proposal { budget: 2400, length: 2468, falls: true }));
        assert_eq!(proposal(&[10, 8]), Some(Proposal { budget: 1200, length: 1234, falls: true }));
        assert_eq!(proposal(&[6, 10]), Some(Proposal { budget: 2400, length: 2468, falls: false }));
        assert_eq!(proposal(&[4, 4]), None);
        assert_eq!(proposal(&[]), None);
    }

    #[test]
    fn intervals_are_wilsons() {
        let close = |(low, high): (f64, f64), expected: (f64, f64)| {
            assert!((low - expected.0).abs() < 5e-4 && (high - expected.1).abs() < 5e-4, "{low} {high}");
        };
        // Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I, method 3.
        close(wilson(81, 263), (0.2553, 0.3662));
        close(wilson(15, 148), (0.0624, 0.1605));
        close(wilson(0, 20), (0.0, 0.1611));
        close(wilson(1, 29), (0.0061, 0.1718));
    }

    #[test]
    fn a_point_is_a_bar() {
        let point = Point::new(2048, 10, 5, 2100);
        assert_eq!(point.to_string(), "   2048 ████████████             0.50 [0.24, 0.76] 5 of 10, 2100 tokens read");
    }
}
