//! The part of a playbook that is served: the bullets that matter most for their tokens.

use std::collections::{BTreeSet, HashMap};

use super::bullet::{Bullet, BulletId};
use super::growth::in_order;
use super::relevance::{Query, relevance};
use super::render;
use super::similar::{must_share, shared};
use super::state::Playbook;
use super::words::{Grams, Stakes};
use super::worth::worth;
use crate::tokens::TokenCounter;

/// What relevance brings to a bullet's score; the rest is its worth.
const RELEVANCE: f64 = 0.7;
/// Power of the tokens that a score is divided by: what does not bear on the task must not win by being short.
const DENSITY: f64 = 0.5;
/// Tokens of the shortest bullet with its id.
const LEAST_TOKENS: u32 = 6;
/// Bytes of a token on average, where no count is needed.
const TOKEN_BYTES: usize = 4;
/// Bytes for each token that is left above which a bullet is not counted: it does not fit.
const MOST_TOKEN_BYTES: usize = 16;
/// Bullets that do not fit, after which no further ones are looked at.
const MOST_MISSES: usize = 64;
/// Bullets with which what is left is filled up.
const MOST_FILLINGS: usize = 4;

/// How the bullets of an excerpt were chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Choice {
    /// Not at all: every bullet fits.
    #[default]
    Whole,
    /// By the words that they share with the query, and their worth.
    Words,
    /// By nearness of meaning too.
    Meaning,
}

/// A part of a playbook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The bullets, in the order of the text.
    pub bullets: Vec<BulletId>,
    /// The text of them, as [`render::text`] writes it; empty without bullets.
    pub text: String,
    /// The tokens of the text: never above the budget.
    pub tokens: u32,
    /// How they were chosen.
    pub choice: Choice,
}

/// Returns the whole playbook if it fits the budget in tokens, otherwise whole bullets of it: those that bear on the task
/// and on recent turns and that are worth most, for their tokens, none that says what another one says. They stand by section and in the playbook's order,
/// whatever their scores. The same question gets the same answer.
///
/// Every bullet is read once for its score; texts of about the budget's size are counted, a dozen times at most.
#[must_use]
#[expect(clippy::implicit_hasher, reason = "one map is used throughout")]
pub fn excerpt(
    playbook: &Playbook,
    query: &Query<'_>,
    embeddings: &HashMap<BulletId, Vec<f32>>,
    budget: u32,
    now_ms: i64,
    counter: &dyn TokenCounter,
) -> Excerpt {
    let bullets = in_order(playbook);
    if bullets.is_empty() {
        return Excerpt::default();
    }
    let mut draft = Draft::of(bullets, budget, counter);
    if let Some(whole) = draft.whole() {
        return whole;
    }
    let relevance = relevance(&draft.bullets, query, embeddings);
    let ranked = draft.ranked(&relevance, now_ms);
    let missed = draft.choose(&ranked);
    let used = draft.fit();
    draft.fill(&missed, used);
    let is_near = query.embedding.is_some() && !embeddings.is_empty();
    draft.written(if is_near { Choice::Meaning } else { Choice::Words })
}

/// Bullets chosen so far.
struct Draft<'a> {
    bullets: Vec<&'a Bullet>,
    lines: Vec<String>,
    budget: u32,
    counter: &'a dyn TokenCounter,
    /// Chosen bullets, those that go last first.
    chosen: Vec<usize>,
}

impl<'a> Draft<'a> {
    fn of(bullets: Vec<&'a Bullet>, budget: u32, counter: &'a dyn TokenCounter) -> Self {
        let lines = bullets.iter().map(|bullet| render::line(bullet)).collect();
        Self { bullets, lines, budget, counter, chosen: Vec::new() }
    }

    /// The whole playbook, if it fits. One that is far too large is not counted to its end.
    fn whole(&self) -> Option<Excerpt> {
        let most = self.budget.saturating_mul(2).saturating_add(64);
        let mut sum = 0u32;
        for line in &self.lines {
            sum = sum.saturating_add(self.counter.count(line));
            if sum > most {
                return None;
            }
        }
        let text = render::text(self.bullets.iter().copied());
        let tokens = self.counter.count(&text);
        let bullets = self.bullets.iter().map(|bullet| bullet.id.clone()).collect();
        (tokens <= self.budget).then_some(Excerpt { bullets, text, tokens, choice: Choice::Whole })
    }

