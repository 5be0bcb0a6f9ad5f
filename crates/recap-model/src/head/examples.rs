//! Examples: rows of numbers, what a head should answer, how much each counts.

use candle_core::{Device, Tensor};

use crate::ModelError;

/// A number whose values lie within less is the same in all examples: sums of the same numbers differ by their rounding.
const LEAST_RANGE: f32 = 1e-4;

/// Rows with their targets and weights.
#[derive(Debug, Clone, Default)]
pub struct Examples {
    width: usize,
    rows: Vec<f32>,
    targets: Vec<f32>,
    weights: Vec<f32>,
}

impl Examples {
    /// Returns no examples of this many numbers each.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width, ..Self::default() }
    }

    /// Takes rows that lie one after the other, each of weight 1, without a copy of them. `None` where they do not fit, or a
    /// number is not finite.
    #[must_use]
    pub fn whole(width: usize, rows: Vec<f32>, targets: Vec<f32>) -> Option<Self> {
        let fits = targets.len().checked_mul(width) == Some(rows.len());
        let is_sound = rows.iter().chain(&targets).all(|number| number.is_finite());
        let weights = vec![1.0; targets.len()];
        (fits && is_sound).then_some(Self { width, rows, targets, weights })
    }

    /// Adds an example. `target` is from 0 to 1, `weight` above 0. Tells whether it was taken: a row of another width, or a
    /// number that is not finite, is not.
    pub fn push(&mut self, row: &[f32], target: f32, weight: f32) -> bool {
        let fits = row.len() == self.width && row.iter().chain([&target, &weight]).all(|number| number.is_finite());
        if fits {
            self.rows.extend_from_slice(row);
            self.targets.push(target);
            self.weights.push(weight);
        }
        fits
    }

    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Returns how many numbers an example has.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns for each number the one value that it has in all examples; `None` where it differs.
    #[must_use]
    pub fn constants(&self) -> Vec<Option<f32>> {
        let mut rows = self.rows.chunks_exact(self.width.max(1));
        let Some(first) = rows.next() else { return vec![None; self.width] };
        let mut ranges: Vec<[f32; 2]> = first.iter().map(|number| [*number; 2]).collect();
        for row in rows {
            for ([least, most], number) in ranges.iter_mut().zip(row) {
                (*least, *most) = (least.min(*number), most.max(*number));
            }
        }
        ranges.into_iter().map(|[least, most]| (most - least < LEAST_RANGE).then_some(least)).collect()
    }

    /// Returns targets and rows, for measures of what was learned.
    pub fn iter(&self) -> impl Iterator<Item = (&[f32], f32)> {
        self.rows.chunks_exact(self.width.max(1)).zip(self.targets.iter().copied())
    }

    /// Returns the rows `[batch, width]`, targets `[batch]` and weights `[batch]` at these places.
    pub(super) fn batch(&self, places: &[u32], device: &Device) -> Result<[Tensor; 3], ModelError> {
        let row = |at: &u32| {
            let start = *at as usize * self.width;
            self.rows.get(start..start + self.width).unwrap_or_default()
        };
        let rows: Vec<f32> = places.iter().flat_map(row).copied().collect();
        let of = |numbers: &[f32]| -> Vec<f32> {
            places.iter().filter_map(|at| numbers.get(*at as usize)).copied().collect()
        };
        Ok([
            Tensor::from_vec(rows, (places.len(), self.width), device)?,
            Tensor::from_vec(of(&self.targets), places.len(), device)?,
            Tensor::from_vec(of(&self.weights), places.len(), device)?,
        ])
    }
}

/// A seeded order of numbers (`SplitMix64`, Steele et al. 2014; shuffle of Fisher and Yates).
#[derive(Debug, Clone)]
pub struct Order {
    state: u64,
}

impl Order {
    /// Begins at a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Returns a number from −1 to 1.
    #[expect(clippy::cast_precision_loss, reason = "24 bits are exact")]
    pub fn next_signed(&mut self) -> f32 {
        let bits = (self.next_bits() >> 40) as u32;
        bits as f32 / 8_388_608.0 - 1.0
    }

    /// Returns `0..count` in a new order.
    pub fn shuffled(&mut self, count: usize) -> Vec<u32> {
        let mut places: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
        for at in (1..places.len()).rev() {
            let wide = u128::from(self.next_bits()) * (at as u128 + 1);
            places.swap(at, usize::try_from(wide >> 64).unwrap_or(0));
        }
        places
    }
}
