//! Leased background work: a runner that claims jobs from the store and hands them to handlers. Imports `store`,
//! `config` and `world`; what the jobs do is the handlers' business.
//!
//! A job runs at least once. Its effect happens once where the handler stores it in the transaction that
//! completes the job.

mod attempt;
mod audit;
mod compress;
mod distill;
mod learn;
mod runner;
mod tune;

use std::time::Duration;

pub use crate::store::{Job, Lease};
pub use audit::auditing;
pub use compress::handlers;
pub use distill::distilling;
pub use learn::learning;
pub use runner::Runner;
pub use tune::tuning;

/// Why a handler did not do its job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobFailure {
    /// It may succeed later, after the backoff.
    #[error("{why}")]
    Retry {
        /// What went wrong.
        why: String,
        /// The least time until the next attempt, where the handler knows one.
        after: Option<Duration>,
    },
    /// It will never succeed.
    #[error("{why}")]
    Permanent {
        /// What is wrong.
        why: String,
    },
    /// The store refused the effect because the job is another runner's, or deleted. Nothing is left to do.
    #[error("the lease was lost")]
    LeaseLost,
}

impl JobFailure {
    /// Makes a failure that may pass.
    #[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
    pub fn retry(why: impl ToString) -> Self {
        Self::Retry { why: why.to_string(), after: None }
    }

    /// Makes a failure that stays.
    #[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
    pub fn permanent(why: impl ToString) -> Self {
        Self::Permanent { why: why.to_string() }
    }
}
