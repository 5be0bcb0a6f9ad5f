//! `/v1/tuning-runs`: runs that look for a better guideline.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::Operator;
use super::extract::{Json, Path, Query};
use super::guidelines::GuidelineRecord;
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::page_limit;
use crate::store::TuningRun;
use crate::tune::run::{Caps, Promotion, RunError, Spec, Tuning, TuningRunRecord, Worker};

/// Which page of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of tuning runs, newest first, without candidates and scores.
#[derive(Debug, Serialize, ToSchema)]
pub struct TuningRunList {
    tuning_runs: Vec<TuningRunRecord>,
    /// Where the next page starts; absent on the last one.
    next_cursor: Option<String>,
}

fn short(run: &TuningRun) -> Result<TuningRunRecord, Problem> {
    Ok(TuningRunRecord::short(run).map_err(RunError::from).map_err(crate::pipeline::failure::Failure::from)?)
}

/// Starts a run in the background: it finds cases, audits the champion on training tasks, has candidates proposed, scores
/// them, and lets the gate judge the best one on held-out tasks. A candidate that passes is saved as a draft and steers
/// nothing.
#[utoipa::path(post, path = "/v1/tuning-runs", tag = "tuning", operation_id = "start_tuning_run", request_body = Spec,
    responses((status = 202, body = TuningRunRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn start_tuning_run(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(spec): Json<Spec>,
) -> Result<Response, Problem> {
    let run = Tuning::of(app.pipeline()).start(&caller, spec, Worker::Daemon).await?;
    let location = [(header::LOCATION, format!("/v1/tuning-runs/{}", run.id))];
    Ok((StatusCode::ACCEPTED, location, Body(short(&run)?)).into_response())
}

/// Lists runs, newest first.
#[utoipa::path(get, path = "/v1/tuning-runs", tag = "tuning", operation_id = "list_tuning_runs", params(PageParams),
    responses((status = 200, body = TuningRunList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_tuning_runs(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(params): Query<PageParams>,
) -> Result<Body<TuningRunList>, Problem> {
    let limit = page_limit(params.limit)?;
    let page = Tuning::of(app.pipeline()).list(&caller, params.cursor.as_deref(), limit).await?;
    let tuning_runs = page.runs.iter().map(short).collect::<Result<_, _>>()?;
    Ok(Body(TuningRunList { tuning_runs, next_cursor: page.next_cursor }))
}

/// Returns one run with its candidates, the scores of each case, and the gate's verdict.
#[utoipa::path(get, path = "/v1/tuning-runs/{id}", tag = "tuning", operation_id = "get_tuning_run",
    params(("id" = String, Path)),
    responses((status = 200, body = TuningRunRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_tuning_run(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Body<TuningRunRecord>, Problem> {
    Ok(Body(Tuning::of(app.pipeline()).look(&caller, &id).await?))
}

/// Stops a run after the case that is in work. It can go on later.
#[utoipa::path(post, path = "/v1/tuning-runs/{id}/cancel", tag = "tuning", operation_id = "cancel_tuning_run",
    params(("id" = String, Path)),
    responses((status = 200, body = TuningRunRecord),
        (status = 409, description = "It has ended already", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn cancel_tuning_run(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Body<TuningRunRecord>, Problem> {
    let run = Tuning::of(app.pipeline()).cancel(&caller, &id).await?;
    Ok(Body(short(&run)?))
}

/// How a run is to go on.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResumeTuningRun {
    /// All caps that hold from now on, instead of those of before; these hold where `caps` is left out.
    caps: Option<Caps>,
}

/// Lets a run go on that is paused, failed or cancelled, or changes the caps of one that waits. What was done is not done
/// again. A run that a command works on goes on by that command.
#[utoipa::path(post, path = "/v1/tuning-runs/{id}/resume", tag = "tuning", operation_id = "resume_tuning_run",
    params(("id" = String, Path)), request_body = ResumeTuningRun,
    responses((status = 202, body = TuningRunRecord),
        (status = 409, description = "It is in work or done", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A cap is wrong, or a command works on it", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn resume_tuning_run(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Json(body): Json<ResumeTuningRun>,
) -> Result<Response, Problem> {
    let run = Tuning::of(app.pipeline()).resume(&caller, &id, body.caps).await?;
    Ok((StatusCode::ACCEPTED, Body(short(&run)?)).into_response())
}

/// How a candidate that passed is to steer.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromoteTuningRun {
    /// The hash of the champion that must still steer; the one that the run was measured against where it is left out.
    expected_champion: Option<String>,
    /// On trial for this share of trajectories, above 0 and at most 1; as the champion where it is left out.
    canary_share: Option<f64>,
}

/// Makes the candidate that passed the gate the champion, or puts it on trial. One that did not pass is refused.
#[utoipa::path(post, path = "/v1/tuning-runs/{id}/promote", tag = "tuning", operation_id = "promote_tuning_run",
    params(("id" = String, Path)), request_body = PromoteTuningRun,
    responses((status = 200, body = GuidelineRecord),
        (status = 409, description = "The run is not done, or no candidate passed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "The champion is another one", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn promote_tuning_run(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<String>,
    Json(body): Json<PromoteTuningRun>,
) -> Result<Body<GuidelineRecord>, Problem> {
    let wrong = |_| Problem::field("/expected_champion", "not a version's hash: `b3:` and 64 hexadecimal digits");
    let expected_champion = body.expected_champion.map(|hash| hash.parse().map_err(wrong)).transpose()?;
    let promotion = Promotion { expected_champion, canary_share: body.canary_share };
    Ok(Body(Tuning::of(app.pipeline()).promote(&caller, &id, promotion).await?.into()))
}
