//! `/v1/guidelines`: what steers compression, its versions, trials and activation.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use recap_core::trajectory::OriginalHash;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::Operator;
use super::extract::{Json, Path, Query};
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use crate::config::Compressor;
use crate::pipeline::guidelines::{Activation, Attempt, Draft, GuidelineState, Outcome, Trial};
use crate::pipeline::keys::Caller;
use crate::store::{GuidelineEvent, GuidelineVersion};
use crate::world::rfc3339;

/// A guideline as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuidelineRecord {
    set: String,
    /// `observation`, `history`, `reflect`, `curate`, `analyse` or `propose`.
    kind: String,
    /// The hash of the version that steers; null while nothing was activated.
    champion: Option<String>,
    /// The version on trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<CanaryRecord>,
    /// Hashes of versions that never steered, newest first.
    drafts: Vec<String>,
}

/// A version on trial.
#[derive(Debug, Serialize, ToSchema)]
pub struct CanaryRecord {
    hash: String,
    /// The share of trajectories that it steers, above 0 and at most 1.
    share: f64,
}

impl From<GuidelineState> for GuidelineRecord {
    fn from(state: GuidelineState) -> Self {
        Self {
            set: state.set,
            kind: state.kind.name().to_owned(),
            champion: state.champion.map(|hash| hash.to_string()),
            canary: state.canary.map(|(hash, share)| CanaryRecord { hash: hash.to_string(), share }),
            drafts: state.drafts.iter().map(ToString::to_string).collect(),
        }
    }
}

/// All guidelines.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuidelineList {
    guidelines: Vec<GuidelineRecord>,
    /// Files and stored versions that cannot be used; what steered before goes on.
    faults: Vec<String>,
    next_cursor: Option<String>,
}

/// Lists all guidelines by set and kind.
#[utoipa::path(get, path = "/v1/guidelines", tag = "guidelines", operation_id = "list_guidelines",
    responses((status = 200, body = GuidelineList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_guidelines(State(app): State<App>, _: Caller) -> Result<Body<GuidelineList>, Problem> {
    let states = app.pipeline().list_guidelines().await?;
    let guidelines = states.into_iter().map(GuidelineRecord::from).collect();
    Ok(Body(GuidelineList { guidelines, faults: app.pipeline().guidelines().faults(), next_cursor: None }))
}

/// A guideline with what happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct GuidelineAnswer {
    #[serde(flatten)]
    guideline: GuidelineRecord,
    /// What happened to it, newest first.
    events: Vec<EventRecord>,
}

/// A step in a guideline's life.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventRecord {
    at: String,
    actor: String,
    /// `activate`, `canary`, `rollback` or `file`.
    action: String,
    from: Option<String>,
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary_share: Option<f64>,
}

impl From<GuidelineEvent> for EventRecord {
    fn from(event: GuidelineEvent) -> Self {
        Self {
            at: rfc3339(event.at_ms),
            actor: event.actor,
            action: event.action,
            from: event.from.map(|hash| hash.to_string()),
            to: event.to.map(|hash| hash.to_string()),
            canary_share: (event.canary_ppm > 0).then(|| f64::from(event.canary_ppm) / 1e6),
        }
    }
}

/// Returns one guideline and what happened to it.
#[utoipa::path(get, path = "/v1/guidelines/{set}/{kind}", tag = "guidelines", operation_id = "get_guideline",
    params(("set" = String, Path), ("kind" = String, Path)),
    responses((status = 200, body = GuidelineAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_guideline(
    State(app): State<App>,
    _: Caller,
    Path((set, kind)): Path<(String, String)>,
) -> Result<Body<GuidelineAnswer>, Problem> {
    let guideline = app.pipeline().guideline(&set, &kind).await?.into();
    let events = app.pipeline().guideline_events(&set, &kind).await?;
    Ok(Body(GuidelineAnswer { guideline, events: events.into_iter().map(EventRecord::from).collect() }))
}

/// A version of a guideline.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionRecord {
    set: String,
    kind: String,
    hash: String,
    /// The text; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    note: Option<String>,
    /// Where it came from: `shipped`, `file`, `api` or `tuning`.
    origin: String,
    actor: String,
    created_at: String,
}

impl VersionRecord {
    fn of(version: GuidelineVersion) -> Self {
        Self {
            set: version.key.set,
            kind: version.key.kind,
            hash: version.hash.to_string(),
            text: Some(version.text),
            note: version.note,
            origin: version.origin,
            actor: version.actor,
            created_at: rfc3339(version.created_ms),
        }
    }
}

/// A guideline's versions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionList {
    versions: Vec<VersionRecord>,
    next_cursor: Option<String>,
}

