//! What is asked for, and why it can be refused.

use serde::{Deserialize, Serialize};

use crate::trajectory::OutFormat;

/// Parts of the block that a read wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Include {
    /// The playbook's excerpt.
    pub playbook: bool,
    /// The facts table.
    pub facts: bool,
    /// Recalled turns.
    pub recalled: bool,
}

impl Default for Include {
    fn default() -> Self {
        Self { playbook: true, facts: true, recalled: true }
    }
}

/// One read of a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextRequest {
    /// Most tokens of the whole payload.
    pub budget: u32,
    /// Tokens kept free inside the budget.
    pub reserve: u32,
    /// The provider format.
    pub format: OutFormat,
    /// What the agent is about to do; the newest message if absent.
    pub query: Option<String>,
    /// Which parts are wanted.
    pub include: Include,
}

impl ContextRequest {
    /// Returns the key of the line of reads that this one belongs to (law 5): format, budget, reserve, include.
    #[must_use]
    pub fn line_key(&self) -> String {
        let flag = |wanted, letter| if wanted { letter } else { '-' };
        format!(
            "{}/{}/{}/{}{}{}",
            self.format.name(),
            self.budget,
            self.reserve,
            flag(self.include.playbook, 'p'),
            flag(self.include.facts, 'f'),
            flag(self.include.recalled, 'r')
        )
    }

    /// Returns the request of a line of reads; `None` for what is no line's key.
    #[must_use]
    pub fn of_line(key: &str) -> Option<Self> {
        let mut parts = key.split('/');
        let format = OutFormat::ALL.into_iter().find(|format| parts.clone().next() == Some(format.name()))?;
        parts.next()?;
        let (budget, reserve) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let flags = parts.next()?;
        let include =
            Include { playbook: flags.contains('p'), facts: flags.contains('f'), recalled: flags.contains('r') };
        let request = Self { budget, reserve, format, query: None, include };
        (request.line_key() == key).then_some(request)
    }

    /// Returns the most tokens that the payload may take: budget less reserve.
    #[must_use]
    pub fn limit(&self) -> u32 {
        self.budget.saturating_sub(self.reserve)
    }
}

/// Shares of the room at which epochs begin and land.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    /// A new epoch lands at this share of the room.
    pub low: f64,
    /// Above this share the next epoch is prepared.
    pub soft: f64,
    /// Turns before the last stay as messages across an epoch's beginning up to this share.
    pub tail: f64,
}

impl Default for Marks {
    fn default() -> Self {
        Self { low: 0.86, soft: 0.93, tail: 0.1 }
    }
}

impl Marks {
    /// Checks `0 < low < soft < 1`.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn validate(&self) -> Result<(), String> {
        if 0.0 < self.low && self.low < self.soft && self.soft < 1.0 {
            Ok(())
        } else {
            Err(format!("marks must hold 0 < low < soft < 1, got low {} and soft {}", self.low, self.soft))
        }
    }
}

/// Why a context cannot be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// The pinned part and the last turn's skeleton do not fit.
    #[error(
        "a budget of {budget} tokens cannot hold the pinned part and the last turn; the least that would do is {minimum_budget}"
    )]
    BudgetTooSmall {
        /// What was asked for.
        budget: u32,
        /// The least budget that will do.
        minimum_budget: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_request() {
        for format in OutFormat::ALL {
            let include = Include { facts: false, ..Include::default() };
            let request = ContextRequest { budget: 4000, reserve: 17, format, query: None, include };
            assert_eq!(ContextRequest::of_line(&request.line_key()), Some(request));
        }
        for wrong in ["", "openai", "openai/4000/0", "openai/4000/0/pf", "other/4000/0/pfr", "openai/4000/0/pfr/x"] {
            assert_eq!(ContextRequest::of_line(wrong), None, "{wrong}");
        }
    }
}
