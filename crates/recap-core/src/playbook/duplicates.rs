//! Bullets that say the same.

use std::collections::HashMap;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::bullet::{Bullet, BulletId, Origin};
use super::operation::Operation;
use super::similar::{self, Direction, Pair};
use super::state::Playbook;
use super::words::{Grams, Stakes, fold};
use super::worth::worth;

/// Dice coefficient of words and pairs of neighbouring words from which two bullets are duplicates.
pub const LEAST_LEXICAL: f32 = 0.85;
/// Cosine of embeddings from which two bullets are duplicates (ACE, section 3).
pub const LEAST_COSINE: f32 = 0.90;
/// Lexical pairs, and pairs by embedding, that a bullet begins at most: what bounds the answer where all are alike.
pub const MOST_TWINS: usize = 16;

/// How two bullets are the same, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// They have the same words.
    Exact,
    /// They have the same words but for case, blanks and punctuation.
    Normalised,
    /// They share most words and neighbours.
    Lexical,
    /// Their embeddings point the same way.
    Embedding,
}

impl How {
    /// Returns the name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normalised => "normalised",
            Self::Lexical => "lexical",
            Self::Embedding => "embedding",
        }
    }
}

/// Two bullets that say the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Duplicate {
    /// The two, in the playbook's order.
    pub ids: [BulletId; 2],
    /// How; the strongest way.
    pub how: How,
    /// How much, to 1: Dice coefficient or cosine.
    pub score: f32,
}

/// Returns the duplicates of a playbook: each pair once, strongest first, then in the playbook's order. Embeddings may be
/// there for some bullets or none.
///
/// A bullet with the (folded) words of an earlier one is paired with the first such, and speaks for itself no further:
/// of three equal bullets there are two pairs. Bullets with other numbers, comparisons or negations, or with opposites
/// such as `most` and `least`, are no duplicates however much they share.
///
/// Time: that of the words for the first two ways, near that for the lexical one (see `similar::alike`), and for
/// embeddings the square of their number times the few numbers that tell most pairs apart.
#[must_use]
#[expect(clippy::implicit_hasher, reason = "one map is used throughout")]
pub fn duplicates(playbook: &Playbook, embeddings: &HashMap<BulletId, Vec<f32>>) -> Vec<Duplicate> {
    let bullets = &playbook.bullets;
    let mut found: Vec<(How, Pair)> = Vec::new();
    let exact = firsts(0..bullets.len(), |at| Some(bullets[at].content.as_ref()), How::Exact, &mut found);
    let folded: Vec<String> = bullets.iter().map(|bullet| fold(&bullet.content)).collect();
    let words = |at: usize| Some(folded[at].as_str()).filter(|folded| !folded.is_empty());
    let distinct = firsts(exact, words, How::Normalised, &mut found);

    let stakes: Vec<Stakes> = distinct.iter().map(|at| Stakes::of(&bullets[*at].content)).collect();
    let fits = |a: usize, b: usize| stakes[a].agree(&stakes[b]);
    let mut grams = Grams::default();
    let mut bags: Vec<Vec<u32>> = distinct.iter().map(|at| grams.of(&bullets[*at].content)).collect();
    grams.rank(&mut bags);
    let lexical = similar::alike(&bags, grams.len(), MOST_TWINS, fits);

    let known: FxHashSet<(usize, usize)> = lexical.iter().map(|(a, b, _)| (*a, *b)).collect();
    let direction = |at: &usize| embeddings.get(&bullets[*at].id).and_then(|vector| Direction::of(vector));
    let directions: Vec<Option<Direction>> = distinct.iter().map(direction).collect();
    let is_new = |a: usize, b: usize| fits(a, b) && !known.contains(&(a, b));
    let embedded = similar::aligned(&directions, LEAST_COSINE, MOST_TWINS, is_new);

    let place = |(a, b, score): Pair| (distinct[a], distinct[b], score);
    found.extend(lexical.into_iter().map(|pair| (How::Lexical, place(pair))));
    found.extend(embedded.into_iter().map(|pair| (How::Embedding, place(pair))));
    found.sort_by(|(how, (a, b, score)), (other_how, (c, d, other))| {
        how.cmp(other_how).then(other.total_cmp(score)).then((a, b).cmp(&(c, d)))
    });
    let name = |(how, (a, b, score)): (How, Pair)| Duplicate {
        ids: [bullets[a].id.clone(), bullets[b].id.clone()],
        how,
        score,
    };
    found.into_iter().map(name).collect()
}

/// Pairs each bullet with the first of the same key; returns the first ones and those without a key.
fn firsts<'a>(
    bullets: impl IntoIterator<Item = usize>,
    key: impl Fn(usize) -> Option<&'a str>,
    how: How,
    found: &mut Vec<(How, Pair)>,
) -> Vec<usize> {
    let mut first: FxHashMap<&str, usize> = FxHashMap::default();
    let mut is_first = |at: &usize| {
        let Some(key) = key(*at) else { return true };
        let earlier = *first.entry(key).or_insert(*at);
        if earlier != *at {
            found.push((how, (earlier, *at, 1.0)));
        }
        earlier == *at
    };
    bullets.into_iter().filter(|at| is_first(at)).collect()
}

