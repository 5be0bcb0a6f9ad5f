//! Health, metrics, what this daemon is, and its audit log.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::Operator;
use super::extract::Query;
use super::pages::Body;
use super::problem::{Code, Problem, ProblemDocument};
use super::trajectories::page_limit;
use crate::pipeline::compress::Ready;
use crate::pipeline::keys::Caller;
use crate::world::rfc3339;

/// Tells that the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", operation_id = "get_health",
    responses((status = 200, body = Object)))]
pub async fn healthz() -> Body<Value> {
    Body(json!({ "status": "ok" }))
}

/// Tells whether the daemon can work: its store answers and has this version's schema, and it is not stopping.
///
/// `models` tells of each model whether it can be asked and, where it cannot, why. One that cannot changes nothing about
/// being ready: rules serve without it. An endpoint counts as ready until it is asked.
#[utoipa::path(get, path = "/readyz", tag = "operations", operation_id = "get_readiness",
    responses((status = 200, body = Object), (status = 503, body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn readyz(State(app): State<App>) -> Result<Body<Value>, Problem> {
    if app.stopping().is_cancelled() {
        return Err(Problem::new(Code::StoreUnavailable, "the daemon is stopping").with("retry_after_s", 5));
    }
    let health = app
        .pipeline()
        .store()
        .health()
        .await
        .map_err(|error| Problem::new(Code::StoreUnavailable, error.to_string()).with("retry_after_s", 5))?;
    if health.schema_version != health.latest_schema_version {
        let said = format!("the schema has version {}, not {}", health.schema_version, health.latest_schema_version);
        return Err(Problem::new(Code::StoreUnavailable, said).with("retry_after_s", 5));
    }
    let queue = app.pipeline().store().count_jobs().await.map_err(super::errors::of_store)?;
    let models: Vec<CompressorInfo> = compressors(&app).filter(|compressor| compressor.name != "rules").collect();
    Ok(Body(json!({
        "status": "ready",
        "store": { "engine": health.engine.name(), "version": health.engine_version },
        "migrations": health.schema_version,
        "models": models,
        "queue": queue,
    })))
}

/// Returns counters and histograms in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "get_metrics",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn metrics(State(app): State<App>, _: Operator) -> Response {
    app.metrics().run_upkeep();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics().render()).into_response()
}

/// What this daemon is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Info {
    /// Always `recapd`.
    name: &'static str,
    /// The daemon's version.
    version: &'static str,
    /// The wire contract's version.
    api: &'static str,
    /// What it can do.
    features: Vec<&'static str>,
    /// Its compressors.
    compressors: Vec<CompressorInfo>,
    /// The guideline sets.
    guidelines: Vec<GuidelineSetInfo>,
    /// The database.
    engine: &'static str,
}

/// A compressor.
#[derive(Debug, Serialize, ToSchema)]
pub struct CompressorInfo {
    /// `rules`, or kind and model, as in `llm:name`.
    name: String,
    /// Whether it can work now. An endpoint counts as ready until it is asked.
    ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

fn compressors(app: &App) -> impl Iterator<Item = CompressorInfo> {
    let ready = app.pipeline().compressors().ready().into_iter();
    ready.map(|Ready { name, ready, why }| CompressorInfo { name, ready, why })
}

/// A guideline set.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuidelineSetInfo {
    /// Its name.
    set: String,
    /// The hash of the guideline for single tool results.
    observation: String,
    /// The hash of the guideline for past turns.
    history: String,
}

/// Tells version, features, compressors and guideline sets.
#[utoipa::path(get, path = "/v1/info", tag = "operations", operation_id = "get_info",
    responses((status = 200, body = Info), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_info(State(app): State<App>, _: Caller) -> Body<Info> {
    let guidelines = app.pipeline().guidelines().all().into_iter().map(|(name, set)| GuidelineSetInfo {
        set: name,
        observation: set.observation.hash.to_string(),
        history: set.history.hash.to_string(),
    });
    Body(Info {
        name: "recapd",
        version: env!("CARGO_PKG_VERSION"),
        api: "v1",
        features: vec!["trajectories", "context", "compress", "originals", "search", "events", "keys"],
        compressors: compressors(&app).collect(),
        guidelines: guidelines.collect(),
        engine: app.pipeline().store().engine().name(),
    })
}

/// Which entries are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditParams {
    /// Only this namespace.
    namespace: Option<String>,
    /// At most this many, up to 200; 50 where it is left out.
    limit: Option<usize>,
    /// Where the page starts: `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A change by a person or a program.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditRecord {
    at: String,
    namespace: Option<String>,
    actor: String,
    action: String,
    subject: String,
    #[schema(value_type = Option<Object>)]
    detail: Option<Value>,
}

/// A page of the audit log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    audit: Vec<AuditRecord>,
    /// Where the next page starts; absent on the last one.
    next_cursor: Option<String>,
}

/// Lists changes by persons and programs, newest first.
#[utoipa::path(get, path = "/v1/audit", tag = "operations", operation_id = "list_audit",
    params(AuditParams),
    responses((status = 200, body = AuditList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_audit(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(params): Query<AuditParams>,
) -> Result<Body<AuditList>, Problem> {
    let namespace = reached(&caller, params.namespace)?;
    let limit = page_limit(params.limit)?;
    let store = app.pipeline().store();
    let page = store
        .list_audit(namespace.as_deref(), params.cursor.as_deref(), limit)
        .await
        .map_err(super::errors::of_store)?;
    let audit = page
        .entries
        .into_iter()
        .map(|entry| AuditRecord {
            at: rfc3339(entry.at_ms),
            namespace: entry.namespace,
            actor: entry.actor,
            action: entry.action,
            subject: entry.subject,
            detail: entry.detail,
        })
        .collect();
    Ok(Body(AuditList { audit, next_cursor: page.next_cursor }))
}

/// Returns the namespace that a list is held to.
///
/// # Errors
///
/// `forbidden` for a namespace that the caller's key does not reach.
pub fn reached(caller: &Caller, asked: Option<String>) -> Result<Option<String>, Problem> {
    match (&caller.namespace, asked) {
        (None, asked) => Ok(asked),
        (Some(own), None) => Ok(Some(own.clone())),
        (Some(own), Some(asked)) if *own == asked => Ok(Some(asked)),
        (Some(_), Some(asked)) => Err(crate::pipeline::failure::Failure::Namespace(asked).into()),
    }
}