    /// The bullets by score for their tokens, best first.
    #[expect(clippy::cast_precision_loss, reason = "bullets have far fewer than 2^53 bytes")]
    fn ranked(&self, relevance: &[f64], now_ms: i64) -> Vec<usize> {
        let density = |at: usize| {
            let score = RELEVANCE * relevance[at] + (1.0 - RELEVANCE) * worth(self.bullets[at], now_ms);
            score / (self.lines[at].len().div_ceil(TOKEN_BYTES) as f64).powf(DENSITY)
        };
        let densities: Vec<f64> = (0..self.bullets.len()).map(density).collect();
        let mut ranked: Vec<usize> = (0..self.bullets.len()).collect();
        ranked.sort_by(|a, b| densities[*b].total_cmp(&densities[*a]));
        ranked
    }

    /// Chooses by sums of tokens, which are close to those of the text. Returns the best of what did not fit.
    fn choose(&mut self, ranked: &[usize]) -> Vec<(usize, u32)> {
        let mut left = self.budget;
        let mut headed: BTreeSet<&str> = BTreeSet::new();
        let mut missed = Vec::new();
        let mut said = Said::default();
        for &at in ranked {
            if left < LEAST_TOKENS || missed.len() == MOST_MISSES {
                break;
            }
            let section = self.bullets[at].section.as_ref();
            let heading = if headed.contains(section) { 0 } else { self.counter.count(&format!("\n## {section}\n")) };
            let too_long = self.lines[at].len() / MOST_TOKEN_BYTES > left as usize;
            let cost = if too_long { u32::MAX } else { self.counter.count(&self.lines[at]).saturating_add(heading) };
            if cost > left {
                missed.push((at, cost));
                continue;
            }
            // of two that say the same the better one is enough
            if !said.is_new(&self.bullets[at].content) {
                continue;
            }
            left -= cost;
            headed.insert(section);
            self.chosen.push(at);
        }
        missed
    }

    /// Drops the least of the chosen until the text fits. Returns its tokens.
    fn fit(&mut self) -> u32 {
        let mut used = self.count();
        while used > self.budget {
            let mut over = used - self.budget;
            while over > 0
                && let Some(least) = self.chosen.pop()
            {
                over = over.saturating_sub(self.counter.count(&self.lines[least]));
            }
            used = self.count();
        }
        used
    }

    /// Fills what is left of the budget with the best that may fit.
    fn fill(&mut self, missed: &[(usize, u32)], mut used: u32) {
        let mut tries = 0;
        for (at, cost) in missed {
            // a text may have a few tokens less than its parts
            let may_fit = *cost <= self.budget.saturating_sub(used).saturating_add(2);
            if !may_fit || tries == MOST_FILLINGS {
                continue;
            }
            tries += 1;
            self.chosen.push(*at);
            let with = self.count();
            if with <= self.budget {
                used = with;
            } else {
                self.chosen.pop();
            }
        }
    }

    fn count(&self) -> u32 {
        if self.chosen.is_empty() { 0 } else { self.counter.count(&self.text()) }
    }

    fn in_order(&self) -> Vec<&'a Bullet> {
        let mut places = self.chosen.clone();
        places.sort_unstable();
        places.into_iter().map(|at| self.bullets[at]).collect()
    }

    fn text(&self) -> String {
        render::text(self.in_order())
    }

    fn written(&self, choice: Choice) -> Excerpt {
        let (text, tokens) = (self.text(), self.count());
        let bullets = self.in_order().into_iter().map(|bullet| bullet.id.clone()).collect();
        Excerpt { bullets, text, tokens, choice }
    }
}

/// What the chosen bullets say.
#[derive(Default)]
struct Said {
    grams: Grams,
    bags: Vec<(Vec<u32>, Stakes)>,
}

