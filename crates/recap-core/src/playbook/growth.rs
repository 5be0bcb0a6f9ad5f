//! How large a playbook may become, and how small at once.

use rustc_hash::{FxHashMap, FxHashSet};

use super::bullet::{Bullet, BulletId};
use super::render;
use super::state::Playbook;
use super::words::Grams;
use super::worth::worth;
use crate::tokens::TokenCounter;

/// Bullets whose loss in one delta is no collapse yet.
const LEAST_LOST: usize = 5;
/// Share of the bullets, in percent, that one delta may remove.
const MOST_LOST_PERCENT: usize = 30;
/// Share of a bullet's words and pairs of words, in percent, that stand in another one if that says the same too.
const KEPT_PERCENT: usize = 85;

/// A playbook that is larger than its budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the playbook would have {over_by} tokens more than its budget")]
pub struct OverBudget {
    /// Tokens above the budget.
    pub over_by: u32,
    /// What was there before and would have to go, with the tokens of each: least worth first, then oldest. All of it where
    /// even that is not enough.
    pub would_go: Vec<(BulletId, u32)>,
}

/// Bullets that a delta removed, too many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{removed} of {of} bullets would go at once")]
pub struct Collapse {
    /// The bullets that went and whose words did not stay.
    pub removed: usize,
    /// The bullets before.
    pub of: usize,
}

/// Returns the tokens of a playbook's text.
#[must_use]
pub fn tokens(playbook: &Playbook, counter: &dyn TokenCounter) -> u32 {
    counter.count(&render::text(in_order(playbook)))
}

/// Returns the bullets by section, both in order: as a text shows them.
pub(super) fn in_order(playbook: &Playbook) -> Vec<&Bullet> {
    let sections: FxHashMap<&str, usize> =
        playbook.sections.iter().enumerate().map(|(at, section)| (section.as_ref(), at)).collect();
    let mut bullets: Vec<&Bullet> = playbook.bullets.iter().collect();
    bullets.sort_by_key(|bullet| sections.get(bullet.section.as_ref()).copied().unwrap_or(usize::MAX));
    bullets
}

/// Holds a change against the budget. A playbook that is over it may still be made smaller. Returns the tokens after.
///
/// # Errors
/// [`OverBudget`], with what would have to go.
pub fn check_growth(
    before: &Playbook,
    after: &Playbook,
    budget: u32,
    counter: &dyn TokenCounter,
    now_ms: i64,
) -> Result<u32, OverBudget> {
    let now = tokens(after, counter);
    if now <= budget || now <= tokens(before, counter) {
        return Ok(now);
    }
    Err(OverBudget { over_by: now - budget, would_go: would_go(before, after, now - budget, budget, counter, now_ms) })
}

/// Returns the fewest of the bullets that were there before, in the order in which they would go, without which the rest
/// fits.
fn would_go(
    before: &Playbook,
    after: &Playbook,
    over_by: u32,
    budget: u32,
    counter: &dyn TokenCounter,
    now_ms: i64,
) -> Vec<(BulletId, u32)> {
    let known: FxHashSet<&BulletId> = before.bullets.iter().map(|bullet| &bullet.id).collect();
    let mut leaving: Vec<&Bullet> = after.bullets.iter().filter(|bullet| known.contains(&bullet.id)).collect();
    leaving.sort_by(|a, b| worth(a, now_ms).total_cmp(&worth(b, now_ms)).then(a.created_ms.cmp(&b.created_ms)));
    let mut freed = 0;
    let mut enough = 0;
    while enough < leaving.len() && freed < over_by {
        freed += counter.count(&render::line(leaving[enough]));
        enough += 1;
    }
    let ordered = in_order(after);
    let fits_without = |count: usize| {
        let gone: FxHashSet<&BulletId> = leaving.iter().take(count).map(|bullet| &bullet.id).collect();
        let rest = ordered.iter().copied().filter(|bullet| !gone.contains(&bullet.id));
        counter.count(&render::text(rest)) <= budget
    };
    // tokens of a text are not the sum of its lines': the sum only says where to look
    while enough < leaving.len() && !fits_without(enough) {
        enough += 1;
    }
    while enough > 0 && fits_without(enough - 1) {
        enough -= 1;
    }
    let named = |bullet: &&Bullet| (bullet.id.clone(), counter.count(&render::line(bullet)));
    leaving.iter().take(enough).map(named).collect()
}

/// Tells whether a change removes more than 30 % of the bullets, and at least 5. A bullet whose words nearly all stand in
/// one that is there afterwards, as after a merge of duplicates, is not lost.
#[must_use]
pub fn collapses(before: &Playbook, after: &Playbook) -> Option<Collapse> {
    let of = before.bullets.len();
    let is_collapse = |removed: usize| removed >= LEAST_LOST && removed * 100 > of * MOST_LOST_PERCENT;
    let there: FxHashSet<&BulletId> = after.bullets.iter().map(|bullet| &bullet.id).collect();
    let gone: Vec<&Bullet> = before.bullets.iter().filter(|bullet| !there.contains(&bullet.id)).collect();
    if !is_collapse(gone.len()) {
        return None;
    }
    let removed = lost(&gone, &after.bullets);
    is_collapse(removed).then_some(Collapse { removed, of })
}

