//! Why a change of a playbook was refused.

use recap_core::playbook::{BulletId, OperationFault};

use crate::pipeline::failure::{Failure, Fault};

/// Why a change of a playbook was refused. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Operations mean nothing, or cannot be applied.
    #[error("operations cannot be applied")]
    Operations(Vec<Fault>),
    /// There is no such bullet.
    #[error("there is no bullet `{0}`")]
    NoBullet(BulletId),
    /// There is no such version.
    #[error("there is no version {0}")]
    NoVersion(u64),
    /// It would be over its budget.
    #[error("the playbook would be {over_by} tokens over its budget of {budget}")]
    OverBudget {
        /// The budget.
        budget: u32,
        /// By how many tokens.
        over_by: u32,
        /// Bullets that would have to go, those worth least first, with their tokens.
        would_go: Vec<(BulletId, u32)>,
    },
    /// It would remove much of the playbook at once.
    #[error("the change would remove {removed} of {of} bullets")]
    Collapse {
        /// Bullets that it removes.
        removed: usize,
        /// Bullets that there are.
        of: usize,
    },
    /// It would have to wait, and too many changes do.
    #[error("{pending} changes of the playbook wait for review")]
    ReviewsFull {
        /// How many wait.
        pending: u64,
    },
    /// What waited for review does not apply to the playbook as it is now.
    #[error("the change no longer applies: {why}")]
    Outdated {
        /// The playbook's version.
        current: u64,
        /// Why.
        why: String,
    },
}

impl Refusal {
    /// Returns its name in metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Operations(_) => "invalid",
            Self::NoBullet(_) => "no-bullet",
            Self::NoVersion(_) => "no-version",
            Self::OverBudget { .. } => "over-budget",
            Self::Collapse { .. } => "collapse",
            Self::ReviewsFull { .. } => "reviews-full",
            Self::Outdated { .. } => "outdated",
        }
    }

    /// Makes the refusal of operations that mean nothing.
    #[must_use]
    pub fn of_faults(faults: Vec<OperationFault>) -> Self {
        let fault = |fault: OperationFault| Fault { pointer: pointer(fault.at, fault.field), detail: fault.detail };
        Self::Operations(faults.into_iter().map(fault).collect())
    }

    /// Makes the refusal of the operation at a place that cannot be applied.
    #[must_use]
    pub fn at(at: usize, detail: impl Into<String>) -> Self {
        Self::Operations(vec![Fault { pointer: pointer(at, ""), detail: detail.into() }])
    }
}

fn pointer(at: usize, field: &str) -> String {
    let slash = if field.is_empty() { "" } else { "/" };
    format!("/operations/{at}{slash}{field}")
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Operations(faults) => Self::Invalid(faults),
            Refusal::NoBullet(id) => Self::NotFound(format!("bullet `{id}`")),
            Refusal::NoVersion(version) => Self::NotFound(format!("version {version} of the playbook")),
            refusal => Self::Playbook(refusal),
        }
    }
}