impl Said {
    /// Tells whether no text so far says the same, and takes this one.
    fn is_new(&mut self, content: &str) -> bool {
        let mut bag = self.grams.of(content);
        bag.sort_unstable();
        let stakes = Stakes::of(content);
        let says_it = |(other, theirs): &(Vec<u32>, Stakes)| {
            let least = must_share(bag.len(), other.len()).max(1);
            shared(&bag, other, least).is_some() && stakes.agree(theirs)
        };
        let is_new = !self.bags.iter().any(says_it);
        self.bags.push((bag, stakes));
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::playbook;
    use super::*;
    use crate::tokens::for_model;

    fn cut(playbook: &Playbook, task: &str, budget: u32) -> Excerpt {
        let query = Query { task, ..Query::default() };
        excerpt(playbook, &query, &HashMap::new(), budget, 0, &*for_model(None))
    }

    fn ids(excerpt: &Excerpt) -> Vec<&str> {
        excerpt.bullets.iter().map(BulletId::as_str).collect()
    }

    fn lessons() -> Playbook {
        playbook(&[
            "Page through all songs of a playlist before you count them.",
            "Ask the phone app for contacts, never the mail app, before a payment.",
            "Sign in to each app once and keep its token for later calls of it.",
            "Compare dates with a library and never as text, zones included.",
            "Close the file after the last line that was written to it.",
        ])
    }

    #[test]
    fn a_playbook_that_fits_is_served_whole() {
        let whole = cut(&lessons(), "anything", 1000);
        assert_eq!(ids(&whole), ["a-1", "a-2", "a-3", "a-4", "a-5"]);
        assert_eq!(cut(&lessons(), "anything", whole.tokens), whole);
        assert_eq!(cut(&lessons(), "anything", whole.tokens - 1).bullets.len(), 4);
    }

    #[test]
    fn what_bears_on_the_task_comes_first_and_stays_in_order() {
        let playbook = lessons();
        assert_eq!(ids(&cut(&playbook, "which contacts sent a payment", 26)), ["a-2"]);
        assert_eq!(ids(&cut(&playbook, "count songs of the playlist", 26)), ["a-1"]);
        let two = cut(&playbook, "payment to contacts, then count the songs of the playlist", 46);
        assert_eq!(ids(&two), ["a-1", "a-2"]);
    }

    #[test]
    fn the_same_is_not_served_twice() {
        let mut playbook = lessons();
        let copy = playbook.bullets[1].content.replace("contacts, never", "contacts and never").into();
        playbook.bullets.push(Bullet { content: copy, ..super::super::testing::bullet("a-6", "") });
        let part = cut(&playbook, "contacts payment phone app mail", 70);
        assert_eq!(part.bullets.len(), 3);
        assert!(!ids(&part).contains(&"a-6") && ids(&part).contains(&"a-2"), "{:?}", part.text);
    }

    #[test]
    fn without_a_query_worth_decides() {
        let mut playbook = lessons();
        playbook.bullets[3].credits.helpful.add(9, 0);
        assert_eq!(ids(&cut(&playbook, "", 26)), ["a-4"]);
    }

    #[test]
    fn no_bullet_is_no_text() {
        let nothing = Excerpt { choice: Choice::Words, ..Excerpt::default() };
        assert_eq!(cut(&lessons(), "songs", 4), nothing);
        assert_eq!(cut(&lessons(), "songs", 0), nothing);
        assert_eq!(cut(&Playbook::default(), "songs", 100), Excerpt::default());
    }

    #[test]
    fn what_is_left_is_filled_with_what_fits() {
        let mut playbook = lessons();
        playbook.bullets.push(super::super::testing::bullet("a-6", "Be brief."));
        playbook.bullets[5].credits.harmful.add(40, 0);
        let filled = cut(&playbook, "contacts payment", 38);
        assert_eq!(ids(&filled), ["a-2", "a-6"]);
    }

    #[test]
    fn text_and_tokens_are_those_of_the_bullets() {
        let playbook = lessons();
        let part = cut(&playbook, "songs and files", 60);
        let chosen = part.bullets.iter().map(|id| playbook.bullet(id).unwrap());
        assert_eq!(part.text, render::text(chosen));
        assert_eq!(part.tokens, for_model(None).count(&part.text));
    }
}
