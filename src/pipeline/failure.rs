//! Why a use case was not done.

use std::convert::Infallible;

use recap_core::context::ContextError;
pub use recap_core::trajectory::Fault;
use recap_core::trajectory::OriginalHash;

use super::playbook::Refusal;
use crate::store::{ChangeError, StoreError};

/// What is cut off where an epoch shows what a deletion has erased meanwhile.
pub(super) const ERASED: &str = "what the context would show was erased meanwhile";

/// Why a use case was not done. Nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No such thing, or not in the caller's namespace.
    #[error("there is no {0}")]
    NotFound(String),
    /// The caller's key does not reach the namespace.
    #[error("the key does not reach the namespace `{0}`")]
    Namespace(String),
    /// The id is taken.
    #[error("the id `{0}` is taken")]
    Exists(String),
    /// `expected_length` does not match.
    #[error("the trajectory has {current} messages")]
    Length {
        /// Its length.
        current: u64,
    },
    /// The idempotency key stands for another body.
    #[error("the idempotency key was used for another body")]
    Idempotency,
    /// The request means nothing that can be done.
    #[error("the request is wrong")]
    Invalid(Vec<Fault>),
    /// Another guideline is the champion.
    #[error("the champion is another one")]
    Champion {
        /// The champion.
        current: Option<OriginalHash>,
    },
    /// No gate let it pass.
    #[error("the gate did not let it pass: {reason}")]
    Gate {
        /// What the gate said.
        reason: String,
    },
    /// `expected_version` does not match.
    #[error("the playbook is at version {current}")]
    Version {
        /// Its version.
        current: u64,
    },
    /// A tuning run stands where this cannot be done.
    #[error("the tuning run is {state}")]
    TuningState {
        /// Where it stands.
        state: &'static str,
    },
    /// A change of a playbook was refused.
    #[error(transparent)]
    Playbook(Refusal),
    /// The context cannot be served.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Work was lost inside the daemon.
    #[error("work was cut off: {0}")]
    CutOff(&'static str),
}

impl From<Infallible> for Failure {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl Failure {
    /// Makes the failure of one wrong field.
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![Fault { pointer: pointer.into(), detail: detail.into() }])
    }

    /// Makes the failure of a trajectory that is not there.
    #[must_use]
    pub fn no_trajectory(id: &str) -> Self {
        Self::NotFound(format!("trajectory `{id}`"))
    }

    /// Says what a refusal of the store means for the trajectory that it was asked of.
    #[must_use]
    pub fn of_change(error: ChangeError, id: &str) -> Self {
        match error {
            ChangeError::NoTrajectory => Self::no_trajectory(id),
            ChangeError::LeaseLost => Self::CutOff("the lease of a job was lost"),
            ChangeError::Erased => Self::CutOff(ERASED),
            ChangeError::NoMessage => Self::NotFound(format!("such message in trajectory `{id}`")),
            ChangeError::Exists => Self::Exists(id.to_owned()),
            ChangeError::LengthMismatch { current } | ChangeError::VersionMismatch { current } => {
                Self::Length { current }
            }
            ChangeError::IdempotencyReused => Self::Idempotency,
            ChangeError::TooShort { current } => {
                Self::field("/length", format!("the trajectory has only {current} messages"))
            }
            ChangeError::Store(error) => Self::Store(error),
        }
    }
}
