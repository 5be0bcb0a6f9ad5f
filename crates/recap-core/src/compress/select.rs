//! Selection under a token target: the items that add most worth for their tokens.
//!
//! Greedy by marginal gain with lazy re-evaluation (Minoux 1978): an item's gain is its own worth and that of
//! the facts that no chosen item holds yet. Gains only fall while items are chosen, so a stale gain is an upper
//! bound and the heap's top is re-evaluated alone. `O(n log n)` in practice.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Something that may be chosen.
#[derive(Debug, Clone, Default)]
pub struct Item {
    /// What it costs, in tokens.
    pub tokens: u32,
    /// Worth of its own, beside its facts.
    pub worth: f32,
    /// Indices into the facts' worths.
    pub facts: Vec<u32>,
    /// An item that must be chosen with it.
    pub parent: Option<u32>,
    /// An item without which it says little: it is chosen with it, too. What that one stands beside is not.
    pub beside: Option<u32>,
}

/// How a selection weighs.
#[derive(Debug, Clone, Copy)]
pub struct Weighing {
    /// Share of a fact's worth that its second and later holders still bring, 0 to 1.
    pub repeat: f32,
    /// Power of the tokens that a gain is divided by: 1 is worth per token; less favours long items.
    pub density: f32,
}

/// What was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Picked {
    /// By item.
    pub chosen: Vec<bool>,
    /// The worth of the facts that the chosen items hold.
    pub worth: f32,
}

/// Returns which items are chosen. The chosen items' tokens add up to at most `target`; `forced` items are
/// chosen first, in order, as long as they fit.
#[must_use]
pub fn select(items: &[Item], fact_worth: &[f32], forced: &[usize], target: u32, weighing: Weighing) -> Picked {
    let mut selection = Selection::new(items, fact_worth, target, weighing);
    for &index in forced {
        selection.take(index);
    }
    selection.fill();
    let worth = selection.held_worth();
    Picked { chosen: selection.chosen, worth }
}

/// What each item would still have added when a selection ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Gains {
    /// By item, for its tokens; `None` for those that were chosen.
    pub left_out: Vec<Option<f32>>,
    /// The least that a chosen one added when it was chosen, before anything was turned away for want of room: what
    /// room was worth. The forced ones aside; `None` where none was.
    pub least_chosen: Option<f32>,
}

/// Returns the gains of the selection that [`select`] makes.
#[must_use]
pub fn gains(items: &[Item], fact_worth: &[f32], forced: &[usize], target: u32, weighing: Weighing) -> Gains {
    let mut selection = Selection::new(items, fact_worth, target, weighing);
    for &index in forced {
        selection.take(index);
    }
    selection.fill();
    let left_out = (0..items.len()).map(|at| (!selection.is_chosen(at)).then(|| selection.gain(at))).collect();
    Gains { left_out, least_chosen: selection.least }
}

struct Selection<'a> {
    items: &'a [Item],
    fact_worth: &'a [f32],
    weighing: Weighing,
    chosen: Vec<bool>,
    held: Vec<bool>,
    left: u32,
    /// The least gain of what was taken for its gain, before anything was turned away.
    least: Option<f32>,
    /// Whether something was turned away.
    full: bool,
}

/// A gain as it was when the entry was pushed; ties go to the later item, which is newer.
struct Entry {
    gain: f32,
    index: usize,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then(self.index.cmp(&other.index))
    }
}

impl<'a> Selection<'a> {
    fn new(items: &'a [Item], fact_worth: &'a [f32], target: u32, weighing: Weighing) -> Self {
        Self {
            items,
            fact_worth,
            weighing,
            chosen: vec![false; items.len()],
            held: vec![false; fact_worth.len()],
            left: target,
            least: None,
            full: false,
        }
    }

    fn held_worth(&self) -> f32 {
        self.fact_worth.iter().zip(&self.held).filter(|(_, held)| **held).map(|(worth, _)| worth).sum()
    }

    fn fill(&mut self) {
        let least = self.items.iter().map(|item| item.tokens).min().unwrap_or(0);
        let mut heap: BinaryHeap<Entry> = (0..self.items.len())
            .filter(|&index| self.may_fit(index))
            .map(|index| Entry { gain: self.gain(index), index })
            .collect();
        while let Some(top) = heap.pop() {
            if top.gain <= 0.0 || self.left == 0 || self.left < least {
                break;
            }
            if !self.may_fit(top.index) {
                self.full |= !self.is_chosen(top.index);
                continue;
            }
            let now = self.gain(top.index);
            if heap.peek().is_some_and(|next| now < next.gain) {
                heap.push(Entry { gain: now, index: top.index });
            } else if !self.take(top.index) {
                self.full = true;
            } else if !self.full {
                self.least = Some(self.least.map_or(now, |least| least.min(now)));
            }
        }
    }

    fn is_chosen(&self, index: usize) -> bool {
        self.chosen.get(index).copied().unwrap_or(false)
    }

    /// Tells whether an item is not chosen and is, its ancestors aside, not too large for what is left.
    fn may_fit(&self, index: usize) -> bool {
        !self.is_chosen(index) && self.items.get(index).is_some_and(|item| item.tokens <= self.left)
    }

