//! `/v1/distillations`: examples of a compressor's work, made in the background.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use recap_core::tuning::{By, Split};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::Operator;
use super::extract::{Json, Path, Query};
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::page_limit;
use crate::store::DistillationRow;
use crate::tune::distill::{Cases, Course, DistillKind, Outcomes, Spec, ask, cancel, find, list};
use crate::world::rfc3339;

/// Which stored trajectories are read.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DistillationCases {
    /// Of this namespace; the key's own, or `default`, where it is left out.
    namespace: Option<String>,
    /// Only of this agent.
    agent: Option<String>,
    /// Only those that were made at or after this, in milliseconds since 1970.
    since_ms: Option<i64>,
    /// At most this many, newest first.
    limit: Option<u32>,
    /// Leaves out those with fewer tokens in their largest full context, the system prompt apart. A training takes 4000 where
    /// it is left out, an export all.
    min_peak: Option<u32>,
}

/// How tasks are parted.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DistillationSplit {
    /// Another seed is another division.
    seed: u64,
    /// The share of tasks that is held out, above 0 and below 1.
    held_out: f64,
}

/// What is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostDistillation {
    /// `export`: examples in chat format, as files below `distillations` in the daemon's data folder. `train`: a head that
    /// `extract` asks, judged by the gate on the tasks that are held out.
    #[schema(value_type = String)]
    kind: DistillKind,
    cases: Option<DistillationCases>,
    /// Parts the examples by task into two files; one file where it is left out. A training without it holds out three of
    /// ten tasks.
    split: Option<DistillationSplit>,
    /// Whose work: `rules`, `llm` or `any`; `any` where it is left out.
    #[schema(value_type = Option<String>)]
    compressor: Option<By>,
    /// Of runs that ended how: `succeeded` or `any`; `succeeded` where it is left out.
    #[schema(value_type = Option<String>)]
    outcomes: Option<Outcomes>,
    /// Most tokens of an input, 256 to 1000000; 32000 where it is left out.
    max_source_tokens: Option<u32>,
    /// What a head's weights and the order of its examples are drawn from; 0 where it is left out.
    seed: Option<u64>,
    /// How often a head goes through all examples, 1 to 200; 6 where it is left out.
    epochs: Option<u32>,
}

/// A distillation run.
#[derive(Debug, Serialize, ToSchema)]
pub struct DistillationRecord {
    id: String,
    namespace: String,
    /// What was asked.
    #[schema(value_type = Object)]
    spec: Value,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    state: &'static str,
    /// What it does, in a word.
    stage: String,
    /// What came of it so far: counts, and the files once it is done.
    #[schema(value_type = Object)]
    report: Value,
    /// The hash of the head that it trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    actor: String,
    created_at: String,
    updated_at: String,
}

impl From<DistillationRow> for DistillationRecord {
    fn from(row: DistillationRow) -> Self {
        Self {
            id: row.id,
            namespace: row.namespace,
            spec: row.spec,
            state: row.state.as_str(),
            stage: row.stage,
            report: row.report,
            head: row.head.map(|hash| hash.to_string()),
            error: row.error,
            actor: row.actor,
            created_at: rfc3339(row.created_ms),
            updated_at: rfc3339(row.updated_ms),
        }
    }
}

/// Begins a distillation run. It is done in the background.
#[utoipa::path(post, path = "/v1/distillations", tag = "distillation", operation_id = "create_distillation",
    request_body = PostDistillation,
    responses((status = 202, body = DistillationRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn create_distillation(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(body): Json<PostDistillation>,
) -> Result<Response, Problem> {
    let DistillationCases { namespace, agent, since_ms, limit, min_peak } = body.cases.unwrap_or_default();
    let course = Course::new(body.seed.unwrap_or(0));
    let spec = Spec {
        course: Course { epochs: body.epochs.unwrap_or(course.epochs), ..course },
        kind: body.kind,
        cases: Cases { namespace, agent, since_ms, limit, min_peak },
        split: body.split.map(|DistillationSplit { seed, held_out }| Split { seed, held_out }),
        compressor: body.compressor.unwrap_or_default(),
        outcomes: body.outcomes.unwrap_or_default(),
        max_source_tokens: body.max_source_tokens.unwrap_or(Spec::SOURCE_TOKENS),
    };
    let row = ask(app.pipeline(), &caller, spec).await?;
    Ok((StatusCode::ACCEPTED, Body(DistillationRecord::from(row))).into_response())
}

/// Where a list starts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DistillationParams {
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Distillation runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct DistillationList {
    /// Newest first.
    distillations: Vec<DistillationRecord>,
    next_cursor: Option<String>,
}

/// Lists distillation runs, newest first.
#[utoipa::path(get, path = "/v1/distillations", tag = "distillation", operation_id = "list_distillations",
    params(DistillationParams),
    responses((status = 200, body = DistillationList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_distillations(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(params): Query<DistillationParams>,
) -> Result<Body<DistillationList>, Problem> {
    let page = list(app.pipeline(), &caller, params.cursor.as_deref(), page_limit(params.limit)?).await?;
    let distillations = page.runs.into_iter().map(DistillationRecord::from).collect();
    Ok(Body(DistillationList { distillations, next_cursor: page.next_cursor }))
}

/// Returns one distillation run.
#[utoipa::path(get, path = "/v1/distillations/{id}", tag = "distillation", operation_id = "get_distillation",
    params(("id" = String, Path)),
    responses((status = 200, body = DistillationRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_distillation(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Body<DistillationRecord>, Problem> {
    Ok(Body(find(app.pipeline(), &caller, &id).await?.into()))
}

/// Gives a distillation run up. One that is over stays as it is.
#[utoipa::path(post, path = "/v1/distillations/{id}/cancel", tag = "distillation", operation_id = "cancel_distillation",
    params(("id" = String, Path)),
    responses((status = 200, body = DistillationRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn cancel_distillation(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Body<DistillationRecord>, Problem> {
    Ok(Body(cancel(app.pipeline(), &caller, &id).await?.into()))
}
