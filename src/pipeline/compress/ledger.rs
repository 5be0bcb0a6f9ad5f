//! The account of model calls, written down.

use super::super::Pipeline;
use crate::llm::Attempt;
use crate::store::ModelCall;

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
    /// Writes attempts to the ledger. A store that fails loses the account, never what was paid for: it is logged and
    /// counted.
    pub async fn note_attempts(&self, of: &OnBehalf, attempts: Vec<Attempt>) {
        if attempts.is_empty() {
            return;
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
        let rows: Vec<ModelCall> = attempts.into_iter().map(row).collect();
        let calls = rows.len();
        if let Err(error) = self.store().add_model_calls(rows).await {
            tracing::error!(%error, calls, trajectory = of.trajectory, "calls of models are not in the ledger");
            metrics::counter!("recapd_ledger_failures_total").increment(1);
        }
    }
}
