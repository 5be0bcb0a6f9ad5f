//! `/v1/model-calls`

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::Operator;
use super::errors::of_store;
use super::extract::Query;
use super::operations::reached;
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::{millis, page_limit};
use crate::store::{ModelCall, ModelCallFilter};
use crate::world::rfc3339;

/// Which attempts are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ModelCallParams {
    /// Only this namespace.
    namespace: Option<String>,
    /// Only this agent.
    agent: Option<String>,
    /// Only for this trajectory.
    trajectory: Option<String>,
    /// Only part of this job.
    job: Option<String>,
    /// Only for this purpose, as `compress_history`.
    purpose: Option<String>,
    /// Only those that ended so, as `ok` or `timeout`.
    outcome: Option<String>,
    /// Begun at this time or later (RFC 3339).
    since: Option<String>,
    /// Begun before this time (RFC 3339).
    until: Option<String>,
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// One attempt at a call of a model. Prompts and replies are never kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelCallRecord {
    /// When it began.
    at: String,
    namespace: String,
    /// The agent's name; empty for calls without one.
    agent: String,
    trajectory_id: Option<String>,
    job_id: Option<String>,
    /// What it was for.
    purpose: String,
    /// Where the model runs: `remote` or `local`.
    backend: String,
    /// The model's name as configured.
    model: String,
    /// `ok`, or what went wrong.
    outcome: String,
    /// Tokens read, those from the provider's cache included.
    prompt_tokens: u64,
    /// Tokens read from the provider's cache.
    cached_tokens: u64,
    /// Tokens written.
    reply_tokens: u64,
    /// Millionths of a US dollar; null where the price is not known.
    cost_usd_micros: Option<i64>,
    /// How long it took.
    ms: u64,
    /// What went wrong, in words.
    error: Option<String>,
}

/// A page of the ledger, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ModelCallList {
    model_calls: Vec<ModelCallRecord>,
    /// Where the next page starts; absent on the last one.
    next_cursor: Option<String>,
}

impl From<ModelCall> for ModelCallRecord {
    fn from(call: ModelCall) -> Self {
        Self {
            at: rfc3339(call.at_ms),
            namespace: call.namespace,
            agent: call.agent,
            trajectory_id: call.trajectory,
            job_id: call.job,
            purpose: call.purpose,
            backend: call.backend,
            model: call.model,
            outcome: call.outcome,
            prompt_tokens: call.prompt_tokens,
            cached_tokens: call.cached_tokens,
            reply_tokens: call.reply_tokens,
            cost_usd_micros: call.cost_usd_micros,
            ms: call.ms,
            error: call.error,
        }
    }
}

/// Lists attempts at calls of models, failed ones included, newest first.
#[utoipa::path(get, path = "/v1/model-calls", tag = "operations", operation_id = "list_model_calls",
    params(ModelCallParams),
    responses((status = 200, body = ModelCallList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_model_calls(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(params): Query<ModelCallParams>,
) -> Result<Body<ModelCallList>, Problem> {
    let filter = ModelCallFilter {
        namespace: reached(&caller, params.namespace)?,
        agent: params.agent,
        trajectory: params.trajectory,
        job: params.job,
        purpose: params.purpose,
        outcome: params.outcome,
        since_ms: params.since.map(|text| millis("since", &text)).transpose()?,
        until_ms: params.until.map(|text| millis("until", &text)).transpose()?,
    };
    let limit = page_limit(params.limit)?;
    let store = app.pipeline().store();
    let page = store.list_model_calls(&filter, params.cursor.as_deref(), limit).await.map_err(of_store)?;
    let model_calls = page.calls.into_iter().map(ModelCallRecord::from).collect();
    Ok(Body(ModelCallList { model_calls, next_cursor: page.next_cursor }))
}
