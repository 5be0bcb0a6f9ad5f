//! `/v1/trajectories/{id}/context` and its epochs.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use recap_core::context::{Include, Receipt, Served};
use recap_core::trajectory::OutFormat;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{Path, Query, parse, read_body};
use super::pages::{Body, json_bytes};
use super::problem::{Code, Problem, ProblemDocument};
use super::trajectories::page_limit;
use crate::pipeline::keys::Caller;
use crate::pipeline::serve_context::{Ask, Context, Way};
use crate::world::rfc3339;

/// What a context is asked for with, as query parameters.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ContextParams {
    /// Most tokens of the whole payload; the trajectory's, else the configuration's.
    budget: Option<u32>,
    /// Tokens kept free inside the budget for the reply.
    reserve: Option<u32>,
    /// `openai`, `anthropic`, `responses` or `text`.
    #[param(value_type = Option<String>)]
    format: Option<OutFormat>,
    /// What the agent is about to do; the newest message where it is left out.
    query: Option<String>,
    /// Any of `playbook`, `facts`, `recalled`, separated by commas; all where it is left out.
    include: Option<String>,
    /// The etag that the client has.
    if_none_match: Option<String>,
}

/// The same as a body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextBody {
    /// Most tokens of the whole payload.
    pub budget: Option<u32>,
    /// Tokens kept free inside the budget for the reply.
    pub reserve: Option<u32>,
    /// `openai`, `anthropic`, `responses` or `text`.
    #[schema(value_type = Option<String>)]
    pub format: Option<OutFormat>,
    /// What the agent is about to do.
    pub query: Option<String>,
    /// Any of `playbook`, `facts`, `recalled`.
    pub include: Option<Vec<Part>>,
    /// The etag that the client has.
    pub if_none_match: Option<String>,
    /// Only with `compact`: whether to wait for the models that prepare the new epoch, at most three quarters of
    /// `server.request_timeout_ms`. The receipt warns with `no_model` where there are none, with `model_failed` where they
    /// failed or were not done: then rules serve. Rules are always waited for.
    pub wait: Option<bool>,
}

/// A part that recapd adds to a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Lessons.
    Playbook,
    /// Exact values.
    Facts,
    /// Excerpts of older turns.
    Recalled,
}

/// A served context. `system` only with `anthropic`, `input` instead of `messages` with `responses`, `text`
/// instead of it with `text`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContextAnswer {
    trajectory_id: String,
    format: String,
    #[serde(flatten)]
    receipt: Receipt,
    messages: Option<Vec<Value>>,
    system: Option<Value>,
    input: Option<Vec<Value>>,
    text: Option<String>,
    expand_tool: Option<Value>,
}

impl ContextParams {
    fn into_body(self) -> Result<ContextBody, Problem> {
        let include = match self.include {
            None => None,
            Some(list) => Some(
                list.split(',')
                    .map(str::trim)
                    .filter(|name| !name.is_empty())
                    .map(|name| match name {
                        "playbook" => Ok(Part::Playbook),
                        "facts" => Ok(Part::Facts),
                        "recalled" => Ok(Part::Recalled),
                        other => {
                            Err(Problem::field("include", format!("`{other}` is none of playbook, facts, recalled")))
                        }
                    })
                    .collect::<Result<_, _>>()?,
            ),
        };
        Ok(ContextBody {
            budget: self.budget,
            reserve: self.reserve,
            format: self.format,
            query: self.query,
            include,
            if_none_match: self.if_none_match,
            wait: None,
        })
    }
}

impl ContextBody {
    /// Returns what is asked for.
    pub fn ask(&self) -> Result<Ask, Problem> {
        if self.budget == Some(0) {
            return Err(Problem::field("/budget", "must be above 0"));
        }
        Ok(Ask {
            budget: self.budget,
            reserve: self.reserve.unwrap_or(0),
            format: self.format.unwrap_or(OutFormat::OpenAi),
            query: self.query.clone(),
            include: self.include.as_deref().map_or_else(Include::default, include_of),
        })
    }
}

fn include_of(parts: &[Part]) -> Include {
    Include {
        playbook: parts.contains(&Part::Playbook),
        facts: parts.contains(&Part::Facts),
        recalled: parts.contains(&Part::Recalled),
    }
}

