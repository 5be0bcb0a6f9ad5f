//! What operations are held against: they apply, stay within the budget, and leave most of the playbook there.

use std::sync::Arc;

use recap_core::playbook::{Bullet, Delta, Operation, Playbook, Source, check_growth, collapses, text};
use recap_core::tokens::Counter;

use super::refusal::Refusal;
use crate::pipeline::Pipeline;
use crate::store::PlaybookRow;

/// Why changes wait where a playbook's setting lets them.
pub const WORDS_WAIT: &str = "changes of this playbook's words wait for review";

/// Whether much of a playbook may go at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removals {
    /// A change that removes much of it is refused.
    Few,
    /// Whatever is asked for goes.
    Any,
}

/// What a decision holds operations against.
#[derive(Clone)]
pub struct Rules {
    budget: u32,
    review: bool,
    counter: Counter,
    at_ms: i64,
    actor: String,
}

impl Rules {
    /// Returns the rules of now for what somebody does; a playbook's own settings go before these.
    pub fn of(pipeline: &Pipeline, actor: &str) -> Self {
        let config = &pipeline.config().playbook;
        Self {
            budget: config.budget,
            review: config.review,
            counter: Arc::clone(pipeline.inner.playbooks.counter()),
            at_ms: pipeline.world().now_ms(),
            actor: actor.to_owned(),
        }
    }

    /// Returns the present, in milliseconds since 1970.
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// Tells whether changes of words wait.
    pub fn waits(&self, row: &PlaybookRow) -> bool {
        row.review.unwrap_or(self.review)
    }

    /// Returns the playbook with operations applied, with nothing else held against it.
    pub fn after(&self, playbook: &Playbook, operations: &[Operation], source: &Source) -> Result<Playbook, Refusal> {
        let delta = |version, operations: &[Operation]| Delta {
            version,
            at_ms: self.at_ms,
            actor: self.actor.clone(),
            source: source.clone(),
            operations: operations.to_vec(),
        };
        let mut after = playbook.clone();
        if after.apply(&delta(playbook.version + 1, operations), |_| None).is_ok() {
            return Ok(after);
        }
        // One after the other, to tell which.
        for (at, operation) in operations.iter().enumerate() {
            let single = delta(after.version + 1, std::slice::from_ref(operation));
            after.apply(&single, |_| None).map_err(|fault| Refusal::at(at, fault.to_string()))?;
        }
        Ok(after)
    }

    /// Holds what a playbook would become against its budget and against what it was.
    pub fn hold(&self, row: &PlaybookRow, after: &Playbook, removals: Removals) -> Result<(), Refusal> {
        let before = &row.playbook;
        if same_words(before, after) {
            return Ok(());
        }
        if removals == Removals::Few
            && let Some(collapse) = collapses(before, after)
        {
            return Err(Refusal::Collapse { removed: collapse.removed, of: collapse.of });
        }
        let budget = row.budget.unwrap_or(self.budget);
        match check_growth(before, after, budget, &*self.counter, self.at_ms) {
            Ok(_) => Ok(()),
            Err(over) => Err(Refusal::OverBudget { budget, over_by: over.over_by, would_go: over.would_go }),
        }
    }
}

/// Returns a playbook's text: all bullets under their headings.
pub fn full_text(playbook: &Playbook) -> String {
    text(playbook.by_section().flat_map(|(_, bullets)| bullets))
}

/// Tells whether two playbooks have the same text.
pub fn same_words(one: &Playbook, other: &Playbook) -> bool {
    fn words(bullet: &Bullet) -> impl PartialEq {
        (&bullet.id, &bullet.section, &bullet.content, bullet.origin)
    }
    one.sections == other.sections && one.bullets.iter().map(words).eq(other.bullets.iter().map(words))
}

/// Tells whether operations leave all words as they are.
pub fn only_tags(operations: &[Operation]) -> bool {
    operations.iter().all(|operation| matches!(operation, Operation::Tag { .. }))
}