/// Lists a guideline's versions, newest first, without their texts.
#[utoipa::path(get, path = "/v1/guidelines/{set}/{kind}/versions", tag = "guidelines", operation_id = "list_guideline_versions",
    params(("set" = String, Path), ("kind" = String, Path)),
    responses((status = 200, body = VersionList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_guideline_versions(
    State(app): State<App>,
    _: Caller,
    Path((set, kind)): Path<(String, String)>,
) -> Result<Body<VersionList>, Problem> {
    let versions = app.pipeline().guideline_versions(&set, &kind).await?;
    let versions = versions.into_iter().map(|version| VersionRecord { text: None, ..VersionRecord::of(version) });
    Ok(Body(VersionList { versions: versions.collect(), next_cursor: None }))
}

/// Returns one version with its text.
#[utoipa::path(get, path = "/v1/guidelines/{set}/{kind}/versions/{hash}", tag = "guidelines", operation_id = "get_guideline_version",
    params(("set" = String, Path), ("kind" = String, Path), ("hash" = String, Path)),
    responses((status = 200, body = VersionRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn get_guideline_version(
    State(app): State<App>,
    _: Caller,
    Path((set, kind, hash)): Path<(String, String, String)>,
) -> Result<Body<VersionRecord>, Problem> {
    let version = app.pipeline().guideline_version(&set, &kind, &hash_of("hash", &hash)?).await?;
    Ok(Body(VersionRecord::of(version)))
}

/// Which versions are compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffParams {
    /// The hash of the older version; the champion where it is left out.
    from: Option<String>,
    /// The hash of the newer version; the champion where it is left out.
    to: Option<String>,
}

/// What changes from one version to another.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiffAnswer {
    from: String,
    to: String,
    /// A unified diff; empty where nothing changes.
    diff: String,
}

/// Compares two versions.
#[utoipa::path(get, path = "/v1/guidelines/{set}/{kind}/diff", tag = "guidelines", operation_id = "diff_guideline",
    params(("set" = String, Path), ("kind" = String, Path), DiffParams),
    responses((status = 200, body = DiffAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn diff_guideline(
    State(app): State<App>,
    _: Caller,
    Path((set, kind)): Path<(String, String)>,
    Query(params): Query<DiffParams>,
) -> Result<Body<DiffAnswer>, Problem> {
    let champion = app.pipeline().guideline(&set, &kind).await?.champion;
    let named = |name: &str, hash: Option<String>| match (hash, champion) {
        (Some(hash), _) => hash_of(name, &hash),
        (None, Some(champion)) => Ok(champion),
        (None, None) => Err(Problem::field(name, "there is no champion: name a version")),
    };
    let (from, to) = (named("from", params.from)?, named("to", params.to)?);
    let diff = app.pipeline().guideline_diff(&set, &kind, [from, to]).await?;
    Ok(Body(DiffAnswer { from: from.to_string(), to: to.to_string(), diff }))
}

/// A version that is to be saved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutGuideline {
    /// Front matter and body.
    text: String,
    /// What is to be said of it.
    note: Option<String>,
}

/// Checks a version and saves it as a draft; nothing is steered by it until it is activated.
#[utoipa::path(put, path = "/v1/guidelines/{set}/{kind}", tag = "guidelines", operation_id = "put_guideline",
    params(("set" = String, Path), ("kind" = String, Path)), request_body = PutGuideline,
    responses((status = 201, body = VersionRecord), (status = 200, description = "The text was stored before", body = VersionRecord),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn put_guideline(
    State(app): State<App>,
    Operator(caller): Operator,
    Path((set, kind)): Path<(String, String)>,
    Json(body): Json<PutGuideline>,
) -> Result<Response, Problem> {
    let draft = Draft { text: body.text, note: body.note, origin: "api" };
    let (version, is_new) = app.pipeline().draft_guideline(&caller, &set, &kind, draft).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Body(VersionRecord::of(version))).into_response())
}

/// What is to be tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TryGuideline {
    /// The text of the version.
    text: Option<String>,
    /// Or the hash of a stored one; the champion where neither is told.
    hash: Option<String>,
    /// The stored trajectory.
    trajectory: String,
    /// First and last turn; all where they are left out.
    turns: Option<[u32; 2]>,
    /// For an observation: the number of its message; the largest one where it is left out.
    observation: Option<usize>,
    /// Most tokens; the trajectory's budget, or half of the observation's tokens, where it is left out.
    budget: Option<u32>,
    /// `rules`, `extract` or `llm`; `rules` where it is left out. Models have three quarters of
    /// `server.request_timeout_ms`.
    #[schema(value_type = Option<String>)]
    compressor: Option<Compressor>,
}

/// What two versions make of the same source.
#[derive(Debug, Serialize, ToSchema)]
pub struct TryAnswer {
    /// The compressor that wrote both.
    compressor: &'static str,
    /// Most tokens: of the whole context for a history, of the text for an observation.
    budget: u32,
    /// The number of the message whose result was shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<usize>,
    /// What the champion makes; null where there is none.
    champion: Option<TryOutcome>,
    /// What the version makes.
    candidate: TryOutcome,
}

/// What one version makes.
#[derive(Debug, Serialize, ToSchema)]
pub struct TryOutcome {
    /// Set, kind and hash of the version.
    guideline: String,
    /// First and last turn that the text stands for; null where all fits as it is.
    turns: Option<[u32; 2]>,
    /// The compressed text; empty where all fits as it is.
    text: String,
    tokens: u32,
    /// Tokens of what it stands for.
    full_tokens: u32,
    facts: TryFacts,
    /// Why models made nothing, or not all of it: there rules did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<String>,
}

/// The values of the source in the compressed text.
#[derive(Debug, Serialize, ToSchema)]
pub struct TryFacts {
    /// How many it has.
    kept: usize,
    /// How many it lacks.
    lost: usize,
    /// The first 50 that it has.
    kept_values: Vec<String>,
    /// The first 50 that it lacks.
    lost_values: Vec<String>,
}

impl From<Outcome> for TryOutcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            guideline: outcome.guideline,
            turns: outcome.turns,
            text: outcome.text,
            tokens: outcome.tokens,
            full_tokens: outcome.full_tokens,
            facts: TryFacts {
                kept: outcome.facts_kept,
                lost: outcome.facts_lost,
                kept_values: outcome.kept,
                lost_values: outcome.lost,
            },
            failed: outcome.failed,
        }
    }
}