/// Serves what the agent should see now in at most `budget` tokens.
#[utoipa::path(get, path = "/v1/trajectories/{id}/context", tag = "context", operation_id = "serve_context",
    params(("id" = String, Path), ContextParams, ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, body = ContextAnswer, headers(("ETag" = String))), (status = 304), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_context(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(params): Query<ContextParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer(&app, &caller, &id, params.into_body()?, &headers, Way::Read).await
}

/// The same with a body.
#[utoipa::path(post, path = "/v1/trajectories/{id}/context", tag = "context", operation_id = "serve_context_for",
    params(("id" = String, Path), ("If-None-Match" = Option<String>, Header)), request_body = ContextBody,
    responses((status = 200, body = ContextAnswer, headers(("ETag" = String))), (status = 304), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn post_context(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let body = optional_body(&app, request).await?;
    answer(&app, &caller, &id, body, &headers, Way::Read).await
}

/// Begins the next epoch now and serves from it.
#[utoipa::path(post, path = "/v1/trajectories/{id}/compact", tag = "context", operation_id = "compact_trajectory",
    params(("id" = String, Path)), request_body = ContextBody,
    responses((status = 200, body = ContextAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn compact_trajectory(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let body = optional_body(&app, request).await?;
    if body.wait == Some(true) {
        let context = Box::pin(app.pipeline().compact_prepared(&caller, &id, body.ask()?)).await?;
        return response(&id, &context, &body, &HeaderMap::new());
    }
    answer(&app, &caller, &id, body, &HeaderMap::new(), Way::Compact { warning: None }).await
}

/// Goes back to an epoch's recap: a new epoch that repeats it. The line of reads is that of the body's fields.
#[utoipa::path(post, path = "/v1/trajectories/{id}/epochs/{n}/restore", tag = "context", operation_id = "restore_epoch",
    params(("id" = String, Path), ("n" = u32, Path)), request_body = ContextBody,
    responses((status = 200, body = ContextAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn restore_epoch(
    State(app): State<App>,
    caller: Caller,
    Path((id, n)): Path<(String, u32)>,
    request: Request,
) -> Result<Response, Problem> {
    let body = optional_body(&app, request).await?;
    answer(&app, &caller, &id, body, &HeaderMap::new(), Way::Restore(n)).await
}

/// Reads a body that may be left out.
async fn optional_body(app: &App, request: Request) -> Result<ContextBody, Problem> {
    let limits = &app.config().limits;
    let body = read_body(request, limits.max_body_bytes).await?;
    if body.is_empty() { Ok(ContextBody::default()) } else { parse(&body, limits.max_depth) }
}

async fn answer(
    app: &App,
    caller: &Caller,
    id: &str,
    body: ContextBody,
    headers: &HeaderMap,
    way: Way,
) -> Result<Response, Problem> {
    if body.wait.is_some() && !matches!(way, Way::Compact { .. }) {
        return Err(Problem::field("/wait", "only `compact` takes it"));
    }
    let context = app.pipeline().serve_context(caller, id, body.ask()?, way).await?;
    response(id, &context, &body, headers)
}

fn response(id: &str, context: &Context, body: &ContextBody, headers: &HeaderMap) -> Result<Response, Problem> {
    let etag =
        HeaderValue::from_str(&context.etag).map_err(|_| Problem::new(Code::Internal, "the etag cannot be written"))?;
    let has = body.if_none_match.as_deref();
    let has = has.or_else(|| headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()));
    let mut response = if has.is_some_and(|has| matches_etag(has, &context.etag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json_bytes(context.written(|context| written(id, context))?)
    };
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

/// Tells whether one of the listed etags is this one (RFC 9110, weak comparison).
fn matches_etag(listed: &str, etag: &str) -> bool {
    let bare = etag.trim_matches('"');
    listed
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).trim_matches('"') == bare)
}

fn written(id: &str, context: &Context) -> Result<String, Problem> {
    answer_text(Some(id), &context.served, context.format).map_err(unwritten)
}

/// Returns the answer's JSON: of a trajectory, or of a stateless compression.
///
/// # Errors
///
/// Fails where the receipt cannot be written.
pub fn answer_text(id: Option<&str>, served: &Served, format: OutFormat) -> serde_json::Result<String> {
    let head = match id {
        Some(id) => format!(r#"{{"trajectory_id":{},"#, quoted(id)?),
        None => "{".to_owned(),
    };
    payload(head, served, format)
}

/// Puts an answer together from the texts of its messages, which stay as they are.
fn payload(head: String, served: &Served, format: OutFormat) -> serde_json::Result<String> {
    let size = served.messages.iter().map(|message| message.len() + 1).sum::<usize>();
    let mut text = head;
    text.reserve(size + 4096);
    text.extend([r#""format":""#, format.name(), r#"","#]);
    if let Some(system) = &served.system {
        text.extend([r#""system":"#, system, ","]);
    }
    match (&served.text, format) {
        (Some(words), _) => text.extend([r#""text":"#, &quoted(words)?, ","]),
        (None, OutFormat::Responses) => list(&mut text, "input", served),
        (None, _) => list(&mut text, "messages", served),
    }
    if let Some(tool) = &served.expand_tool {
        text.extend([r#""expand_tool":"#, &tool.to_string(), ","]);
    }
    let receipt = serde_json::to_string(&served.receipt)?;
    text.push_str(receipt.strip_prefix('{').unwrap_or(&receipt));
    Ok(text)
}

fn list(text: &mut String, name: &str, served: &Served) {
    text.push('"');
    text.push_str(name);
    text.push_str("\":[");
    for (i, message) in served.messages.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(message);
    }
    text.push_str("],");
}

fn quoted(text: &str) -> serde_json::Result<String> {
    serde_json::to_string(text)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that map_err asks for")]
pub fn unwritten(error: serde_json::Error) -> Problem {
    tracing::error!(%error, "an answer cannot be written");
    Problem::new(Code::Internal, "the answer cannot be written")
}

/// Which epochs are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EpochParams {
    /// Only this line of reads.
    line: Option<String>,
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// An epoch.
#[derive(Debug, Serialize, ToSchema)]
pub struct EpochAnswer {
    /// The line of reads: format, budget, reserve, parts.
    line: String,
    /// Its number on that line.
    n: u64,
    /// When it began.
    created_at: String,
    /// What it covers: pieces before and after, what they stand for, facts, makers.
    #[schema(value_type = Object)]
    record: Box<RawValue>,
}

/// A page of epochs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct EpochList {
    epochs: Vec<EpochAnswer>,
    /// Where the next page starts; absent on the last one.
    next_cursor: Option<String>,
}

/// Lists the epochs of all lines of reads, newest first.
#[utoipa::path(get, path = "/v1/trajectories/{id}/epochs", tag = "context", operation_id = "list_epochs",
    params(("id" = String, Path), EpochParams),
    responses((status = 200, body = EpochList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_epochs(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(params): Query<EpochParams>,
) -> Result<Body<EpochList>, Problem> {
    let limit = page_limit(params.limit)?;
    let from = match params.cursor.as_deref() {
        None => 0,
        Some(cursor) => cursor.parse::<usize>().map_err(|_| Problem::field("cursor", "not a cursor of this list"))?,
    };
    let rows = app.pipeline().epochs(&caller, &id, params.line.as_deref()).await?;
    let total = rows.len();
    let epochs = rows.into_iter().skip(from).take(limit).map(epoch_answer).collect::<Result<Vec<_>, _>>()?;
    let end = from.saturating_add(epochs.len());
    let next_cursor = (end < total).then(|| end.to_string());
    Ok(Body(EpochList { epochs, next_cursor }))
}

/// Returns one epoch: of the line that is named, else of the line whose epoch of this number is newest.
#[utoipa::path(get, path = "/v1/trajectories/{id}/epochs/{n}", tag = "context", operation_id = "get_epoch",
    params(("id" = String, Path), ("n" = u64, Path), EpochParams),
    responses((status = 200, body = EpochAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_epoch(
    State(app): State<App>,
    caller: Caller,
    Path((id, n)): Path<(String, u64)>,
    Query(params): Query<EpochParams>,
) -> Result<Body<EpochAnswer>, Problem> {
    let rows = app.pipeline().epochs(&caller, &id, params.line.as_deref()).await?;
    let row = rows.into_iter().find(|row| row.n == n);
    let row = row.ok_or_else(|| Problem::not_found(format_args!("epoch {n} of trajectory `{id}`")))?;
    Ok(Body(epoch_answer(row)?))
}

fn epoch_answer(row: crate::store::EpochRow) -> Result<EpochAnswer, Problem> {
    let record =
        RawValue::from_string(row.record).map_err(|_| Problem::new(Code::Internal, "a stored epoch is damaged"))?;
    Ok(EpochAnswer { line: row.line, n: row.n, created_at: rfc3339(row.created_ms), record })
}
