//! `/v1/pairs`: runs of one task with whole and with compressed contexts.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::Operator;
use super::extract::{Json, Path, Query};
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::page_limit;
use crate::pipeline::failure::Failure;
use crate::store::PairRow;
use crate::tune::run::{NewPair, Outcome, PairRecord, RunError, Tuning};
use crate::world::rfc3339;

/// Pairs that are to be stored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportPairs {
    /// The namespace; the key's own, or `default`, where it is left out.
    namespace: Option<String>,
    /// 1 to 200 pairs.
    pairs: Vec<NewPair>,
}

/// What an import did.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportPairsAnswer {
    /// How many are new.
    imported: usize,
    /// How many were there already.
    known: usize,
    /// The ids of those that are new.
    ids: Vec<String>,
}

/// Which pairs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PairParams {
    /// Only this namespace.
    namespace: Option<String>,
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A pair without its messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct PairAnswer {
    id: String,
    namespace: String,
    /// The task's name.
    task: String,
    /// `import`: somebody else made it.
    origin: String,
    full: PairSideAnswer,
    compressed: PairSideAnswer,
    created_at: String,
}

/// One run of a pair.
#[derive(Debug, Serialize, ToSchema)]
pub struct PairSideAnswer {
    /// The stored trajectory that it is.
    trajectory: Option<String>,
    /// How many messages came with it.
    messages: usize,
    /// How it ended.
    outcome: Outcome,
}

/// A page of pairs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct PairList {
    pairs: Vec<PairAnswer>,
    /// Where the next page starts; absent on the last one.
    next_cursor: Option<String>,
}

impl PairAnswer {
    fn of(row: PairRow) -> Result<Self, Problem> {
        let record: PairRecord = serde_json::from_str(&row.record).map_err(RunError::from).map_err(Failure::from)?;
        let [full, compressed] = [record.full, record.compressed].map(|side| PairSideAnswer {
            messages: side.messages.as_ref().map_or(0, Vec::len),
            trajectory: side.trajectory,
            outcome: side.outcome,
        });
        Ok(Self {
            id: row.id,
            namespace: row.namespace,
            task: row.task,
            origin: row.origin,
            full,
            compressed,
            created_at: rfc3339(row.created_ms),
        })
    }
}

/// Stores pairs, all or none. Those that are there already are passed over.
#[utoipa::path(post, path = "/v1/pairs", tag = "tuning", operation_id = "import_pairs", request_body = ImportPairs,
    responses((status = 201, body = ImportPairsAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn import_pairs(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(body): Json<ImportPairs>,
) -> Result<Response, Problem> {
    let imported = Tuning::of(app.pipeline()).import_pairs(&caller, body.namespace, body.pairs).await?;
    let answer = ImportPairsAnswer { imported: imported.ids.len(), known: imported.known, ids: imported.ids };
    Ok((StatusCode::CREATED, Body(answer)).into_response())
}

/// Lists pairs, newest first.
#[utoipa::path(get, path = "/v1/pairs", tag = "tuning", operation_id = "list_pairs", params(PairParams),
    responses((status = 200, body = PairList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_pairs(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(params): Query<PairParams>,
) -> Result<Body<PairList>, Problem> {
    let limit = page_limit(params.limit)?;
    let tuning = Tuning::of(app.pipeline());
    let page = tuning.list_pairs(&caller, params.namespace, (params.cursor.as_deref(), limit)).await?;
    let pairs = page.pairs.into_iter().map(PairAnswer::of).collect::<Result<_, _>>()?;
    Ok(Body(PairList { pairs, next_cursor: page.next_cursor }))
}

/// Erases a pair, with the cases and scores of tuning runs that were drawn from it.
#[utoipa::path(delete, path = "/v1/pairs/{id}", tag = "tuning", operation_id = "delete_pair",
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn delete_pair(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    Tuning::of(app.pipeline()).delete_pair(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
