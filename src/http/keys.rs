//! `/v1/keys`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::App;
use super::auth::Admin;
use super::extract::{Json, Path};
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use crate::pipeline::checks;
use crate::pipeline::keys::KeyScope;
use crate::store::KeyRow;
use crate::world::rfc3339;

/// A key that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// What it is for.
    name: String,
    /// `agent`, `operator` or `admin`.
    #[schema(value_type = Option<String>)]
    scope: Option<KeyScope>,
    /// The one namespace that it reaches; all where it is left out.
    namespace: Option<String>,
}

/// A key, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyAnswer {
    id: String,
    name: String,
    scope: String,
    namespace: Option<String>,
    created_at: String,
    last_used_at: Option<String>,
    /// The text that callers send; only in the answer that makes the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyList {
    keys: Vec<KeyAnswer>,
    next_cursor: Option<String>,
}

impl KeyAnswer {
    fn of(row: KeyRow, key: Option<String>) -> Self {
        Self {
            id: row.id,
            name: row.name,
            scope: row.scope,
            namespace: row.namespace,
            created_at: rfc3339(row.created_ms),
            last_used_at: row.last_used_ms.map(rfc3339),
            key,
        }
    }
}

/// Makes a key. Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/v1/keys", tag = "operations", operation_id = "create_key",
    request_body = CreateKey,
    responses((status = 201, body = KeyAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn create_key(
    State(app): State<App>,
    Admin(caller): Admin,
    Json(body): Json<CreateKey>,
) -> Result<Response, Problem> {
    if let Some(namespace) = &body.namespace {
        checks::name("/namespace", namespace)?;
    }
    // A key of one namespace makes keys of that namespace only.
    let namespace = match (&caller.namespace, body.namespace) {
        (None, namespace) => namespace,
        (Some(own), None) => Some(own.clone()),
        (Some(own), Some(namespace)) if *own == namespace => Some(namespace),
        (Some(_), Some(namespace)) => {
            return Err(crate::pipeline::failure::Failure::Namespace(namespace).into());
        }
    };
    let scope = body.scope.unwrap_or(KeyScope::Agent);
    let new = app.pipeline().keys().create(body.name, scope, namespace).await?;
    let detail = json!({ "name": new.row.name, "scope": new.row.scope });
    app.pipeline().audit(&caller, new.row.namespace.as_deref(), "key.create", &new.row.id, detail).await?;
    let secret = new.secret.expose_secret().to_owned();
    Ok((StatusCode::CREATED, Body(KeyAnswer::of(new.row, Some(secret)))).into_response())
}

/// Lists the keys that the caller's key reaches.
#[utoipa::path(get, path = "/v1/keys", tag = "operations", operation_id = "list_keys",
    responses((status = 200, body = KeyList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_keys(State(app): State<App>, Admin(caller): Admin) -> Result<Body<KeyList>, Problem> {
    let rows = app.pipeline().keys().list().await.map_err(super::errors::of_store)?;
    let reached = rows.into_iter().filter(|row| caller.namespace.is_none() || caller.namespace == row.namespace);
    Ok(Body(KeyList { keys: reached.map(|row| KeyAnswer::of(row, None)).collect(), next_cursor: None }))
}

/// Revokes a key.
#[utoipa::path(delete, path = "/v1/keys/{id}", tag = "operations", operation_id = "revoke_key",
    params(("id" = String, Path)),
    responses((status = 204), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn revoke_key(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let keys = app.pipeline().keys();
    let rows = keys.list().await.map_err(super::errors::of_store)?;
    let row = rows
        .into_iter()
        .find(|row| row.id == id && (caller.namespace.is_none() || caller.namespace == row.namespace))
        .ok_or_else(|| Problem::not_found(format_args!("key `{id}`")))?;
    keys.revoke(&id).await.map_err(super::errors::of_store)?;
    app.pipeline().audit(&caller, row.namespace.as_deref(), "key.revoke", &id, json!({ "name": row.name })).await?;
    Ok(StatusCode::NO_CONTENT)
}
