//! Whether an endpoint is there, found out without asking a model anything.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::transport::{Endpoint, EndpointError, Fault, get};
use crate::config::Llm;
use crate::tls;

/// The longest time, where an attempt at a call has not less.
const LONGEST: Duration = Duration::from_secs(10);
/// Most bytes of a list of models.
const MAX_BYTES: usize = 4 << 20;

/// Why an endpoint did not tell its models.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The endpoint or its key is wrong.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// It answered, but not with success.
    #[error("it answered {status}: {reason}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// In the endpoint's words, without secrets.
        reason: String,
    },
    /// It cannot be reached, or what it said is no list of models.
    #[error("{0}")]
    Unreadable(String),
}

#[derive(Deserialize)]
struct List {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

/// Asks the endpoint of `[llm]` for the names of its models (`GET {base_url}/models`), once.
///
/// # Errors
///
/// [`ProbeError`]
pub async fn probe(config: &Llm, key: Option<SecretString>) -> Result<Vec<String>, ProbeError> {
    let endpoint = Endpoint::new(&config.base_url, key)?;
    let within = Duration::from_millis(config.timeout_ms).min(LONGEST);
    let fault = |fault: Fault| match fault {
        Fault::Status { status, body, .. } => {
            ProbeError::Status { status, reason: endpoint.presentable(&String::from_utf8_lossy(&body)) }
        }
        other => ProbeError::Unreadable(endpoint.presentable(&other.to_string())),
    };
    let client = tls::client_builder(&config.base_url).redirect(reqwest::redirect::Policy::none()).timeout(within);
    let client = client.build().map_err(|error| fault(error.into()))?;
    let body = get(&client, &endpoint, "/models", MAX_BYTES).await.map_err(fault)?;
    let list: List = serde_json::from_slice(&body)
        .map_err(|_| ProbeError::Unreadable("what it answered is no list of models".to_owned()))?;
    Ok(list.data.into_iter().map(|model| model.id).collect())
}
