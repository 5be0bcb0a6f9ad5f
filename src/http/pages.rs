//! JSON answers, and the pages that explain: problems, `OpenAPI`, what is not there.

use axum::extract::OriginalUri;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::extract::Path;
use super::problem::{Code, Problem};

/// A JSON answer.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: Serialize> IntoResponse for Body<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(bytes) => json_bytes(bytes),
            Err(error) => {
                tracing::error!(%error, "an answer cannot be written");
                Problem::new(Code::Internal, "the answer cannot be written").into_response()
            }
        }
    }
}

/// Returns bytes that are JSON as an answer.
pub fn json_bytes(bytes: impl Into<axum::body::Body>) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Answers for paths that are not there.
pub async fn not_found(OriginalUri(uri): OriginalUri) -> Problem {
    Problem::not_found(format_args!("path `{}`", uri.path()))
}

/// Answers for methods that a path does not take.
pub async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed, "the path exists; it does not take this method")
}

/// Returns this document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", operation_id = "get_openapi",
    responses((status = 200, body = Object)))]
pub async fn openapi_json() -> Response {
    json_bytes(super::openapi::text())
}

/// Explains a kind of problem.
#[utoipa::path(get, path = "/problems/{code}", tag = "operations", operation_id = "explain_problem",
    params(("code" = String, Path)), responses((status = 200, body = Object)))]
pub async fn explain_problem(Path(slug): Path<String>) -> Result<Response, Problem> {
    let code = Code::ALL
        .into_iter()
        .find(|code| code.slug() == slug)
        .ok_or_else(|| Problem::not_found(format_args!("problem `{slug}`")))?;
    let page = json!({
        "type": format!("/problems/{slug}"),
        "title": code.title(),
        "status": code.status().as_u16(),
        "explanation": code.explanation(),
    });
    Ok(Body(page).into_response())
}
