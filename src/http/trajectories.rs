//! `/v1/trajectories`

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{Json, Path, Query};
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::records::TrajectoryRecord;
use crate::pipeline::checks;
use crate::pipeline::keys::Caller;
use crate::store::{DeletionReport, NewTrajectory, Outcome, OutcomeStatus, Patch, TrajectoryFilter};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// A trajectory that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTrajectory {
    /// Its id: 1 to 128 of `A-Z a-z 0-9 . _ : -`; a `UUIDv7` where it is left out.
    id: Option<String>,
    /// The namespace that keys are held against; the key's own, or `default`.
    namespace: Option<String>,
    /// The agent's name.
    agent: Option<String>,
    /// What is to be done.
    task: Option<String>,
    /// The agent's model; decides the tokenizer.
    model: Option<String>,
    /// The tool schemas that the agent sends with each request; they count.
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Box<RawValue>>,
    /// Most tokens of a served context.
    budget: Option<u32>,
    /// The guideline set that compresses it; `default` where it is left out. `GET /v1/info` lists the sets.
    guideline_set: Option<String>,
    /// The playbook that it is served with.
    playbook: Option<String>,
    /// Its own settings.
    #[schema(value_type = Option<crate::config::Policy>)]
    policy: Option<Value>,
    /// The caller's own words about it.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Value>,
}

/// Changes of a trajectory; what is left out stays, `null` empties.
#[expect(clippy::option_option, reason = "left out, null and a value mean three things")]
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchTrajectory {
    /// The tool schemas.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<Vec<Object>>)]
    tools: Option<Option<Box<RawValue>>>,
    /// Most tokens of a served context.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<u32>)]
    budget: Option<Option<u32>>,
    /// Its own settings.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<crate::config::Policy>)]
    policy: Option<Option<Value>>,
    /// The caller's own words about it.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Option<Value>>,
}

/// Tells `null` from a field that is left out.
#[expect(clippy::option_option, reason = "left out, null and a value mean three things")]
pub fn told<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// How a run ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteOutcome {
    /// `success`, `failure`, `partial` or `unknown`.
    #[schema(value_type = String)]
    status: OutcomeStatus,
    /// A score on the caller's scale.
    score: Option<f64>,
    /// What the judge says.
    feedback: Option<String>,
    /// Ids of the playbook bullets that were used.
    #[serde(default)]
    used_bullets: Vec<String>,
}

/// Where a fork is cut.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForkTrajectory {
    /// How many messages are shared.
    length: u64,
    /// The new trajectory's id.
    id: Option<String>,
}

/// Which trajectories are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// Exactly this namespace.
    namespace: Option<String>,
    /// Exactly this agent.
    agent: Option<String>,
    /// This outcome.
    #[param(value_type = Option<String>)]
    outcome: Option<OutcomeStatus>,
    /// The task or the id holds this text.
    q: Option<String>,
    /// Made at this time or later (RFC 3339).
    since: Option<String>,
    /// Made before this time (RFC 3339).
    until: Option<String>,
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of trajectories, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrajectoryList {
    trajectories: Vec<TrajectoryRecord>,
    /// Where the next page starts; absent on the last one.
    next_cursor: Option<String>,
}

/// Makes a trajectory.
#[utoipa::path(post, path = "/v1/trajectories", tag = "trajectories", operation_id = "create_trajectory",
    request_body = CreateTrajectory,
    responses((status = 201, body = TrajectoryRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn create_trajectory(
    State(app): State<App>,
    caller: Caller,
    Json(body): Json<CreateTrajectory>,
) -> Result<Response, Problem> {
    // an empty name is none: the pipeline gives one
    for (pointer, name) in [("/id", &body.id), ("/namespace", &body.namespace)] {
        name.as_deref().map_or(Ok(()), |name| checks::name(pointer, name))?;
    }
    let new = NewTrajectory {
        id: body.id.unwrap_or_default(),
        namespace: body.namespace.unwrap_or_default(),
        agent: body.agent,
        task: body.task,
        model: body.model,
        tools: body.tools.and_then(tools_text),
        budget: body.budget.map(u64::from),
        guideline_set: body.guideline_set,
        playbook: body.playbook,
        policy: body.policy.filter(|policy| !policy.is_null()),
        metadata: body.metadata.filter(|metadata| !metadata.is_null()),
        created_ms: 0,
    };
    let row = app.pipeline().create_trajectory(&caller, new).await?;
    let location = format!("/v1/trajectories/{}", row.id);
    let record = TrajectoryRecord::of(row, None, None)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Body(record)).into_response())
}

