//! Changes that wait for somebody's word, settings, and the way back.

use std::sync::Arc;

use recap_core::playbook::{Operation, Playbook, Prior, Source, resolve};
use serde_json::json;

use super::bounds::{Removals, Rules};
use super::change::{Asked, ChangeKind, of_store, origin_of};
use super::deltas::DeltaOutcome;
use super::read::PlaybookView;
use super::refusal::Refusal;
use crate::pipeline::Pipeline;
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::store::{PlaybookDecision, PlaybookKey, PlaybookNow, PlaybookPatch, PlaybookReview, ReviewPage};

/// Budgets that a playbook may have.
const BUDGETS: std::ops::RangeInclusive<u32> = 100..=1_000_000;

/// Somebody's word on a change that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is applied.
    Accept,
    /// It is not.
    Reject,
}

impl Pipeline {
    /// Returns a page of the changes of a playbook that wait, oldest first.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn playbook_reviews(
        &self,
        key: &PlaybookKey,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ReviewPage, Failure> {
        self.playbook_row(key).await?;
        Ok(self.store().playbook_reviews(key, cursor, limit).await?)
    }

    /// Decides on a change that waits. Returns what was applied; nothing where it was rejected.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]; [`Failure::Playbook`] where it cannot be applied: then it waits on.
    pub async fn decide_review(
        &self,
        caller: &Caller,
        key: PlaybookKey,
        id: &str,
        verdict: Verdict,
    ) -> Result<Option<DeltaOutcome>, Failure> {
        let (applied, decision) = match verdict {
            Verdict::Accept => (Some(self.accept_review(caller, key.clone(), id).await?), "accepted"),
            Verdict::Reject => {
                let rejected =
                    self.store().reject_playbook_review(key.clone(), id, &caller.actor, self.world().now_ms());
                rejected.await.map_err(|error| of_store(error, &key))?;
                (None, "rejected")
            }
        };
        metrics::counter!("recapd_playbook_reviews_total", "decision" => decision).increment(1);
        let detail = json!({ "review": id, "decision": decision });
        self.audit(caller, Some(&key.namespace), "playbook.review", &key.name, detail).await?;
        Ok(applied)
    }

    async fn accept_review(&self, caller: &Caller, key: PlaybookKey, id: &str) -> Result<DeltaOutcome, Failure> {
        let rules = Rules::of(self, &caller.actor);
        let asked = Asked {
            key,
            kind: ChangeKind::Review,
            expected_version: None,
            actor: caller.actor.clone(),
            source: Source::of(origin_of(caller)),
            run: None,
            accepts: Some(id.to_owned()),
            job: None,
            lesson: None,
            decide: Arc::new(move |now| accepted(now, &rules)),
        };
        let changed = self.change_playbook(asked).await?;
        self.outcome_of(changed).await
    }

    /// Makes a playbook what it was at an earlier version, counters included; the log keeps what was since. Returns the
    /// version since.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn revert_playbook(&self, caller: &Caller, key: PlaybookKey, to: u64) -> Result<u64, Failure> {
        let asked = Asked {
            key: key.clone(),
            kind: ChangeKind::Revert,
            expected_version: None,
            actor: caller.actor.clone(),
            source: Source::of(origin_of(caller)),
            run: None,
            accepts: None,
            job: None,
            lesson: None,
            decide: Arc::new(move |now| match now.row.playbook.version {
                current if to > current => Err(Refusal::NoVersion(to)),
                current if to == current => Ok(PlaybookDecision::nothing()),
                _ => Ok(PlaybookDecision::apply(vec![Operation::Revert { to }])),
            }),
        };
        let version = self.change_playbook(asked).await?.row.playbook.version;
        let detail = json!({ "to": to, "version": version });
        self.audit(caller, Some(&key.namespace), "playbook.revert", &key.name, detail).await?;
        Ok(version)
    }

    /// Changes a playbook's settings.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::Invalid`].
    pub async fn patch_playbook(
        &self,
        caller: &Caller,
        key: PlaybookKey,
        patch: PlaybookPatch,
    ) -> Result<PlaybookView, Failure> {
        if patch.budget.flatten().is_some_and(|budget| !BUDGETS.contains(&budget)) {
            return Err(Failure::field("/budget", "must be from 100 to 1000000"));
        }
        let patched = self.store().patch_playbook(key.clone(), patch, self.world().now_ms()).await;
        let row = patched.map_err(|error| of_store(error, &key))?;
        let tokens = self.inner.playbooks.put(&row).await?.tokens;
        let detail = json!({ "budget": row.budget, "review": row.review });
        self.audit(caller, Some(&key.namespace), "playbook.patch", &key.name, detail).await?;
        Ok(self.view(row, tokens))
    }
}

fn accepted(now: &PlaybookNow, rules: &Rules) -> Result<PlaybookDecision, Refusal> {
    let Some(review) = &now.review else { return Ok(PlaybookDecision::nothing()) };
    let playbook = &now.row.playbook;
    let outdated = |refusal: Refusal| match refusal {
        Refusal::Operations(faults) => {
            let why: Vec<String> =
                faults.into_iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
            Refusal::Outdated { current: playbook.version, why: why.join("; ") }
        }
        refusal => refusal,
    };
    if let Some(why) = reworded(playbook, review) {
        return Err(Refusal::Outdated { current: playbook.version, why });
    }
    // They were held against what their sender may say when they were asked for.
    let resolved = resolve(playbook, review.operations.clone(), Prior::Trusted).map_err(Refusal::of_faults);
    let operations = resolved.map_err(outdated)?;
    let after = rules.after(playbook, &operations, &review.source).map_err(outdated)?;
    rules.hold(&now.row, &after, Removals::Any)?;
    Ok(PlaybookDecision::apply(operations))
}

/// Says which bullets have other words than those that a change was made for, if any have.
fn reworded(playbook: &Playbook, review: &PlaybookReview) -> Option<String> {
    let mut said = Vec::new();
    for (id, words) in &review.words {
        match playbook.bullet(id) {
            None => said.push(format!("{id} is gone")),
            Some(bullet) if bullet.words_hash() != *words => said.push(format!("{id} has other words by now")),
            Some(_) => {}
        }
    }
    (!said.is_empty()).then(|| said.join("; "))
}
