//! `/v1/playbooks`: lessons that agents are served with, their changes, and how they served.

pub mod exchange;
mod operation;
mod records;
pub mod review;
pub mod upkeep;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use recap_core::playbook::{Excerpt, Operation};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::operation::{OperationBody, Sent};
use self::records::{DeltaRecord, PlaybookRecord, PlaybookSummary};
use super::App;
use super::extract::{Json, Path, Query};
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::page_limit;
use crate::pipeline::keys::Caller;
use crate::pipeline::playbook::{DeltaOutcome, DeltaRequest, PlaybookView, Removals};

/// In which namespace a playbook is looked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlaceParams {
    /// The namespace; the key's own, or `default`, where it is left out.
    namespace: Option<String>,
}

/// Which page of what is listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// The namespace; the key's own where it is left out.
    namespace: Option<String>,
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of playbooks by namespace and name.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaybookListAnswer {
    playbooks: Vec<PlaybookSummary>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
}

/// Lists playbooks by namespace and name.
#[utoipa::path(get, path = "/v1/playbooks", tag = "playbooks", operation_id = "list_playbooks", params(PageParams),
    responses((status = 200, body = PlaybookListAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_playbooks(
    State(app): State<App>,
    caller: Caller,
    Query(params): Query<PageParams>,
) -> Result<Body<PlaybookListAnswer>, Problem> {
    let limit = page_limit(params.limit)?;
    let (namespace, cursor) = (params.namespace.as_deref(), params.cursor.as_deref());
    let list = app.pipeline().list_playbooks(&caller, namespace, cursor, limit).await?;
    let playbooks = list.playbooks.into_iter().map(PlaybookSummary::from).collect();
    Ok(Body(PlaybookListAnswer { playbooks, next_cursor: list.next_cursor }))
}

/// What of a playbook is read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReadParams {
    /// The namespace; the key's own, or `default`, where it is left out.
    namespace: Option<String>,
    /// As it stood at this version.
    version: Option<u64>,
    /// Only the excerpt that would be served within this many tokens, with its text and what chose it.
    budget: Option<u32>,
    /// What the agent is about to do: the excerpt's bullets bear on it.
    query: Option<String>,
    /// `json`, or as text: `ace`, `kayba` or `markdown`.
    format: Option<String>,
}

/// Returns a playbook, or the excerpt of it that would be served.
#[utoipa::path(get, path = "/v1/playbooks/{name}", tag = "playbooks", operation_id = "get_playbook",
    params(("name" = String, Path), ReadParams),
    responses((status = 200, body = PlaybookRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_playbook(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(params): Query<ReadParams>,
) -> Result<Response, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    if params.query.is_some() && params.budget.is_none() {
        return Err(Problem::field("query", "an excerpt needs `budget`"));
    }
    let view = app.pipeline().playbook(&key, params.version).await?;
    let excerpt = match params.budget {
        Some(budget) => {
            let chosen = app.pipeline().playbook_excerpt(&view, budget, params.query.unwrap_or_default()).await?;
            Some((chosen, budget))
        }
        None => None,
    };
    match params.format.as_deref() {
        None | Some("json") => Ok(Body(record(&app, view, excerpt).await?).into_response()),
        Some(format) => {
            let format = exchange::format_of("format", format)?;
            exchange::file(&app, view.row.playbook, excerpt.map(|((excerpt, _), _)| excerpt.bullets), format).await
        }
    }
}

/// An excerpt with what chose it, and the budget that was asked for.
type Chosen = ((Excerpt, String), u32);

async fn record(app: &App, view: PlaybookView, excerpt: Option<Chosen>) -> Result<PlaybookRecord, Problem> {
    let playbook = &view.row.playbook;
    let bullets = match &excerpt {
        Some(((excerpt, _), _)) => excerpt.bullets.iter().filter_map(|id| playbook.bullet(id)).cloned().collect(),
        None => playbook.by_section().flat_map(|(_, bullets)| bullets).cloned().collect(),
    };
    let bullets = app.pipeline().bullet_views(bullets).await?;
    let record = PlaybookRecord::of(view, bullets);
    Ok(match excerpt {
        Some(((excerpt, chosen_by), budget)) => record.excerpt(excerpt, chosen_by, budget),
        None => record,
    })
}

/// Operations that are applied together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostDelta {
    /// The version that they were made for; another one refuses them.
    expected_version: Option<u64>,
    /// 1 to 200 operations: all are applied, or none.
    operations: Vec<OperationBody>,
    /// Where they come from.
    source: Option<SourceBody>,
    /// Whether more than 30 in 100 bullets may go at once.
    #[serde(default)]
    allow_collapse: bool,
}

/// Where a change comes from: words, or a name and a run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SourceBody {
    /// In the sender's own words, at most 200 bytes.
    Name(String),
    /// With the run that it was learned from.
    Run(RunBody),
}