/// Lists trajectories, newest first.
#[utoipa::path(get, path = "/v1/trajectories", tag = "trajectories", operation_id = "list_trajectories",
    params(ListParams),
    responses((status = 200, body = TrajectoryList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_trajectories(
    State(app): State<App>,
    caller: Caller,
    Query(params): Query<ListParams>,
) -> Result<Body<TrajectoryList>, Problem> {
    let filter = TrajectoryFilter {
        namespace: params.namespace,
        agent: params.agent,
        outcome: params.outcome,
        q: params.q,
        since_ms: params.since.map(|text| millis("since", &text)).transpose()?,
        until_ms: params.until.map(|text| millis("until", &text)).transpose()?,
    };
    let limit = page_limit(params.limit)?;
    let page = app.pipeline().list_trajectories(&caller, filter, params.cursor.as_deref(), limit).await?;
    let trajectories =
        page.trajectories.into_iter().map(|row| TrajectoryRecord::of(row, None, None)).collect::<Result<_, _>>()?;
    Ok(Body(TrajectoryList { trajectories, next_cursor: page.next_cursor }))
}

/// Returns a trajectory's record with what its steps cost.
#[utoipa::path(get, path = "/v1/trajectories/{id}", tag = "trajectories", operation_id = "get_trajectory",
    params(("id" = String, Path)),
    responses((status = 200, body = TrajectoryRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_trajectory(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Body<TrajectoryRecord>, Problem> {
    let (row, sums) = app.pipeline().trajectory(&caller, &id).await?;
    let epoch = app.pipeline().newest_epoch(&id).await?;
    Ok(Body(TrajectoryRecord::of(row, Some(sums.into()), epoch)?))
}

/// Changes tools, budget, policy or metadata; they act at the next epoch.
#[utoipa::path(patch, path = "/v1/trajectories/{id}", tag = "trajectories", operation_id = "patch_trajectory",
    params(("id" = String, Path)), request_body = PatchTrajectory,
    responses((status = 200, body = TrajectoryRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn patch_trajectory(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<PatchTrajectory>,
) -> Result<Body<TrajectoryRecord>, Problem> {
    let patch = Patch {
        tools: body.tools.map(|tools| tools.and_then(tools_text)),
        budget: body.budget.map(|budget| budget.map(u64::from)),
        policy: body.policy,
        metadata: body.metadata,
        ..Patch::default()
    };
    let row = app.pipeline().patch_trajectory(&caller, &id, patch).await?;
    Ok(Body(TrajectoryRecord::of(row, None, None)?))
}

/// Erases a trajectory with everything derived from it.
#[utoipa::path(delete, path = "/v1/trajectories/{id}", tag = "trajectories", operation_id = "delete_trajectory",
    params(("id" = String, Path)),
    responses((status = 200, body = Object), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn delete_trajectory(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Body<DeletionReport>, Problem> {
    Ok(Body(app.pipeline().delete_trajectory(&caller, &id).await?))
}

/// Makes a trajectory that shares the first messages of another.
#[utoipa::path(post, path = "/v1/trajectories/{id}/fork", tag = "trajectories", operation_id = "fork_trajectory",
    params(("id" = String, Path)), request_body = ForkTrajectory,
    responses((status = 201, body = TrajectoryRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn fork_trajectory(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<ForkTrajectory>,
) -> Result<Response, Problem> {
    let row = app.pipeline().fork_trajectory(&caller, &id, body.id, body.length).await?;
    let location = format!("/v1/trajectories/{}", row.id);
    let record = TrajectoryRecord::of(row, None, None)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Body(record)).into_response())
}

/// Notes how the run ended.
#[utoipa::path(post, path = "/v1/trajectories/{id}/outcome", tag = "trajectories", operation_id = "note_outcome",
    params(("id" = String, Path)), request_body = NoteOutcome,
    responses((status = 200, body = TrajectoryRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn note_outcome(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Json(body): Json<NoteOutcome>,
) -> Result<Body<TrajectoryRecord>, Problem> {
    let outcome =
        Outcome { status: body.status, score: body.score, feedback: body.feedback, used_bullets: body.used_bullets };
    let row = app.pipeline().note_outcome(&caller, &id, outcome).await?;
    Ok(Body(TrajectoryRecord::of(row, None, None)?))
}

/// Returns the page size that is asked for.
///
/// # Errors
///
/// `invalid` for 0 and for more than 200.
pub fn page_limit(limit: Option<usize>) -> Result<usize, Problem> {
    match limit {
        None => Ok(DEFAULT_LIMIT),
        Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::field("limit", format!("{limit} is not from 1 to {MAX_LIMIT}"))),
    }
}

/// Reads a time parameter.
///
/// # Errors
///
/// `invalid` for what is no RFC 3339 time.
pub fn millis(name: &str, text: &str) -> Result<i64, Problem> {
    text.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .map_err(|error| Problem::field(name, format!("not an RFC 3339 time: {error}")))
}

/// Returns the tools' JSON; `null` is none.
pub fn tools_text(tools: Box<RawValue>) -> Option<String> {
    (tools.get() != "null").then(|| String::from(Box::<str>::from(tools)))
}
