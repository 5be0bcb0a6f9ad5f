//! Texts of like length together, so that little is computed for padding.

use std::ops::Range;

/// The most tokens of a batch, padding included. More gain nothing on a processor and cost memory.
pub const MAX_BATCH_TOKENS: usize = 2_048;
/// The most texts of a batch.
pub const MAX_BATCH_TEXTS: usize = 16;
/// Padding, in tokens, that costs less than another batch.
const PADDING: usize = 16;

/// The order in which texts are computed, and where batches end in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batches {
    /// Indices of texts, shortest text first.
    order: Vec<usize>,
    cuts: Vec<Range<usize>>,
}

impl Batches {
    /// Plans batches for texts with these numbers of tokens. A text longer than a batch is one of its own; none is
    /// padded to more than about twice its length.
    pub(super) fn plan(lengths: &[usize]) -> Self {
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|&index| lengths.get(index));
        let mut cuts: Vec<Range<usize>> = Vec::new();
        for (place, &index) in order.iter().enumerate() {
            // sorted, so the newest is the longest
            let longest = lengths.get(index).copied().unwrap_or(0);
            match cuts.last_mut() {
                Some(cut) if joins(cut.len(), longest, length(&order, lengths, cut.start)) => cut.end = place + 1,
                _ => cuts.push(place..place + 1),
            }
        }
        Self { order, cuts }
    }

    /// Iterates over the batches, each the indices of its texts.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[usize]> {
        self.cuts.iter().filter_map(|cut| self.order.get(cut.clone()))
    }
}

/// Returns whether a text of `longest` tokens may join a batch of `texts` whose shortest has `shortest`.
fn joins(texts: usize, longest: usize, shortest: usize) -> bool {
    texts < MAX_BATCH_TEXTS && (texts + 1) * longest <= MAX_BATCH_TOKENS && longest <= 2 * shortest + PADDING
}

fn length(order: &[usize], lengths: &[usize], place: usize) -> usize {
    order.get(place).and_then(|&index| lengths.get(index)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batches(lengths: &[usize]) -> Vec<Vec<usize>> {
        Batches::plan(lengths).iter().map(<[usize]>::to_vec).collect()
    }

    #[test]
    fn short_texts_are_bounded_by_number_and_long_ones_by_tokens() {
        assert_eq!(batches(&[]), Vec::<Vec<usize>>::new());
        assert_eq!(batches(&[512, 3, 512, 2, 512, 512, 512]), [vec![3, 1], vec![0, 2, 4, 5], vec![6]]);
        assert_eq!(batches(&[5; 17]).iter().map(Vec::len).collect::<Vec<_>>(), [16, 1]);
        assert_eq!(batches(&[9_000, 1]), [vec![1], vec![0]]);
    }

    proptest! {
        #[test]
        fn every_text_is_in_one_batch_and_no_batch_is_too_large(lengths in prop::collection::vec(1_usize..3_000, 0..80)) {
            let batches = batches(&lengths);
            let mut all: Vec<usize> = batches.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            for batch in batches {
                let longest = batch.iter().map(|&index| lengths[index]).max().unwrap_or(0);
                prop_assert!(batch.len() <= MAX_BATCH_TEXTS);
                prop_assert!(batch.len() == 1 || batch.len() * longest <= MAX_BATCH_TOKENS);
            }
        }
    }
}