/// Tells whether two lessons have the same words but for case, blanks and punctuation.
#[must_use]
pub fn same_lesson(one: &str, other: &str) -> bool {
    let folded = fold(one);
    one == other || (!folded.is_empty() && folded == fold(other))
}

/// Returns the bullet that says the same as new words, if there is one: the strongest, then the first. Reads every bullet;
/// for many new bullets ask [`duplicates`] once they are in.
#[must_use]
pub fn twin_of(playbook: &Playbook, content: &str) -> Option<(BulletId, How, f32)> {
    let named = |bullet: &Bullet, how, score| (bullet.id.clone(), how, score);
    if let Some(same) = playbook.bullets.iter().find(|bullet| *bullet.content == *content) {
        return Some(named(same, How::Exact, 1.0));
    }
    let folded = fold(content);
    let same = |bullet: &&Bullet| !folded.is_empty() && fold(&bullet.content) == folded;
    if let Some(same) = playbook.bullets.iter().find(same) {
        return Some(named(same, How::Normalised, 1.0));
    }
    let mut grams = Grams::default();
    let mut wanted = grams.of(content);
    wanted.sort_unstable();
    let at_stake = Stakes::of(content);
    let score = |bullet: &Bullet| {
        let mut bag = grams.of(&bullet.content);
        bag.sort_unstable();
        let both = similar::shared(&wanted, &bag, similar::must_share(wanted.len(), bag.len()))?;
        (both > 0 && Stakes::of(&bullet.content).agree(&at_stake)).then(|| similar::dice(both, wanted.len(), bag.len()))
    };
    let scores: Vec<Option<f32>> = playbook.bullets.iter().map(score).collect();
    let scored = playbook.bullets.iter().zip(scores).filter_map(|(bullet, score)| Some((bullet, score?)));
    // of equal scores `min_by` takes the first
    let best = scored.min_by(|(_, score), (_, other)| other.total_cmp(score));
    best.map(|(bullet, score)| named(bullet, How::Lexical, score))
}

/// Returns the bullet that says the same as new words by the points of both, if there is one: the nearest, then the first.
/// `point_of` returns the point of a content, where it has one.
#[must_use]
pub fn near_twin_of<'a>(
    playbook: &Playbook,
    content: &str,
    point_of: impl Fn(&str) -> Option<&'a [f32]>,
) -> Option<(BulletId, How, f32)> {
    let wanted = point_of(content)?;
    let at_stake = Stakes::of(content);
    let near = |bullet: &Bullet| {
        let cosine = similar::cosine(wanted, point_of(&bullet.content)?).filter(|cosine| *cosine >= LEAST_COSINE)?;
        Stakes::of(&bullet.content).agree(&at_stake).then_some(cosine)
    };
    let scored = playbook.bullets.iter().filter_map(|bullet| Some((bullet, near(bullet)?)));
    // of equal scores `min_by` takes the first
    let best = scored.min_by(|(_, score), (_, other)| other.total_cmp(score));
    best.map(|(bullet, score)| (bullet.id.clone(), How::Embedding, score))
}

/// Makes merges of duplicates: one for each group that pairs hold together, in the playbook's order. The bullet that stays
/// keeps its words and takes over counters and evidence: an operator's before all other ones and one with words of a
/// tool's answer after them, then the one with most worth, then the oldest.
#[must_use]
pub fn merges(playbook: &Playbook, chosen: &[Duplicate], now_ms: i64) -> Vec<Operation> {
    let bullets = &playbook.bullets;
    let places: FxHashMap<&BulletId, usize> = bullets.iter().enumerate().map(|(at, bullet)| (&bullet.id, at)).collect();
    let mut parents: Vec<usize> = (0..bullets.len()).collect();
    for Duplicate { ids: [a, b], .. } in chosen {
        let (Some(a), Some(b)) = (places.get(a), places.get(b)) else { continue };
        let (a, b) = (root(&mut parents, *a), root(&mut parents, *b));
        parents[a.max(b)] = a.min(b);
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); bullets.len()];
    for at in 0..bullets.len() {
        groups[root(&mut parents, at)].push(at);
    }
    let merge = |group: Vec<usize>| {
        let by_rank = |a: &usize, b: &usize| {
            let (a, b) = (&bullets[*a], &bullets[*b]);
            let by_trust = trust(a.origin).cmp(&trust(b.origin));
            let by_worth = worth(b, now_ms).total_cmp(&worth(a, now_ms));
            by_trust.then(by_worth).then(a.created_ms.cmp(&b.created_ms))
        };
        let into = group.iter().copied().min_by(by_rank)?;
        let ids = group.iter().map(|at| bullets[*at].id.clone()).collect();
        (group.len() > 1).then(|| Operation::Merge { ids, into: Some(bullets[into].id.clone()), content: None })
    };
    groups.into_iter().filter_map(merge).collect()
}

/// Finds a group's first bullet, shortening the way to it.
fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}

/// Whose words stay, lowest first.
fn trust(origin: Origin) -> u8 {
    match origin {
        Origin::Operator => 0,
        Origin::Agent | Origin::Import | Origin::Learned => 1,
        Origin::Observed => 2,
    }
}

#[cfg(test)]
mod tests;
