//! `/v1/jobs`

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::Operator;
use super::extract::{Path, Query};
use super::operations::reached;
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::page_limit;
use crate::store::{JobFilter, JobRow, JobState};
use crate::world::rfc3339;

/// Which jobs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobParams {
    /// `ready`, `running` or `dead`.
    #[param(value_type = Option<String>)]
    state: Option<JobState>,
    /// Only this kind.
    kind: Option<String>,
    /// Only this namespace.
    namespace: Option<String>,
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A background job. One that is done is no longer there.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobRecord {
    id: String,
    /// What is to be done.
    kind: String,
    /// What it is to be done to: jobs of the same namespace, kind and key are one.
    key: String,
    trajectory_id: Option<String>,
    namespace: String,
    /// `ready`: it waits, perhaps for a later time; `running`; `dead`: it failed for good.
    state: &'static str,
    /// Attempts that were begun.
    attempts: u32,
    /// When it is due.
    run_after: String,
    /// Until when its runner holds it without a sign of life.
    lease_until: Option<String>,
    /// Whether it was asked for again while it was running, and will run once more.
    again: bool,
    /// Why the last attempt failed.
    last_error: Option<String>,
    created_at: String,
    updated_at: String,
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    jobs: Vec<JobRecord>,
    /// Where the next page starts; absent on the last one.
    next_cursor: Option<String>,
}

impl JobRecord {
    fn of(row: JobRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            key: row.key,
            trajectory_id: row.trajectory,
            namespace: row.namespace,
            state: row.state.as_str(),
            attempts: row.attempts,
            run_after: rfc3339(row.run_after_ms),
            lease_until: row.lease_until_ms.map(rfc3339),
            again: row.again,
            last_error: row.last_error,
            created_at: rfc3339(row.created_ms),
            updated_at: rfc3339(row.updated_ms),
        }
    }
}

/// Lists background jobs that wait, run or are dead, newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "operations", operation_id = "list_jobs",
    params(JobParams),
    responses((status = 200, body = JobList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_jobs(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(params): Query<JobParams>,
) -> Result<Body<JobList>, Problem> {
    let namespace = reached(&caller, params.namespace)?;
    let limit = page_limit(params.limit)?;
    let filter = JobFilter { namespace, kind: params.kind, state: params.state };
    let store = app.pipeline().store();
    let page = store.list_jobs(&filter, params.cursor.as_deref(), limit).await.map_err(super::errors::of_store)?;
    Ok(Body(JobList { jobs: page.jobs.into_iter().map(JobRecord::of).collect(), next_cursor: page.next_cursor }))
}

/// Makes a job that is dead or waits due at once, with all its attempts before it. One that runs is left alone.
#[utoipa::path(post, path = "/v1/jobs/{id}/retry", tag = "operations", operation_id = "retry_job",
    params(("id" = String, Path)),
    responses((status = 200, body = JobRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn retry_job(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<Body<JobRecord>, Problem> {
    let now_ms = app.pipeline().world().now_ms();
    let store = app.pipeline().store();
    let row = store
        .retry_job(&id, caller.namespace.as_deref(), now_ms)
        .await
        .map_err(super::errors::of_store)?
        .ok_or_else(|| Problem::not_found(format_args!("job `{id}`")))?;
    let detail = json!({ "kind": row.kind, "key": row.key });
    app.pipeline().audit(&caller, Some(&row.namespace), "job.retry", &id, detail).await?;
    Ok(Body(JobRecord::of(row)))
}