/// A change's name and run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunBody {
    /// In the sender's own words, at most 200 bytes.
    name: Option<String>,
    /// The run that it was learned from: deleting it takes the change back.
    trajectory: Option<String>,
}

/// What was applied.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeltaAnswer {
    /// The playbook's version since.
    version: u64,
    /// The operations with the ids of new bullets.
    #[schema(value_type = Vec<Object>)]
    applied: Vec<Operation>,
    /// New bullets, each with one that says the same; nothing is merged by itself.
    duplicates: Vec<[String; 2]>,
    /// Tokens of the playbook's text.
    tokens: u32,
}

/// What waits for review.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitAnswer {
    /// Its id.
    pending: String,
    /// Why it waits.
    reasons: Vec<String>,
}

/// Applies operations, all or none. A playbook that is not there is made.
#[utoipa::path(post, path = "/v1/playbooks/{name}/deltas", tag = "playbooks", operation_id = "change_playbook",
    params(("name" = String, Path), PlaceParams), request_body = PostDelta,
    responses((status = 200, body = DeltaAnswer), (status = 202, description = "The change waits for review", body = WaitAnswer),
        (status = 409, description = "The playbook has another version", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn change_playbook(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(params): Query<PlaceParams>,
    Json(body): Json<PostDelta>,
) -> Result<Response, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let sent = Sent::of(body.operations)?;
    let places = sent.places();
    let (source, trajectory) = match body.source {
        None => (None, None),
        Some(SourceBody::Name(name)) => (Some(name), None),
        Some(SourceBody::Run(run)) => (run.name, run.trajectory),
    };
    let request = DeltaRequest {
        expected_version: body.expected_version,
        operations: sent.operations,
        source,
        trajectory,
        removals: if body.allow_collapse { Removals::Any } else { Removals::Few },
    };
    let outcome = app.pipeline().apply_delta(&caller, key, request).await.map_err(places)?;
    Ok(answer(outcome))
}

fn answer(outcome: DeltaOutcome) -> Response {
    match outcome {
        DeltaOutcome::Applied(applied) => Body(DeltaAnswer {
            version: applied.version,
            applied: applied.operations,
            duplicates: applied.duplicates.iter().map(|pair| pair.each_ref().map(ToString::to_string)).collect(),
            tokens: applied.tokens,
        })
        .into_response(),
        DeltaOutcome::Waits { id, reasons } => waiting((id, reasons)),
    }
}

fn waiting((pending, reasons): (String, Vec<String>)) -> Response {
    (StatusCode::ACCEPTED, Body(WaitAnswer { pending, reasons })).into_response()
}

/// A page of a playbook's log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeltaList {
    deltas: Vec<DeltaRecord>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
}

/// Lists a playbook's deltas, newest first.
#[utoipa::path(get, path = "/v1/playbooks/{name}/deltas", tag = "playbooks", operation_id = "list_playbook_deltas",
    params(("name" = String, Path), PageParams),
    responses((status = 200, body = DeltaList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_playbook_deltas(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(params): Query<PageParams>,
) -> Result<Body<DeltaList>, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let limit = page_limit(params.limit)?;
    let page = app.pipeline().playbook_deltas(&key, params.cursor.as_deref(), limit).await?;
    let deltas = page.deltas.into_iter().map(DeltaRecord::from).collect();
    Ok(Body(DeltaList { deltas, next_cursor: page.next_cursor }))
}
