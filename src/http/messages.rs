//! `/v1/trajectories/{id}/messages`

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use recap_core::trajectory::WireFormat;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{JsonBytes, Path, Query};
use super::pages::{Body, json_bytes};
use super::problem::{Problem, ProblemDocument};
use super::trajectories::page_limit;
use crate::pipeline::append_messages::{Append, Incoming};
use crate::pipeline::keys::Caller;
use crate::store::{Appended, IdempotencyKey, Pinned};

/// Messages to append.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppendMessages {
    /// The messages in their provider's format, kept byte for byte.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Box<RawValue>>,
    /// `openai` (where it is left out) or `anthropic`.
    #[schema(value_type = Option<String>)]
    format: Option<WireFormat>,
    /// Anthropic's system prompt: text or text blocks.
    #[schema(value_type = Option<Object>)]
    system: Option<Box<RawValue>>,
    /// The number of messages that the caller believes are stored.
    expected_length: Option<u64>,
}

/// What an append did.
#[derive(Debug, Serialize, ToSchema)]
pub struct AppendReport {
    /// Messages appended.
    appended: u64,
    /// Messages now stored.
    length: u64,
    /// Tokens of the appended messages.
    tokens: u64,
}

/// Which messages are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MessageParams {
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A page of messages.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageList {
    /// The messages as they were sent.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Box<RawValue>>,
    /// Where the next page starts; absent on the last one.
    next_cursor: Option<String>,
}

/// A message's pin.
#[derive(Debug, Serialize, ToSchema)]
pub struct Pin {
    /// The message's number.
    n: u64,
    /// Whether it is pinned.
    pinned: bool,
}

/// Appends messages, all or none; when this answers they are durable.
#[utoipa::path(post, path = "/v1/trajectories/{id}/messages", tag = "trajectories", operation_id = "append_messages",
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe: 1 to 255 printable characters.")),
    request_body = AppendMessages,
    responses((status = 200, body = AppendReport), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn append_messages(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBytes(body, bytes): JsonBytes<AppendMessages>,
) -> Result<Body<AppendReport>, Problem> {
    let idempotency =
        idempotency_key(&headers)?.map(|key| IdempotencyKey { key, body_hash: *blake3::hash(&bytes).as_bytes() });
    drop(bytes);
    let incoming =
        Incoming { format: body.format.unwrap_or(WireFormat::OpenAi), messages: body.messages, system: body.system };
    let append = Append { incoming, expected_length: body.expected_length, idempotency };
    let Appended { appended, length, tokens, .. } = app.pipeline().append_messages(&caller, &id, append).await?;
    Ok(Body(AppendReport { appended, length, tokens }))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .filter(|key| (1..=255).contains(&key.len()))
        .map(|key| Some(key.to_owned()))
        .ok_or_else(|| Problem::field("Idempotency-Key", "must be 1 to 255 printable ASCII characters"))
}

/// Returns the originals, byte-identical, in order.
#[utoipa::path(get, path = "/v1/trajectories/{id}/messages", tag = "trajectories", operation_id = "list_messages",
    params(("id" = String, Path), MessageParams),
    responses((status = 200, body = MessageList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_messages(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(params): Query<MessageParams>,
) -> Result<Response, Problem> {
    let limit = page_limit(params.limit)? as u64;
    let from = match params.cursor.as_deref() {
        None => 0,
        Some(cursor) => cursor.parse::<u64>().map_err(|_| Problem::field("cursor", "not a cursor of this list"))?,
    };
    let (rows, record) = app.pipeline().messages(&caller, &id, from, limit).await?;
    let end = from + rows.len() as u64;
    let mut text = String::with_capacity(rows.iter().map(|row| row.native.len() + 1).sum::<usize>() + 64);
    text.push_str(r#"{"messages":["#);
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        text.push_str(&row.native);
    }
    text.push_str(r#"],"next_cursor":"#);
    if end < record.length {
        text.extend(["\"", &end.to_string(), "\""]);
    } else {
        text.push_str("null");
    }
    text.push('}');
    Ok(json_bytes(text))
}

/// Pins a message: it is never paraphrased. Acts at the next epoch.
#[utoipa::path(post, path = "/v1/trajectories/{id}/messages/{n}/pin", tag = "trajectories", operation_id = "pin_message",
    params(("id" = String, Path), ("n" = u64, Path)),
    responses((status = 200, body = Pin), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn pin_message(
    State(app): State<App>,
    caller: Caller,
    Path((id, n)): Path<(String, u64)>,
) -> Result<Body<Pin>, Problem> {
    app.pipeline().pin_message(&caller, &id, n, Pinned::Yes).await?;
    Ok(Body(Pin { n, pinned: true }))
}

/// Unpins a message. Acts at the next epoch.
#[utoipa::path(delete, path = "/v1/trajectories/{id}/messages/{n}/pin", tag = "trajectories", operation_id = "unpin_message",
    params(("id" = String, Path), ("n" = u64, Path)),
    responses((status = 200, body = Pin), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn unpin_message(
    State(app): State<App>,
    caller: Caller,
    Path((id, n)): Path<(String, u64)>,
) -> Result<Body<Pin>, Problem> {
    app.pipeline().pin_message(&caller, &id, n, Pinned::No).await?;
    Ok(Body(Pin { n, pinned: false }))
}
