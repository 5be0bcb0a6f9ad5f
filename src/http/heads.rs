//! `/v1/heads`: trained heads, which of them scores lines, activation.

use axum::extract::State;
use recap_core::trajectory::OriginalHash;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::auth::Operator;
use super::extract::{Json, Path};
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::told;
use crate::store::{Expected, HeadEvent, HeadRow, HeadState};
use crate::world::rfc3339;

/// A trained head.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeadRecord {
    /// The hash of its weights.
    hash: String,
    /// How it was trained, and on what.
    #[schema(value_type = Object)]
    manifest: Value,
    /// What the gate said of it; null where it did not judge it.
    #[schema(value_type = Option<Object>)]
    verdict: Option<Value>,
    /// Whether the gate let it pass. One that it did not cannot be activated.
    passed: bool,
    /// What it was measured against: `rules`, or the hash of the head that scored; null where that is not known.
    measured: Option<String>,
    /// The size of its weights.
    bytes: u64,
    actor: String,
    created_at: String,
}

impl From<HeadRow> for HeadRecord {
    fn from(row: HeadRow) -> Self {
        Self {
            hash: row.hash.to_string(),
            manifest: row.manifest,
            verdict: row.verdict,
            passed: row.passed,
            measured: row.measured.map(|measured| measured.to_string()),
            bytes: row.bytes,
            actor: row.actor,
            created_at: rfc3339(row.created_ms),
        }
    }
}

/// A step in the life of the heads.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeadEventRecord {
    at: String,
    actor: String,
    /// `activate` or `rollback`.
    action: String,
    from: Option<String>,
    to: Option<String>,
}

impl From<HeadEvent> for HeadEventRecord {
    fn from(event: HeadEvent) -> Self {
        Self {
            at: rfc3339(event.at_ms),
            actor: event.actor,
            action: event.action,
            from: event.from.map(|hash| hash.to_string()),
            to: event.to.map(|hash| hash.to_string()),
        }
    }
}

/// All heads.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeadList {
    /// The hash of the head that scores; null where none does.
    champion: Option<String>,
    /// Newest first.
    heads: Vec<HeadRecord>,
    /// What happened to them, newest first, up to 100 steps.
    events: Vec<HeadEventRecord>,
    next_cursor: Option<String>,
}

/// Lists all trained heads, newest first.
#[utoipa::path(get, path = "/v1/heads", tag = "distillation", operation_id = "list_heads",
    responses((status = 200, body = HeadList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_heads(State(app): State<App>, _: Operator) -> Result<Body<HeadList>, Problem> {
    let all = app.pipeline().heads().await?;
    Ok(Body(HeadList {
        champion: all.state.champion.map(|hash| hash.to_string()),
        heads: all.heads.into_iter().map(HeadRecord::from).collect(),
        events: all.events.into_iter().map(HeadEventRecord::from).collect(),
        next_cursor: None,
    }))
}

/// Returns one head.
#[utoipa::path(get, path = "/v1/heads/{hash}", tag = "distillation", operation_id = "get_head",
    params(("hash" = String, Path)),
    responses((status = 200, body = HeadRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_head(
    State(app): State<App>,
    _: Operator,
    Path(hash): Path<String>,
) -> Result<Body<HeadRecord>, Problem> {
    Ok(Body(app.pipeline().head(&hash_of("hash", &hash)?).await?.into()))
}

/// Which head scores.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeadStateAnswer {
    /// The hash of the head that scores; null where none does.
    champion: Option<String>,
}

impl From<HeadState> for HeadStateAnswer {
    fn from(state: HeadState) -> Self {
        Self { champion: state.champion.map(|hash| hash.to_string()) }
    }
}

/// A head that is to score.
#[expect(clippy::option_option, reason = "left out, null and a hash mean three things")]
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateHead {
    /// The champion's hash as the caller knows it; null where there is none. The one that the head was measured against where
    /// it is left out.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    expected_champion: Option<Option<String>>,
}

/// Makes a head the champion. One that no gate let pass is refused.
#[utoipa::path(post, path = "/v1/heads/{hash}/activate", tag = "distillation", operation_id = "activate_head",
    params(("hash" = String, Path)), request_body = ActivateHead,
    responses((status = 200, body = HeadStateAnswer),
        (status = 409, description = "No gate let it pass", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 412, description = "The champion is another one", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn activate_head(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(hash): Path<String>,
    Json(body): Json<ActivateHead>,
) -> Result<Body<HeadStateAnswer>, Problem> {
    let known = |champion: Option<String>| champion.map(|hash| hash_of("/expected_champion", &hash)).transpose();
    let expected = body.expected_champion.map(known).transpose()?.map_or(Expected::Measured, Expected::Champion);
    Ok(Body(app.pipeline().activate_head(&caller, hash_of("hash", &hash)?, expected).await?.into()))
}

/// Brings the champion before this one back, or none if there was none.
#[utoipa::path(post, path = "/v1/heads/rollback", tag = "distillation", operation_id = "roll_back_head",
    responses((status = 200, body = HeadStateAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn roll_back_head(
    State(app): State<App>,
    Operator(caller): Operator,
) -> Result<Body<HeadStateAnswer>, Problem> {
    Ok(Body(app.pipeline().roll_back_head(&caller).await?.into()))
}

fn hash_of(pointer: &str, text: &str) -> Result<OriginalHash, Problem> {
    text.parse().map_err(|_| Problem::field(pointer, "not a head's hash: `b3:` and 64 hexadecimal digits"))
}
