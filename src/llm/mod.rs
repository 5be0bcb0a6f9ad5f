//! Models behind one interface: what is asked, what comes back, retries, limits, prices.
//!
//! Imports `config`, `tls` and `world`; knows nothing of the store. Every call returns the account of its
//! attempts, which the pipeline writes to the ledger. Texts of prompts and replies are never logged.

mod caps;
mod dialect;
mod error;
mod prices;
mod prompt;
mod remote;
mod repair;
mod retry;
mod transport;
mod wire;

use tokio_util::sync::CancellationToken;

pub use caps::Spent;
pub use error::{Cap, LlmError, Outcome};
pub use prices::{ModelPrice, Usage};
pub use prompt::{Answer, Attempt, Finish, Prompt, Purpose, Reply, Schema, Site};
pub use remote::{Remote, RemoteError};
pub use repair::RepairError;
pub use retry::Retry;
pub use transport::EndpointError;

/// A model that answers prompts.
#[derive(Debug, Clone)]
pub enum Backend {
    /// Behind an endpoint.
    Remote(Remote),
}

impl Backend {
    /// Returns the model's name as configured.
    #[must_use]
    pub fn model(&self) -> &str {
        match self {
            Self::Remote(remote) => remote.model(),
        }
    }

    /// Asks the model once, with whatever attempts that takes.
    pub async fn complete(&self, prompt: &Prompt, cancelled: &CancellationToken) -> Answer {
        let answer = match self {
            Self::Remote(remote) => remote.complete(prompt, cancelled).await,
        };
        answer.attempts.iter().for_each(count);
        answer
    }
}

fn count(attempt: &Attempt) {
    let (backend, purpose) = (attempt.backend.as_str(), attempt.purpose.as_str());
    let outcome = attempt.outcome.as_str();
    metrics::counter!("recapd_model_attempts_total", "backend" => backend, "purpose" => purpose, "outcome" => outcome)
        .increment(1);
    metrics::counter!("recapd_model_tokens_total", "backend" => backend, "kind" => "prompt")
        .increment(attempt.prompt_tokens);
    metrics::counter!("recapd_model_tokens_total", "backend" => backend, "kind" => "reply")
        .increment(attempt.reply_tokens);
}
