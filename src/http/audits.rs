//! `/v1/trajectories/{id}/audit`

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::App;
use super::extract::Path;
use super::pages::Body;
use super::problem::{Code, Problem, ProblemDocument};
use crate::pipeline::keys::Caller;
use crate::world::rfc3339;

/// What hindsight says of the contexts that a trajectory was served.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroundingAudit {
    /// The trajectory.
    trajectory: String,
    /// When it was looked back on.
    at: String,
    /// The hash of the code and configuration that did.
    maker: String,
    /// The line of reads, measures (`grounding`, `bound`, `first` and their like), what the lost values have in common
    /// (`lost`), and the newest lost values with place and cause (`losses`). docs/tuning.md tells of each.
    #[schema(value_type = Object)]
    audit: Value,
}

/// Returns the newest grounding audit of a trajectory. There are none unless `tuning.audit` is on.
#[utoipa::path(get, path = "/v1/trajectories/{id}/audit", tag = "trajectories", operation_id = "get_trajectory_audit",
    params(("id" = String, Path)),
    responses((status = 200, body = GroundingAudit), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_trajectory_audit(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Body<GroundingAudit>, Problem> {
    let row = app.pipeline().grounding_audit(&caller, &id).await?;
    let damaged = |_| Problem::new(Code::Internal, "a stored audit is damaged");
    let audit = serde_json::from_str(&row.record).map_err(damaged)?;
    Ok(Body(GroundingAudit { trajectory: id, at: rfc3339(row.at_ms), maker: row.maker, audit }))
}
