//! Pairs of texts that share most of their words, and pairs of vectors that point the same way, without looking at each
//! pair whole.

/// The least Dice coefficient, as a fraction.
const DICE: (usize, usize) = (17, 20);
/// Numbers of a vector that are multiplied between two looks at what can still come.
const STRIDE: usize = 32;
/// Sums that are kept side by side.
const LANES: usize = 8;

/// A pair, the lower place first, and how alike the two are.
pub(super) type Pair = (usize, usize, f32);

/// Returns the Dice coefficient of two sets of `a` and `b` members that share `shared`.
#[expect(clippy::cast_precision_loss, reason = "texts have far fewer than 2^24 words")]
pub(super) fn dice(shared: usize, a: usize, b: usize) -> f32 {
    2.0 * shared as f32 / (a + b).max(1) as f32
}

/// Returns how many members two sets of these sizes must share.
pub(super) fn must_share(a: usize, b: usize) -> usize {
    (DICE.0 * (a + b)).div_ceil(2 * DICE.1)
}

/// Returns how many members two sorted sets share, or `None` if that is below `least`.
pub(super) fn shared(a: &[u32], b: &[u32], least: usize) -> Option<usize> {
    let (mut i, mut j, mut found) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        if found + (a.len() - i).min(b.len() - j) < least {
            return None;
        }
        found += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    (found >= least).then_some(found)
}

/// Returns the pairs of sets of which the Dice coefficient is 0.85 or more; of each set at most `most` with shorter ones
/// (or as long ones before it). Members are numbered from 0 below `members`, rare ones first, and sorted.
///
/// Two such sets share one of the rarest quarter of their members (prefix filter: Chaudhuri 2006, Bayardo 2007). Only
/// those are looked up, in an index of the sets so far in the order of their size. The time is that of the members plus
/// that of the pairs that share a rare one: near linear, unless most texts share a template; quadratic at worst.
pub(super) fn alike(bags: &[Vec<u32>], members: usize, most: usize, fits: impl Fn(usize, usize) -> bool) -> Vec<Pair> {
    let mut order: Vec<usize> = (0..bags.len()).filter(|at| !bags[*at].is_empty()).collect();
    order.sort_by_key(|at| bags[*at].len());
    let mut index: Vec<Vec<usize>> = vec![Vec::new(); members];
    let mut seen_by = vec![usize::MAX; bags.len()];
    let mut pairs = Vec::new();
    for &at in &order {
        let bag = &bags[at];
        let shortest = (DICE.0 * bag.len()).div_ceil(2 * DICE.1 - DICE.0);
        let mut twins = 0;
        'members: for member in &bag[..=bag.len() - shortest] {
            let holders = &index[*member as usize];
            let long_enough = holders.partition_point(|other| bags[*other].len() < shortest);
            for &other in &holders[long_enough..] {
                if std::mem::replace(&mut seen_by[other], at) == at || !fits(at, other) {
                    continue;
                }
                let theirs = &bags[other];
                let Some(both) = shared(bag, theirs, must_share(bag.len(), theirs.len())) else { continue };
                pairs.push((at.min(other), at.max(other), dice(both, bag.len(), theirs.len())));
                twins += 1;
                if twins == most {
                    break 'members;
                }
            }
        }
        let kept = (DICE.0 * bag.len()).div_ceil(DICE.1);
        for member in &bag[..=bag.len() - kept] {
            index[*member as usize].push(at);
        }
    }
    pairs
}

/// A vector of length 1, and the lengths of what follows each stride.
pub(super) struct Direction {
    numbers: Vec<f32>,
    rests: Vec<f32>,
}

impl Direction {
    /// Returns a vector's direction; `None` if it has none.
    pub(super) fn of(vector: &[f32]) -> Option<Self> {
        let length = dot(vector, vector).sqrt();
        if !length.is_normal() {
            return None;
        }
        let numbers: Vec<f32> = vector.iter().map(|number| number / length).collect();
        let mut rests: Vec<f32> = Vec::with_capacity(numbers.len().div_ceil(STRIDE));
        let mut rest = 0.0;
        for stride in numbers.chunks(STRIDE).rev() {
            rests.push(rest);
            rest = f32::hypot(rest, dot(stride, stride).sqrt());
        }
        rests.reverse();
        Some(Self { numbers, rests })
    }

    /// Returns the cosine with another direction; `None` if it is below `least` or the two are not of one space. Stops as
    /// soon as what is left cannot make it up (Cauchy–Schwarz).
    fn cosine(&self, other: &Self, least: f32) -> Option<f32> {
        if self.numbers.len() != other.numbers.len() {
            return None;
        }
        let mut sum = 0.0;
        let strides = self.numbers.chunks(STRIDE).zip(other.numbers.chunks(STRIDE));
        for ((mine, theirs), (rest, their_rest)) in strides.zip(self.rests.iter().zip(&other.rests)) {
            sum += dot(mine, theirs);
            if sum + rest * their_rest < least - f32::EPSILON * 16.0 {
                return None;
            }
        }
        (sum >= least).then_some(sum.min(1.0))
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (mine, theirs) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = mine.remainder().iter().zip(theirs.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in mine.zip(theirs) {
        for (lane, (x, y)) in lanes.iter_mut().zip(x.iter().zip(y)) {
            *lane += x * y;
        }
    }
    lanes.iter().sum::<f32>() + tail
}

/// Returns the cosine of two vectors; `None` if they are not of one space or one has no direction.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> Option<f32> {
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    (a.len() == b.len() && lengths.is_normal()).then(|| (dot(a, b) / lengths).clamp(-1.0, 1.0))
}

/// Returns the pairs of directions with a cosine of `least` or more; of each at most `most` with those before it. All pairs
/// are begun, few are finished.
pub(super) fn aligned(
    directions: &[Option<Direction>],
    least: f32,
    most: usize,
    fits: impl Fn(usize, usize) -> bool,
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (at, direction) in directions.iter().enumerate() {
        let Some(direction) = direction else { continue };
        let before = directions.iter().enumerate().take(at);
        let twins = before.filter_map(|(other, theirs)| {
            let cosine = direction.cosine(theirs.as_ref()?, least)?;
            fits(other, at).then_some((other, at, cosine))
        });
        pairs.extend(twins.take(most));
    }
    pairs
}
