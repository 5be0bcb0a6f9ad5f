//! What surrounds every request: its id, its span, its time limit, the gate against overload, and the problem
//! document of whatever went wrong.

use std::panic::AssertUnwindSafe;

use axum::extract::{MatchedPath, Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tokio::time::Instant;
use tracing::Instrument;

use super::App;
use super::problem::{self, Code, Problem};

const REQUEST_ID: &str = "x-request-id";

/// The outermost layer.
pub async fn frame(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = request_id(&app, &request);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = route_of(&request).to_owned();
    let span = tracing::info_span!("request", %method, path, id);
    let started = Instant::now();
    let answered = AssertUnwindSafe(gated(&app, request, next)).catch_unwind().instrument(span.clone()).await;
    let response =
        answered.unwrap_or_else(|_| Problem::new(Code::Internal, "the request met a fault in recapd").into_response());
    let status = response.status();
    let seconds = started.elapsed().as_secs_f64();
    span.in_scope(|| tracing::debug!(status = status.as_u16(), seconds, "answered"));
    let labels = [("method", method.to_string()), ("route", route), ("status", status.as_u16().to_string())];
    metrics::histogram!("recapd_http_request_seconds", &labels).record(seconds);
    let mut response = problem::render(response, &id);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

async fn gated(app: &App, request: Request, next: Next) -> Response {
    if is_exempt(route_of(&request)) {
        return next.run(request).await;
    }
    let Ok(_permit) = app.gate().try_acquire() else {
        metrics::counter!("recapd_http_refused_total").increment(1);
        return Problem::new(Code::Overloaded, "too many requests are in work")
            .with("retry_after_s", 1)
            .into_response();
    };
    let limit = app.config().server.request_timeout();
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        Problem::new(Code::Timeout, format!("the request took longer than {} ms", limit.as_millis())).into_response()
    })
}

/// Returns the pattern of the route that a request matches; `-` for none.
fn route_of(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str)
}

/// Event streams last; health is asked for when all else is full.
fn is_exempt(route: &str) -> bool {
    matches!(route, "/v1/trajectories/{id}/events" | "/healthz" | "/readyz")
}

/// Returns the id of a request: the client's, or a new one.
fn request_id(app: &App, request: &Request) -> String {
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    match given {
        Some(id) if !id.is_empty() && id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic()) => {
            id.to_owned()
        }
        _ => app.pipeline().world().new_id(),
    }
}
