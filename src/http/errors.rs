//! The one map from use cases' failures to problem documents.

use recap_core::context::ContextError;
use recap_core::playbook::BulletId;
use serde_json::json;

use super::problem::{Code, FieldError, Problem};
use crate::pipeline::failure::{Failure, Fault};
use crate::pipeline::keys::KeyError;
use crate::pipeline::playbook::Refusal;
use crate::store::StoreError;

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let said = failure.to_string();
        match failure {
            Failure::NotFound(_) => Self::new(Code::NotFound, said),
            Failure::Namespace(_) => Self::new(Code::Forbidden, said),
            Failure::Exists(_) => Self::new(Code::AlreadyExists, said),
            Failure::Length { current } => Self::new(Code::LengthConflict, said).with("current_length", current),
            Failure::Idempotency => Self::new(Code::IdempotencyMismatch, said),
            Failure::Invalid(faults) => of_faults(faults),
            Failure::Champion { current } => {
                Self::new(Code::ChampionChanged, said).with("current_champion", current.map(|hash| hash.to_string()))
            }
            Failure::Gate { .. } => Self::new(Code::GateNotPassed, said),
            Failure::Version { current } => Self::new(Code::VersionConflict, said).with("current_version", current),
            Failure::TuningState { state } => Self::new(Code::TuningState, said).with("state", state),
            Failure::Playbook(refusal) => of_refusal(&refusal),
            Failure::Context(error) => of_context(&error),
            Failure::Store(error) => of_store(error),
            Failure::CutOff(_) => {
                tracing::error!(cause = said, "a use case was cut off");
                Self::new(Code::Internal, "the work was cut off; repeat the request")
            }
        }
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => of_store(error),
            KeyError::Randomness(cause) => {
                tracing::error!(cause, "no key can be made");
                Self::new(Code::Internal, "the system gives no randomness")
            }
        }
    }
}

fn of_faults(faults: Vec<Fault>) -> Problem {
    let said = match faults.as_slice() {
        [only] => format!("{}: {}", only.pointer, only.detail),
        more => format!("{} faults; nothing was stored", more.len()),
    };
    let errors = faults.into_iter().map(|fault| FieldError { pointer: fault.pointer, detail: fault.detail }).collect();
    Problem::new(Code::Invalid, said).with_errors(errors)
}

fn of_context(error: &ContextError) -> Problem {
    let said = error.to_string();
    match error {
        ContextError::BudgetTooSmall { minimum_budget, .. } => {
            Problem::new(Code::BudgetTooSmall, said).with("minimum_budget", *minimum_budget)
        }
    }
}

fn of_refusal(refusal: &Refusal) -> Problem {
    let said = refusal.to_string();
    match refusal {
        Refusal::OverBudget { budget, over_by, would_go } => {
            let tokens = |(id, tokens): &(BulletId, u32)| json!({ "id": id, "tokens": tokens });
            Problem::new(Code::PlaybookOverBudget, said)
                .with("budget", *budget)
                .with("over_by_tokens", *over_by)
                .with("would_have_to_go", would_go.iter().map(tokens).collect::<Vec<_>>())
        }
        Refusal::Collapse { removed, of } => {
            Problem::new(Code::PlaybookCollapse, said).with("removed", *removed).with("bullets", *of)
        }
        Refusal::ReviewsFull { pending } => Problem::new(Code::PlaybookReviewsFull, said).with("pending", *pending),
        Refusal::Outdated { current, .. } => {
            Problem::new(Code::VersionConflict, said).with("current_version", *current)
        }
        Refusal::NoBullet(_) | Refusal::NoVersion(_) => Problem::new(Code::NotFound, said),
        Refusal::Operations(faults) => of_faults(faults.clone()),
    }
}

/// Says what a failure of the store means for the caller. What an operator must know is logged here.
pub fn of_store(error: StoreError) -> Problem {
    match error {
        StoreError::NulInText => Problem::field("", error.to_string()),
        StoreError::BadCursor => Problem::field("cursor", error.to_string()),
        StoreError::Busy { .. } | StoreError::Locked(_) | StoreError::Closed => unavailable(&error),
        StoreError::DiskFull(_) | StoreError::Io(_) => {
            tracing::error!(error = with_sources(&error), "the store failed");
            unavailable(&error)
        }
        error => {
            tracing::error!(error = with_sources(&error), "the store failed");
            Problem::new(Code::Internal, "the store failed")
        }
    }
}

fn unavailable(error: &StoreError) -> Problem {
    Problem::new(Code::StoreUnavailable, error.to_string()).with("retry_after_s", 1)
}

fn with_sources(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        said = format!("{said}: {source}");
        next = source.source();
    }
    said
}
