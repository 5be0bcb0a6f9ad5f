//! How much a bullet has to do with what an agent does.

use std::collections::HashMap;

use rustc_hash::FxHashMap;

use super::bullet::{Bullet, BulletId};
use super::similar::cosine;
use super::words::for_each_term;

/// BM25's saturation of repeated terms (Robertson and Zaragoza 2009).
const K1: f64 = 1.2;
/// BM25's weight of a bullet's length.
const B: f64 = 0.75;
/// Terms of the task, and of recent turns together, that are looked at, about.
const MOST_QUERY_TERMS: usize = 32_768;
/// Share of the embedding in a bullet's relevance, where there is one.
const EMBEDDED: f64 = 0.5;

/// What an agent does, so far as bullets may bear on it. All of it may be empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query<'a> {
    /// The words of the task.
    pub task: &'a str,
    /// The words of recent turns.
    pub recent: &'a [&'a str],
    /// The embedding of both, in the space of the bullets' ones.
    pub embedding: Option<&'a [f32]>,
}

/// Returns the relevance of each bullet from 0 to 1. Task and recent turns weigh the same, each by the terms that it shares
/// with a bullet and its heading, those that are rare in these bullets most; where the bullet and the query have
/// embeddings, their cosine weighs as much as the words.
pub(super) fn relevance(bullets: &[&Bullet], query: &Query<'_>, embeddings: &HashMap<BulletId, Vec<f32>>) -> Vec<f64> {
    let mut asked = Asked::default();
    asked.take(query.task, TASK);
    query.recent.iter().for_each(|text| asked.take(text, RECENT));
    let held = Held::of(bullets, &asked);
    let parts: Vec<Vec<f64>> = asked.parts.iter().filter_map(|part| held.scores(part)).collect();
    let near = |bullet: &Bullet| cosine(embeddings.get(&bullet.id)?, query.embedding?).map(f64::from);
    let blend = |(at, bullet): (usize, &&Bullet)| {
        let lexical = parts.iter().map(|scores| scores[at]).sum::<f64>() / if parts.len() > 1 { 2.0 } else { 1.0 };
        match near(bullet) {
            Some(near) => lexical * (1.0 - EMBEDDED) + near.max(0.0) * EMBEDDED,
            None => lexical,
        }
    };
    bullets.iter().enumerate().map(blend).collect()
}

const TASK: usize = 0;
const RECENT: usize = 1;

/// How often each term stands in the task and in recent turns.
#[derive(Default)]
struct Asked {
    terms: FxHashMap<String, usize>,
    parts: [Part; 2],
}

/// Times by the term's number.
#[derive(Default)]
struct Part {
    times: FxHashMap<usize, f64>,
    terms: usize,
}

impl Asked {
    fn take(&mut self, text: &str, part: usize) {
        let part = &mut self.parts[part];
        for_each_term(text, MOST_QUERY_TERMS - part.terms.min(MOST_QUERY_TERMS), |term| {
            part.terms += 1;
            let at = self.terms.get(term).copied().unwrap_or_else(|| {
                let fresh = self.terms.len();
                self.terms.insert(term.to_owned(), fresh);
                fresh
            });
            *part.times.entry(at).or_default() += 1.0;
        });
    }
}

/// Which terms of a query each bullet holds, and how often.
struct Held {
    bullets: Vec<Vec<(usize, f64)>>,
    /// Terms of each bullet, over the mean.
    lengths: Vec<f64>,
    /// What it says that a bullet holds a term.
    rarities: Vec<f64>,
    /// The rarity of a term that one bullet holds.
    rarest: f64,
}

impl Held {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    fn of(bullets: &[&Bullet], asked: &Asked) -> Self {
        let mut lengths = Vec::with_capacity(bullets.len());
        let mut holders = vec![0u32; asked.terms.len()];
        let mut held = Vec::with_capacity(bullets.len());
        for bullet in bullets {
            let (mut length, mut times) = (0.0, FxHashMap::<usize, f64>::default());
            for text in [&bullet.section, &bullet.content] {
                for_each_term(text, usize::MAX, |term| {
                    length += 1.0;
                    if let Some(at) = asked.terms.get(term) {
                        *times.entry(*at).or_default() += 1.0;
                    }
                });
            }
            let mut times: Vec<(usize, f64)> = times.into_iter().collect();
            times.sort_unstable_by_key(|(at, _)| *at);
            times.iter().for_each(|(at, _)| holders[*at] += 1);
            lengths.push(length);
            held.push(times);
        }
        let count = bullets.len() as f64;
        let mean = (lengths.iter().sum::<f64>() / count).max(1.0);
        lengths.iter_mut().for_each(|length| *length /= mean);
        let rarity = |holders: u32| (1.0 + (count - f64::from(holders) + 0.5) / (f64::from(holders) + 0.5)).ln();
        let rarities = holders.into_iter().map(rarity).collect();
        Self { bullets: held, lengths, rarities, rarest: rarity(1) }
    }

