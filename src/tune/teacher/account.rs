//! What asking models cost, and when to stop.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::llm::{Attempt, Site};

/// What calls of models cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Calls.
    pub calls: u64,
    /// Tokens that models read.
    pub prompt_tokens: u64,
    /// Tokens that they wrote.
    pub reply_tokens: u64,
    /// Millionths of a US dollar, as far as prices are known.
    pub cost_usd_micros: i64,
    /// Calls whose price is unknown.
    pub unpriced: u64,
    /// Time that the models took, in milliseconds.
    pub ms: u64,
}

/// When to stop asking. What is `None` is unlimited.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Most tokens, read and written. The call that passes it is the last one.
    pub tokens: Option<u64>,
    /// Most millionths of a US dollar, likewise. With it, models without a price are not asked twice.
    pub cost_usd_micros: Option<i64>,
    /// When it must be over.
    pub until: Option<Instant>,
}

/// Why asking stopped before all was asked. What was found by then stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// Somebody said so.
    #[error("it was cancelled")]
    Cancelled,
    /// The limit of tokens.
    #[error("the models have read and written {spent} tokens; the limit is {most}")]
    Tokens {
        /// Tokens so far.
        spent: u64,
        /// The limit.
        most: u64,
    },
    /// The limit of money.
    #[error("the models have cost {spent} millionths of a US dollar; the limit is {most}")]
    Cost {
        /// Millionths of a US dollar so far.
        spent: i64,
        /// The limit.
        most: i64,
    },
    /// A limit of money, and a model without a price.
    #[error("a model has no price, so the limit of cost cannot be held; set `llm.prices`")]
    Unpriced,
    /// The limit of time.
    #[error("the time is over")]
    Time,
    /// The models cannot be asked now.
    #[error("the models cannot be asked: {0}")]
    Models(String),
}

impl Account {
    /// Sums attempts up.
    #[must_use]
    pub fn of(attempts: &[Attempt]) -> Self {
        let mut sum = Self::default();
        for attempt in attempts {
            sum.calls += 1;
            sum.prompt_tokens += attempt.prompt_tokens;
            sum.reply_tokens += attempt.reply_tokens;
            sum.cost_usd_micros += attempt.cost_usd_micros.unwrap_or(0);
            sum.unpriced += u64::from(attempt.backend == Site::Remote && attempt.cost_usd_micros.is_none());
            sum.ms += attempt.ms;
        }
        sum
    }

    /// Adds another one.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.prompt_tokens += other.prompt_tokens;
        self.reply_tokens += other.reply_tokens;
        self.cost_usd_micros += other.cost_usd_micros;
        self.unpriced += other.unpriced;
        self.ms += other.ms;
    }

    /// Returns the tokens that models read and wrote.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens + self.reply_tokens
    }
}

impl Limits {
    /// Tells whether another call may be made after so much was spent.
    ///
    /// # Errors
    ///
    /// [`Stopped`] with the limit that is reached.
    pub fn allow(&self, spent: &Account, cancelled: &CancellationToken) -> Result<(), Stopped> {
        if cancelled.is_cancelled() {
            return Err(Stopped::Cancelled);
        }
        if let Some(most) = self.tokens.filter(|most| spent.tokens() >= *most) {
            return Err(Stopped::Tokens { spent: spent.tokens(), most });
        }
        if self.cost_usd_micros.is_some() && spent.unpriced > 0 {
            return Err(Stopped::Unpriced);
        }
        if let Some(most) = self.cost_usd_micros.filter(|most| spent.cost_usd_micros >= *most) {
            return Err(Stopped::Cost { spent: spent.cost_usd_micros, most });
        }
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Err(Stopped::Time);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_limit_stops_at_the_call_after_it_is_reached() {
        let go = CancellationToken::new();
        let spent = Account { prompt_tokens: 90, reply_tokens: 10, cost_usd_micros: 5, ..Account::default() };
        let limits = |tokens, cost| Limits { tokens, cost_usd_micros: cost, until: None };
        assert!(limits(None, None).allow(&spent, &go).is_ok());
        assert!(limits(Some(101), Some(6)).allow(&spent, &go).is_ok());
        assert_eq!(limits(Some(100), None).allow(&spent, &go), Err(Stopped::Tokens { spent: 100, most: 100 }));
        assert_eq!(limits(None, Some(5)).allow(&spent, &go), Err(Stopped::Cost { spent: 5, most: 5 }));
        let unpriced = Account { unpriced: 1, ..spent };
        assert_eq!(limits(None, Some(9)).allow(&unpriced, &go), Err(Stopped::Unpriced));
        go.cancel();
        assert_eq!(limits(None, None).allow(&spent, &go), Err(Stopped::Cancelled));
    }
}
