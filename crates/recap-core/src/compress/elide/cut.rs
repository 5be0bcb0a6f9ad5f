//! The last resort: head and tail of a text.

use crate::tokens::TokenCounter;

/// Stands where the middle was.
const GAP: &str = " [… middle cut …] ";

/// Returns the head and the tail of a text in at most a budget of tokens; the text itself if it fits.
///
/// Three fifths are head. Cuts between characters. Counts texts of about the result's size only, a bounded number of
/// times (beyond one count of the whole), so it takes linear time.
#[must_use]
pub fn cut_head_tail(text: &str, budget: u32, counter: &dyn TokenCounter) -> String {
    if counter.count(text) <= budget {
        return text.to_owned();
    }
    let fits = |kept: usize, shape: fn(&str, usize) -> String| {
        let cut = shape(text, kept);
        (counter.count(&cut) <= budget).then_some(cut)
    };
    longest(text.len(), |kept| fits(kept, both_ends))
        .or_else(|| longest(text.len(), |kept| fits(kept, head_only)))
        .unwrap_or_default()
}

/// Returns the result for the largest size that yields one, found by doubling and halving.
fn longest(most: usize, make: impl Fn(usize) -> Option<String>) -> Option<String> {
    let mut best = None;
    let (mut low, mut high) = (0, 64);
    while let Some(cut) = (high < most).then(|| make(high)).flatten() {
        best = Some(cut);
        low = high;
        high *= 2;
    }
    high = high.min(most);
    while high - low > (low / 64).max(1) {
        let middle = low + (high - low) / 2;
        match make(middle) {
            Some(cut) => {
                best = Some(cut);
                low = middle;
            }
            None => high = middle,
        }
    }
    best
}

fn both_ends(text: &str, kept: usize) -> String {
    let head = text.floor_char_boundary(kept * 3 / 5);
    let tail = text.ceil_char_boundary(text.len().saturating_sub(kept - kept * 3 / 5)).max(head);
    let (head, tail) = (text.get(..head).unwrap_or_default(), text.get(tail..).unwrap_or_default());
    format!("{}{GAP}{}", head.trim_end(), tail.trim_start())
}

fn head_only(text: &str, kept: usize) -> String {
    text.get(..text.floor_char_boundary(kept)).unwrap_or_default().to_owned()
}
