//! The daemon that agents run against, asked over HTTP.

use std::time::Duration;

use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::Value;

use super::RunnerError;
use crate::tls;

const TIMEOUT: Duration = Duration::from_mins(1);
/// Trajectories of one page.
const PAGE: usize = 200;

/// A client of a daemon.
pub(super) struct Daemon {
    client: Client,
    url: String,
    key: Option<String>,
}

/// What a daemon tells of a trajectory.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub id: String,
    pub task: Option<String>,
    pub length: u64,
    pub tokens: u64,
    /// Absent before the first read.
    pub epoch: Option<u64>,
    pub metrics: Option<Metrics>,
    #[serde(default)]
    pub metadata: Value,
}

/// A page of trajectories.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub trajectories: Vec<Record>,
    pub next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Metrics {
    pub full: Tally,
    pub served: Tally,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tally {
    pub peak_tokens: u64,
    pub dependency: f64,
}

impl Daemon {
    pub(super) fn new(url: &str, key: Option<&str>) -> Result<Self, RunnerError> {
        let client = tls::client_builder(url).timeout(TIMEOUT).build();
        let client = client.map_err(|source| RunnerError::Unreachable { url: url.to_owned(), source })?;
        Ok(Self { client, url: url.trim_end_matches('/').to_owned(), key: key.map(str::to_owned) })
    }

    pub(super) async fn create(&self, fields: &Value) -> Result<String, RunnerError> {
        Ok(self.ask::<Record>(Method::POST, "/v1/trajectories", Some(fields)).await?.id)
    }

    pub(super) async fn record(&self, id: &str) -> Result<Record, RunnerError> {
        self.ask(Method::GET, &format!("/v1/trajectories/{id}"), None).await
    }

    pub(super) async fn note_outcome(&self, id: &str, outcome: &Value) -> Result<(), RunnerError> {
        self.ask::<Record>(Method::POST, &format!("/v1/trajectories/{id}/outcome"), Some(outcome)).await.map(drop)
    }

    /// Changes a trajectory's metadata.
    pub(super) async fn keep(&self, id: &str, metadata: Value) -> Result<(), RunnerError> {
        let body = serde_json::json!({ "metadata": metadata });
        self.ask::<Record>(Method::PATCH, &format!("/v1/trajectories/{id}"), Some(&body)).await.map(drop)
    }

    /// Reads the trajectories of an agent, newest first.
    pub(super) async fn page(&self, agent: &str, cursor: Option<&str>) -> Result<Page, RunnerError> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        self.ask(Method::GET, &format!("/v1/trajectories?agent={agent}&limit={PAGE}{cursor}"), None).await
    }

    async fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, RunnerError> {
        let unreachable = |source| RunnerError::Unreachable { url: self.url.clone(), source };
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let text = response.text().await.map_err(unreachable)?;
        if !status.is_success() {
            let problem: Value = serde_json::from_str(&text).unwrap_or_default();
            let detail = problem.get("detail").and_then(Value::as_str).unwrap_or("no reason is given").to_owned();
            return Err(RunnerError::Refused { status: status.as_u16(), detail });
        }
        serde_json::from_str(&text).map_err(|source| RunnerError::Answer { source })
    }
}
