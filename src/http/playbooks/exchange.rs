//! Playbooks as files.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use recap_core::playbook::BulletId;
use recap_core::playbook::interchange::Format;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::PlaceParams;
use crate::http::App;
use crate::http::auth::Operator;
use crate::http::extract::{Json, Path, Query};
use crate::http::pages::{Body, json_bytes};
use crate::http::problem::{Problem, ProblemDocument};
use crate::pipeline::playbook::ImportReport;

/// A file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportPlaybook {
    /// `ace`, `kayba` or `markdown`.
    format: String,
    /// The file's text.
    text: String,
}

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImportAnswer {
    /// The playbook's version since.
    version: u64,
    /// How many bullets are new.
    imported: usize,
    /// New bullets, each with one that says the same; nothing is merged by itself.
    duplicates: Vec<[String; 2]>,
    /// By how many tokens the playbook is over its budget: nothing can be added until it fits.
    over_budget_tokens: u32,
    /// Ids of the file that could not be kept, each with what it became.
    renamed: Vec<[String; 2]>,
    /// Bullets that were there word for word.
    skipped: Vec<String>,
}

impl From<ImportReport> for ImportAnswer {
    fn from(report: ImportReport) -> Self {
        Self {
            version: report.version,
            imported: report.imported,
            duplicates: report.duplicates.iter().map(|pair| pair.each_ref().map(ToString::to_string)).collect(),
            over_budget_tokens: report.over_budget_tokens,
            renamed: report.renamed.into_iter().map(|(old, new)| [old, new.to_string()]).collect(),
            skipped: report.skipped.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Takes a file whole, whatever the budget. A playbook that is not there is made.
#[utoipa::path(post, path = "/v1/playbooks/{name}/import", tag = "playbooks", operation_id = "import_playbook",
    params(("name" = String, Path), PlaceParams), request_body = ImportPlaybook,
    responses((status = 200, body = ImportAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn import_playbook(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Query(params): Query<PlaceParams>,
    Json(body): Json<ImportPlaybook>,
) -> Result<Body<ImportAnswer>, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let format = format_of("/format", &body.format)?;
    Ok(Body(app.pipeline().import_playbook(&caller, key, format, body.text).await?.into()))
}

/// Which file is written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportParams {
    /// The namespace; the key's own, or `default`, where it is left out.
    namespace: Option<String>,
    /// `ace`, `kayba` or `markdown`; `ace` where it is left out.
    format: Option<String>,
    /// As it stood at this version.
    version: Option<u64>,
}

/// Writes a playbook as a file.
#[utoipa::path(get, path = "/v1/playbooks/{name}/export", tag = "playbooks", operation_id = "export_playbook",
    params(("name" = String, Path), ExportParams),
    responses((status = 200, body = String, content_type = "text/plain"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn export_playbook(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Query(params): Query<ExportParams>,
) -> Result<Response, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let format = params.format.map_or(Ok(Format::Ace), |format| format_of("format", &format))?;
    let playbook = app.pipeline().playbook(&key, params.version).await?.row.playbook;
    file(&app, playbook, None, format).await
}

/// Reads a format's name.
pub fn format_of(pointer: &str, name: &str) -> Result<Format, Problem> {
    name.parse()
        .map_err(|error: recap_core::playbook::interchange::FormatError| Problem::field(pointer, error.to_string()))
}

/// Answers with a file of a playbook, or of some of its bullets.
pub async fn file(
    app: &App,
    playbook: std::sync::Arc<recap_core::playbook::Playbook>,
    only: Option<Vec<BulletId>>,
    format: Format,
) -> Result<Response, Problem> {
    let text = app.pipeline().write_playbook(playbook, only, format).await?;
    let mut response = json_bytes(text);
    if format != Format::Kayba {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
    }
    Ok(response)
}
