//! Models behind one interface: what is asked, what comes back, retries, limits, prices.
//!
//! Imports `config`, `tls` and `world`; knows nothing of the store. Every call returns the account of its
//! attempts, which the pipeline writes to the ledger. Texts of prompts and replies are never logged.

mod caps;
mod dialect;
mod error;
mod load;
#[cfg(feature = "local-models")]
mod local;
mod prices;
mod probe;
mod prompt;
mod remote;
mod repair;
mod retry;
mod transport;
mod wire;
#[cfg(not(feature = "local-models"))]
mod without;

use tokio_util::sync::CancellationToken;

pub use caps::Spent;
pub use error::{Cap, LlmError, Outcome};
pub use load::{LoadError, Loaded, find, load};
#[cfg(feature = "local-models")]
pub use local::{Embedder, Local, Scorer};
pub use prices::{ModelPrice, Usage};
pub use probe::{ProbeError, probe};
pub use prompt::{Answer, Attempt, Finish, Prompt, Purpose, Reply, Schema, Site};
pub use remote::{Remote, RemoteError};
pub use repair::RepairError;
pub use retry::Retry;
pub use transport::EndpointError;
#[cfg(not(feature = "local-models"))]
pub use without::{Embedder, Scorer};

/// A model that answers prompts.
#[derive(Debug, Clone)]
pub enum Backend {
    /// Behind an endpoint.
    Remote(Remote),
    /// In this process.
    #[cfg(feature = "local-models")]
    Local(Local),
}

/// Whether a model can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It can.
    Ready,
    /// It is being loaded; requests wait.
    Loading,
    /// It cannot, for this reason.
    Failed(String),
}

/// A model's name with the beginning of the hash of its weights, once they are loaded (law 12).
#[cfg(feature = "local-models")]
fn label(name: &str, hash: Option<&str>) -> String {
    const SHOWN: usize = 8;
    match hash.and_then(|hash| hash.get(..SHOWN)) {
        Some(hash) => format!("{name}@{hash}"),
        None => name.to_owned(),
    }
}

impl Backend {
    /// Returns the model's name as configured.
    #[must_use]
    pub fn model(&self) -> &str {
        match self {
            Self::Remote(remote) => remote.model(),
            #[cfg(feature = "local-models")]
            Self::Local(local) => local.model(),
        }
    }

    /// Returns what results call the model.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Remote(remote) => remote.model().to_owned(),
            #[cfg(feature = "local-models")]
            Self::Local(local) => local.label(),
        }
    }

    /// Tells whether it is behind an endpoint.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }

    /// Tells whether it can be asked. An endpoint is taken to be there until it is asked.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Remote(_) => State::Ready,
            #[cfg(feature = "local-models")]
            Self::Local(local) => local.state(),
        }
    }

    /// Counts what the ledger says was spent on remote models before this process began. Local ones have no limits.
    pub fn seed(&self, rows: impl IntoIterator<Item = Spent>) {
        match self {
            Self::Remote(remote) => remote.seed(rows),
            #[cfg(feature = "local-models")]
            Self::Local(_) => {}
        }
    }

    /// Asks the model once, with whatever attempts that takes.
    pub async fn complete(&self, prompt: &Prompt, cancelled: &CancellationToken) -> Answer {
        let answer = match self {
            Self::Remote(remote) => remote.complete(prompt, cancelled).await,
            #[cfg(feature = "local-models")]
            Self::Local(local) => local.complete(prompt, cancelled).await,
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
