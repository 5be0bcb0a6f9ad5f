//! The account of model calls, written down.

use super::super::Pipeline;
use crate::llm::Attempt;
use crate::store::{ModelCall, StoreError};

/// For whom a model was asked.
#[derive(Debug, Clone, Default)]
pub struct OnBehalf {
    /// The namespace.
    pub namespace: String,
    /// The agent; empty where none is known.
    pub agent: String,
    /// The trajectory.
    pub trajectory: Option<String>,
    /// The background job.
    pub job: Option<String>,
}

impl Pipeline {
    /// Writes attempts to the ledger.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn note_attempts(&self, of: &OnBehalf, attempts: Vec<Attempt>) -> Result<(), StoreError> {
        if attempts.is_empty() {
            return Ok(());
        }
        let row = |attempt: Attempt| ModelCall {
            at_ms: attempt.started_ms,
            namespace: of.namespace.clone(),
            agent: of.agent.clone(),
            trajectory: of.trajectory.clone(),
            job: of.job.clone(),
            purpose: attempt.purpose.as_str().to_owned(),
            backend: attempt.backend.as_str().to_owned(),
            model: attempt.model,
            outcome: attempt.outcome.as_str().to_owned(),
            prompt_tokens: attempt.prompt_tokens,
            cached_tokens: attempt.cached_tokens,
            reply_tokens: attempt.reply_tokens,
            cost_usd_micros: attempt.cost_usd_micros,
            ms: attempt.ms,
            error: attempt.error,
        };
        self.store().add_model_calls(attempts.into_iter().map(row).collect()).await
    }
}