/// Shows what a version would make of a stored trajectory, beside the champion's. Nothing is stored; calls of models
/// stand in the ledger.
#[utoipa::path(post, path = "/v1/guidelines/{set}/{kind}/try", tag = "guidelines", operation_id = "try_guideline",
    params(("set" = String, Path), ("kind" = String, Path)), request_body = TryGuideline,
    responses((status = 200, body = TryAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn try_guideline(
    State(app): State<App>,
    Operator(caller): Operator,
    Path((set, kind)): Path<(String, String)>,
    Json(body): Json<TryGuideline>,
) -> Result<Body<TryAnswer>, Problem> {
    let attempt = Attempt {
        trajectory: body.trajectory,
        text: body.text,
        hash: body.hash.map(|hash| hash_of("/hash", &hash)).transpose()?,
        turns: body.turns,
        observation: body.observation,
        budget: body.budget,
        compressor: body.compressor,
    };
    let trial: Trial = app.pipeline().try_guideline(&caller, &set, &kind, attempt).await?;
    Ok(Body(TryAnswer {
        compressor: trial.compressor,
        budget: trial.budget,
        observation: trial.observation,
        champion: trial.champion.map(TryOutcome::from),
        candidate: trial.candidate.into(),
    }))
}

/// A version that is to steer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivateGuideline {
    /// The version's hash.
    hash: String,
    /// The champion's hash as the caller knows it; null where there is none.
    expected_champion: Option<String>,
    /// On trial for this share of trajectories, above 0 and at most 1; as the champion where it is left out.
    canary_share: Option<f64>,
}

/// Makes a version the champion, or puts it on trial for a share of trajectories.
#[utoipa::path(post, path = "/v1/guidelines/{set}/{kind}/activate", tag = "guidelines", operation_id = "activate_guideline",
    params(("set" = String, Path), ("kind" = String, Path)), request_body = ActivateGuideline,
    responses((status = 200, body = GuidelineRecord),
        (status = 412, description = "The champion is another one", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn activate_guideline(
    State(app): State<App>,
    Operator(caller): Operator,
    Path((set, kind)): Path<(String, String)>,
    Json(body): Json<ActivateGuideline>,
) -> Result<Body<GuidelineRecord>, Problem> {
    let activation = Activation {
        hash: hash_of("/hash", &body.hash)?,
        expected_champion: body.expected_champion.map(|hash| hash_of("/expected_champion", &hash)).transpose()?,
        canary_share: body.canary_share,
    };
    Ok(Body(app.pipeline().activate_guideline(&caller, &set, &kind, activation).await?.into()))
}

/// Ends the trial; without one the champion before this one comes back.
#[utoipa::path(post, path = "/v1/guidelines/{set}/{kind}/rollback", tag = "guidelines", operation_id = "roll_back_guideline",
    params(("set" = String, Path), ("kind" = String, Path)),
    responses((status = 200, body = GuidelineRecord), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn roll_back_guideline(
    State(app): State<App>,
    Operator(caller): Operator,
    Path((set, kind)): Path<(String, String)>,
) -> Result<Body<GuidelineRecord>, Problem> {
    Ok(Body(app.pipeline().roll_back_guideline(&caller, &set, &kind).await?.into()))
}

fn hash_of(pointer: &str, text: &str) -> Result<OriginalHash, Problem> {
    text.parse().map_err(|_| Problem::field(pointer, "not a version's hash: `b3:` and 64 hexadecimal digits"))
}