/// Counts the bullets whose words do not stand in one of `after`.
fn lost(gone: &[&Bullet], after: &[Bullet]) -> usize {
    let mut grams = Grams::default();
    let bags: Vec<Vec<u32>> = after.iter().map(|bullet| grams.of(&bullet.content)).collect();
    let mut holders: Vec<Vec<usize>> = vec![Vec::new(); grams.len()];
    for (at, bag) in bags.iter().enumerate() {
        bag.iter().for_each(|gram| holders[*gram as usize].push(at));
    }
    let is_lost = |bullet: &&&Bullet| {
        let wanted = grams.of(&bullet.content);
        let mut shared = vec![0usize; after.len()];
        for gram in &wanted {
            let holders = holders.get(*gram as usize).map_or(&[][..], Vec::as_slice);
            holders.iter().for_each(|at| shared[*at] += 1);
        }
        let most = shared.into_iter().max().unwrap_or(0);
        wanted.is_empty() || most * 100 < wanted.len() * KEPT_PERCENT
    };
    gone.iter().filter(is_lost).count()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{bullet, playbook};
    use super::*;
    use crate::tokens::for_model;

    fn of(count: usize) -> Playbook {
        let names = ["songs", "orders", "mails", "files", "notes", "rooms", "flights", "cards", "books", "trips"];
        let lesson = |at: usize| format!("Before you change {}, read all {} again", names[at % 10], names[at / 10]);
        let contents: Vec<String> = (0..count).map(lesson).collect();
        playbook(&contents.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn without(playbook: &Playbook, gone: usize) -> Playbook {
        Playbook { bullets: playbook.bullets[gone..].to_vec(), ..playbook.clone() }
    }

    #[test]
    fn tokens_are_those_of_the_text_in_order() {
        let counter = for_model(None);
        let mut playbook = playbook(&["first", "second", "third"]);
        playbook.sections.push("Later".into());
        playbook.bullets[0].section = "Later".into();
        let text = "## Rules\n[a-2] second\n[a-3] third\n\n## Later\n[a-1] first\n";
        assert_eq!(render::text(in_order(&playbook)), text);
        assert_eq!(tokens(&playbook, &*counter), counter.count(text));
        assert_eq!(tokens(&Playbook::default(), &*counter), 0);
    }

    #[test]
    fn what_would_go_is_least_worth_then_oldest_and_makes_room() {
        let counter = for_model(None);
        let mut before = of(20);
        before.bullets[7].credits.harmful.add(4, 0);
        before.bullets[0].credits.helpful.add(4, 0);
        before.bullets[12].created_ms = -1;
        let mut after = before.clone();
        after.bullets.push(bullet("new-1", &"Many words that make it far too large. ".repeat(4)));
        let budget = tokens(&before, &*counter) + 2;
        let refusal = check_growth(&before, &after, budget, &*counter, 0).unwrap_err();
        let ids: Vec<&str> = refusal.would_go.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids[..3], ["a-8", "a-13", "a-2"]);
        let fits = |gone: usize| {
            let rest = in_order(&after).into_iter().filter(|bullet| !ids[..gone].contains(&bullet.id.as_str()));
            counter.count(&render::text(rest)) <= budget
        };
        assert!(fits(ids.len()) && !fits(ids.len() - 1));
        assert_eq!(refusal.over_by, tokens(&after, &*counter) - budget);
    }

    #[test]
    fn a_playbook_over_budget_may_shrink() {
        let counter = for_model(None);
        let (before, after) = (of(20), without(&of(20), 2));
        assert_eq!(check_growth(&before, &after, 10, &*counter, 0), Ok(tokens(&after, &*counter)));
        assert!(check_growth(&after, &before, 10, &*counter, 0).is_err());
    }

    #[test]
    fn what_was_not_there_before_does_not_go() {
        let counter = for_model(None);
        let refusal = check_growth(&Playbook::default(), &of(3), 5, &*counter, 0).unwrap_err();
        assert_eq!(refusal.would_go, []);
    }

    #[test]
    fn more_than_three_tenths_and_at_least_five_is_a_collapse() {
        let before = of(20);
        assert_eq!(collapses(&before, &without(&before, 7)), Some(Collapse { removed: 7, of: 20 }));
        assert_eq!(collapses(&before, &without(&before, 6)), None);
        assert_eq!(collapses(&of(4), &Playbook::default()), None);
        assert_eq!(collapses(&of(5), &Playbook::default()), Some(Collapse { removed: 5, of: 5 }));
        assert_eq!(collapses(&before, &before), None);
    }

    #[test]
    fn merged_words_that_stay_are_not_lost() {
        let copies = playbook(&["Read the list of songs again"; 10]);
        let merged = Playbook { bullets: copies.bullets[..1].to_vec(), ..copies.clone() };
        assert_eq!(collapses(&copies, &merged), None);

        let before = of(6);
        let all: Vec<&str> = before.bullets.iter().map(|bullet| bullet.content.as_ref()).collect();
        assert_eq!(collapses(&before, &playbook(&[&all.join(". ")])), None);
        assert_eq!(collapses(&before, &playbook(&["Be careful"])), Some(Collapse { removed: 5, of: 6 }));
        let rewritten = Playbook { bullets: vec![bullet("b-1", "Be careful")], ..before.clone() };
        assert_eq!(collapses(&before, &rewritten), Some(Collapse { removed: 6, of: 6 }));
    }
}