    /// What is chosen with an item: itself, what it stands beside, and the unchosen ancestors of both.
    fn chain(&self, index: usize) -> Vec<usize> {
        let mut chain: Vec<usize> = self.ancestors(index).collect();
        let beside = self.items.get(index).and_then(|item| item.beside).map(|beside| beside as usize);
        if let Some(beside) = beside.filter(|beside| !self.is_chosen(*beside) && !chain.contains(beside)) {
            let more: Vec<usize> = self.ancestors(beside).filter(|at| !chain.contains(at)).collect();
            chain.extend(more);
        }
        chain
    }

    /// The item and its unchosen ancestors, nearest first; parents stand before their children, so it ends.
    fn ancestors(&self, index: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(index), |&at| {
            let parent = self.items.get(at)?.parent? as usize;
            (parent < at && !self.is_chosen(parent)).then_some(parent)
        })
    }

    fn gain(&self, index: usize) -> f32 {
        let mut worth = 0.0;
        let mut tokens = 0;
        for item in self.chain(index).into_iter().filter_map(|index| self.items.get(index)) {
            worth += item.worth + item.facts.iter().map(|&fact| self.fact_gain(fact)).sum::<f32>();
            tokens += item.tokens;
        }
        #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^24")]
        let cost = (tokens.max(1) as f32).powf(self.weighing.density);
        worth / cost
    }

    fn fact_gain(&self, fact: u32) -> f32 {
        let worth = self.fact_worth.get(fact as usize).copied().unwrap_or(0.0);
        let held = self.held.get(fact as usize).copied().unwrap_or(true);
        if held { worth * self.weighing.repeat } else { worth }
    }

    /// Takes an item with what is chosen with it, if they fit; tells whether they did.
    fn take(&mut self, index: usize) -> bool {
        let chain = self.chain(index);
        let tokens: u32 = chain.iter().filter_map(|&index| self.items.get(index)).map(|item| item.tokens).sum();
        if tokens > self.left {
            return false;
        }
        self.left -= tokens;
        for index in chain {
            if let Some(chosen) = self.chosen.get_mut(index) {
                *chosen = true;
            }
            for &fact in self.items.get(index).map_or(&[][..], |item| &item.facts) {
                if let Some(held) = self.held.get_mut(fact as usize) {
                    *held = true;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EVEN: Weighing = Weighing { repeat: 0.0, density: 1.0 };

    fn item(tokens: u32, facts: &[u32], parent: Option<u32>) -> Item {
        Item { tokens, worth: 0.01, facts: facts.to_vec(), parent, beside: None }
    }

    #[test]
    fn new_facts_win_over_repeated_ones() {
        let items = [item(5, &[0], None), item(5, &[0], None), item(5, &[1], None)];
        assert_eq!(select(&items, &[1.0, 0.5], &[], 10, EVEN).chosen, [false, true, true]);
    }

    #[test]
    fn gains_tell_what_was_left_out_and_what_just_came_in() {
        let items = [item(5, &[0], None), item(5, &[2], None), item(5, &[1], None)];
        let found = gains(&items, &[1.0, 0.5, 0.25], &[], 10, EVEN);
        let near = |gain: Option<f32>, wanted: f32| gain.is_some_and(|gain| (gain - wanted).abs() < 1e-6);
        assert_eq!(found.left_out.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
        assert!(near(found.left_out[1], 0.26 / 5.0) && near(found.least_chosen, 0.51 / 5.0), "{found:?}");
    }

    #[test]
    fn a_child_brings_its_parent() {
        let items = [item(3, &[], None), item(3, &[0], Some(0)), item(6, &[1], None)];
        assert_eq!(select(&items, &[1.0, 0.4], &[], 6, EVEN).chosen, [true, true, false]);
    }

    #[test]
    fn an_item_brings_what_it_stands_beside() {
        let beside = |tokens, facts: &[u32], beside| Item { beside, ..item(tokens, facts, None) };
        let items = [beside(3, &[], None), beside(3, &[0], Some(2)), beside(4, &[], Some(0)), item(7, &[1], None)];
        assert_eq!(select(&items, &[1.0, 0.4], &[], 7, EVEN).chosen, [false, true, true, false]);
        assert_eq!(select(&items, &[1.0, 0.4], &[], 6, EVEN).chosen, [true, false, false, false]);
    }

    proptest! {
        #[test]
        fn law_2_the_target_holds(
            sizes in proptest::collection::vec((1u32..50, proptest::collection::vec(0u32..20, 0..4), any::<bool>()), 0..60),
            target in 0u32..400,
        ) {
            let items: Vec<Item> = sizes
                .iter()
                .enumerate()
                .map(|(at, (tokens, facts, child))| item(*tokens, facts, (*child && at > 0).then(|| u32::try_from(at - 1).unwrap())))
                .collect();
            let chosen = select(&items, &[1.0; 20], &[0], target, EVEN).chosen;
            let used: u32 = items.iter().zip(&chosen).filter(|(_, chosen)| **chosen).map(|(item, _)| item.tokens).sum();
            prop_assert!(used <= target);
            for (item, _) in items.iter().zip(&chosen).filter(|(_, chosen)| **chosen) {
                prop_assert!(item.parent.is_none_or(|parent| chosen[parent as usize]));
            }
        }
    }
}
