//! A running daemon, asked by commands that take `--url`.

use anyhow::Context as _;
use clap::Args;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

use crate::tls;

/// Where a running daemon is.
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// Ask the daemon at this address instead of opening the data folder
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// The key for it
    #[arg(long, global = true, env = "RECAPD_KEY", hide_env_values = true, value_name = "KEY")]
    pub key: Option<String>,
}

/// What a daemon answers where that is no success.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {detail}")]
pub struct Refused {
    /// The answer's status.
    pub status: StatusCode,
    /// The problem's detail, or the status in words.
    detail: String,
}

impl Refused {
    /// Tells whether another request may well succeed: what this one holds was refused, not its sender.
    #[must_use]
    pub fn is_about_content(&self) -> bool {
        matches!(
            self.status,
            StatusCode::BAD_REQUEST
                | StatusCode::CONFLICT
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNPROCESSABLE_ENTITY
        )
    }
}

/// A client of a daemon.
pub struct Daemon {
    client: Client,
    url: String,
    key: Option<String>,
}

impl Remote {
    /// Returns the client, if an address was told.
    ///
    /// # Errors
    ///
    /// Fails where no client can be made.
    pub fn daemon(&self) -> anyhow::Result<Option<Daemon>> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let client = tls::client_builder(url).timeout(std::time::Duration::from_mins(1)).build()?;
        Ok(Some(Daemon { client, url: url.trim_end_matches('/').to_owned(), key: self.key.clone() }))
    }
}

impl Daemon {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// Says what the daemon answered where that is no success.
    pub async fn get(&self, path: &str) -> anyhow::Result<String> {
        self.ask(Method::GET, path, None).await
    }

    /// Posts a JSON body.
    ///
    /// # Errors
    ///
    /// Says what the daemon answered where that is no success.
    pub async fn post(&self, path: &str, body: String) -> anyhow::Result<String> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Puts a JSON body.
    ///
    /// # Errors
    ///
    /// Says what the daemon answered where that is no success.
    pub async fn put(&self, path: &str, body: String) -> anyhow::Result<String> {
        self.ask(Method::PUT, path, Some(body)).await
    }

    /// Deletes what is at a path.
    ///
    /// # Errors
    ///
    /// Says what the daemon answered where that is no success.
    pub async fn delete(&self, path: &str) -> anyhow::Result<String> {
        self.ask(Method::DELETE, path, None).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<String>) -> anyhow::Result<String> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.with_context(|| format!("{} cannot be reached", self.url))?;
        read(response).await
    }
}

async fn read(response: Response) -> anyhow::Result<String> {
    let status = response.status();
    let text = response.text().await?;
    if status.is_success() {
        return Ok(text);
    }
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let detail = problem.get("detail").and_then(Value::as_str).or(status.canonical_reason());
    let detail = detail.unwrap_or("no reason is given").to_owned();
    Err(Refused { status, detail }.into())
}