    /// Returns each bullet's score against a part of the query, over the best one's or that of one rare term, whichever is
    /// more; `None` if no bullet shares a term.
    fn scores(&self, part: &Part) -> Option<Vec<f64>> {
        let score = |(held, length): (&Vec<(usize, f64)>, &f64)| {
            let one = |(at, times): &(usize, f64)| {
                let asked = 1.0 + part.times.get(at)?.ln();
                Some(asked * self.rarities[*at] * times * (K1 + 1.0) / (times + K1 * (1.0 - B + B * length)))
            };
            held.iter().filter_map(one).sum::<f64>()
        };
        let mut scores: Vec<f64> = self.bullets.iter().zip(&self.lengths).map(score).collect();
        let best = scores.iter().copied().fold(0.0, f64::max);
        scores.iter_mut().for_each(|score| *score /= best.max(self.rarest));
        (best > 0.0).then_some(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::playbook;
    use super::*;

    fn scores(contents: &[&str], query: &Query<'_>) -> Vec<f64> {
        let playbook = playbook(contents);
        relevance(&playbook.bullets.iter().collect::<Vec<_>>(), query, &HashMap::new())
    }

    fn best(contents: &[&str], task: &str) -> usize {
        let scores = scores(contents, &Query { task, ..Query::default() });
        (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
    }

    #[test]
    fn a_rare_word_says_more_than_a_common_one() {
        let lessons = ["check the list of songs", "check the list of mails", "check the venmo feed", "check the list"];
        assert_eq!(best(&lessons, "check the list on venmo"), 2);
    }

    #[test]
    fn names_are_found_by_their_words() {
        let lessons = ["read the whole page", "call show_api_doc first", "sort by date"];
        assert_eq!(best(&lessons, "which API docs are there"), 1);
        assert_eq!(best(&lessons, "showApiDoc failed"), 1);
        assert_eq!(best(&["数を確認する", "先に一覧を読む"], "一覧を出して"), 1);
    }

    #[test]
    fn task_and_recent_turns_both_matter() {
        let lessons = ["about songs", "about mails", "about rooms"];
        let query = Query { task: "delete songs", recent: &["now some words", "the mails are gone"], embedding: None };
        let found = scores(&lessons, &query);
        assert!(found[0] > 0.4 && found[1] > 0.4 && found[2] == 0.0, "{found:?}");
    }

    #[test]
    fn scores_are_from_0_to_1() {
        let lessons = ["a b c", "a a a a b", "c", ""];
        for task in ["", "a", "a b c a a a a a a", "unknown"] {
            let found = scores(&lessons, &Query { task, recent: &["b"], embedding: None });
            assert!(found.iter().all(|score| (0.0..=1.0).contains(score)), "{found:?}");
        }
        assert_eq!(scores(&[], &Query::default()), [0.0; 0]);
        assert_eq!(scores(&lessons, &Query::default()), [0.0; 4]);
    }

    #[test]
    fn embeddings_bring_what_words_miss() {
        let playbook = playbook(&["sign in before you call", "sort the rows", "count pages"]);
        let bullets: Vec<&Bullet> = playbook.bullets.iter().collect();
        let vectors = [vec![1.0, 0.1], vec![-1.0, 0.0]];
        let vectors = bullets.iter().zip(vectors).map(|(bullet, vector)| (bullet.id.clone(), vector)).collect();
        let query = Query { task: "authentication rows", recent: &[], embedding: Some(&[1.0, 0.0]) };
        let found = relevance(&bullets, &query, &vectors);
        assert!(found[0] > 0.45 && (found[1] - 0.5).abs() < 1e-9 && found[2] == 0.0, "{found:?}");
    }
}
