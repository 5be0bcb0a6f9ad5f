//! Bullets that harm more than they help.

use serde::Serialize;

use super::bullet::{Bullet, BulletId};
use super::state::Playbook;
use super::worth::wilson;

/// Uses from which a share says something.
const LEAST_USES: u64 = 5;
/// A bullet goes if it surely helped in less than this share of the runs in which it helped or harmed.
const LEAST_SHARE: f64 = 0.4;
/// A bullet goes if it harmed this many times more than it helped.
const MOST_SURPLUS: u64 = 3;

/// Why a bullet should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PruneRule {
    /// Of 5 uses or more, the helpful share is below 0.4 even at the upper bound of its 95 % interval.
    HelpfulShare,
    /// It harmed 3 times more than it helped, or worse.
    HarmfulSurplus,
}

impl PruneRule {
    /// Returns the name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HelpfulShare => "helpful-share",
            Self::HarmfulSurplus => "harmful-surplus",
        }
    }
}

/// A bullet that should go, and the numbers that say so. Only what somebody said counts, nothing inferred.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prunable {
    /// The bullet.
    pub id: BulletId,
    /// The rule; the first if both hold.
    pub rule: PruneRule,
    /// How often it helped.
    pub helpful: u64,
    /// How often it harmed.
    pub harmful: u64,
    /// The upper bound of the helpful share.
    pub bound: f64,
}

/// Returns the bullets that should go, in the playbook's order.
#[must_use]
pub fn prunable(playbook: &Playbook) -> Vec<Prunable> {
    playbook.bullets.iter().filter_map(judge).collect()
}

fn judge(bullet: &Bullet) -> Option<Prunable> {
    let credits = &bullet.credits;
    let (helpful, harmful) = (credits.helpful.count(), credits.harmful.count());
    let judged = helpful.saturating_add(harmful);
    let (_, bound) = wilson(helpful, judged);
    let uses = judged.saturating_add(credits.neutral.count());
    let rule = if uses >= LEAST_USES && bound < LEAST_SHARE {
        PruneRule::HelpfulShare
    } else if harmful.saturating_sub(helpful) >= MOST_SURPLUS {
        PruneRule::HarmfulSurplus
    } else {
        return None;
    };
    Some(Prunable { id: bullet.id.clone(), rule, helpful, harmful, bound })
}

#[cfg(test)]
mod tests {
    use super::super::testing::bullet;
    use super::*;

    fn judged(helpful: i64, harmful: i64, neutral: i64) -> Option<PruneRule> {
        let mut bullet = bullet("a-1", "x");
        bullet.credits.helpful.add(helpful, 0);
        bullet.credits.harmful.add(harmful, 0);
        bullet.credits.neutral.add(neutral, 0);
        judge(&bullet).map(|candidate| candidate.rule)
    }

    #[test]
    fn a_share_surely_too_low_goes() {
        assert_eq!(judged(0, 6, 0), Some(PruneRule::HelpfulShare));
        assert_eq!(judged(10, 40, 0), Some(PruneRule::HelpfulShare));
        // the upper bound is 0.434
        assert_eq!(judged(0, 5, 0), Some(PruneRule::HarmfulSurplus));
    }

    #[test]
    fn a_surplus_of_harm_goes_early() {
        assert_eq!(judged(0, 3, 0), Some(PruneRule::HarmfulSurplus));
        assert_eq!(judged(40, 43, 0), Some(PruneRule::HarmfulSurplus));
        assert_eq!(judged(0, 2, 0), None);
        assert_eq!(judged(40, 42, 0), None);
    }

    #[test]
    fn what_neither_helped_nor_harmed_stays() {
        assert_eq!(judged(0, 0, 50), None);
        assert_eq!(judged(0, 2, 50), None);
        assert_eq!(judged(0, 0, 0), None);
    }

    #[test]
    fn nothing_inferred_decides() {
        let mut bullet = bullet("a-1", "x");
        bullet.credits.inferred_harmful.add(500, 0);
        assert_eq!(judge(&bullet), None);
        bullet.credits.inferred_helpful.add(5_000, 0);
        bullet.credits.harmful.add(3, 0);
        assert_eq!(judge(&bullet).map(|candidate| (candidate.helpful, candidate.harmful)), Some((0, 3)));
    }

    #[test]
    fn candidates_name_rule_and_numbers() {
        let mut bullet = bullet("a-1", "x");
        bullet.credits.helpful.add(1, 0);
        bullet.credits.harmful.add(10, 0);
        let playbook = Playbook { bullets: vec![bullet], ..Playbook::default() };
        let found = prunable(&playbook);
        assert_eq!((found[0].rule.name(), found[0].helpful, found[0].harmful), ("helpful-share", 1, 10));
        assert!((found[0].bound - 0.377).abs() < 1e-3, "{}", found[0].bound);
        let wire = serde_json::to_value(&found[0]).unwrap();
        assert_eq!(wire["rule"], "helpful-share");
    }
}
