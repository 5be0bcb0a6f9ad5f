//! How bullets served, which say the same, which should go.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use recap_core::playbook::{Credit, Duplicate, Prunable};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operation::Events;
use super::records::BulletRecord;
use super::{PlaceParams, WaitAnswer, waiting};
use crate::http::App;
use crate::http::extract::{Json, Path, Query};
use crate::http::pages::Body;
use crate::http::problem::{Code, Problem, ProblemDocument};
use crate::pipeline::keys::{Caller, KeyScope};
use crate::pipeline::playbook::{Dedupe, Feedback, Pruned, Removals};

/// How a bullet served: at least one of the three.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostFeedback {
    helpful: Option<Events>,
    harmful: Option<Events>,
    neutral: Option<Events>,
    /// The run that it is said of: deleting it takes the word back.
    trajectory: Option<String>,
}

/// A bullet as it is counted now.
#[derive(Debug, Serialize, ToSchema)]
pub struct FeedbackAnswer {
    /// The playbook's version since.
    version: u64,
    bullet: BulletRecord,
}

/// Counts somebody's word on how a bullet served.
#[utoipa::path(post, path = "/v1/playbooks/{name}/bullets/{id}/feedback", tag = "playbooks", operation_id = "credit_bullet",
    params(("name" = String, Path), ("id" = String, Path), PlaceParams), request_body = PostFeedback,
    responses((status = 200, body = FeedbackAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn credit_bullet(
    State(app): State<App>,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
    Query(params): Query<PlaceParams>,
    Json(body): Json<PostFeedback>,
) -> Result<Body<FeedbackAnswer>, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let said = [(Credit::Helpful, body.helpful), (Credit::Harmful, body.harmful), (Credit::Neutral, body.neutral)];
    let said = said.into_iter().filter_map(|(credit, events)| Some((credit, events?.count())));
    let events = said.filter(|(_, count)| *count != 0).collect();
    let feedback = Feedback { events, trajectory: body.trajectory };
    let (version, bullet) = app.pipeline().credit_bullet(&caller, key, &id, feedback).await?;
    Ok(Body(FeedbackAnswer { version, bullet: bullet.into() }))
}

/// Two bullets that say the same.
#[derive(Debug, Serialize, ToSchema)]
pub struct DuplicateRecord {
    /// In the playbook's order.
    ids: [String; 2],
    /// `exact`, `normalised`, `lexical` or `embedding`.
    how: &'static str,
    /// How much, to 1: Dice coefficient or cosine.
    score: f32,
}

impl From<&Duplicate> for DuplicateRecord {
    fn from(duplicate: &Duplicate) -> Self {
        let ids = duplicate.ids.each_ref().map(ToString::to_string);
        Self { ids, how: duplicate.how.name(), score: duplicate.score }
    }
}

/// Bullets that say the same, strongest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct DuplicateList {
    duplicates: Vec<DuplicateRecord>,
}

/// Lists bullets that say the same. Nothing is merged by itself.
#[utoipa::path(get, path = "/v1/playbooks/{name}/duplicates", tag = "playbooks", operation_id = "list_playbook_duplicates",
    params(("name" = String, Path), PlaceParams),
    responses((status = 200, body = DuplicateList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_playbook_duplicates(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(params): Query<PlaceParams>,
) -> Result<Body<DuplicateList>, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let duplicates = app.pipeline().playbook_duplicates(&key).await?;
    Ok(Body(DuplicateList { duplicates: duplicates.iter().map(DuplicateRecord::from).collect() }))
}

/// Whether duplicates are merged, and which.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DedupePlaybook {
    /// Whether they are merged; otherwise they are only shown. Needs scope operator.
    #[serde(default)]
    apply: bool,
    /// Only those with at least this score, 0 to 1.
    #[serde(default)]
    at_least: f32,
    /// Whether more than 30 in 100 bullets may go at once.
    #[serde(default)]
    allow_collapse: bool,
}

/// Duplicates, and what became of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct DedupeAnswer {
    duplicates: Vec<DuplicateRecord>,
    /// The playbook's version since, where something was merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// How many bullets went into others.
    merged: usize,
}

/// Shows or merges bullets that say the same; merges wait where changes of words do. A revert undoes it.
#[utoipa::path(post, path = "/v1/playbooks/{name}/dedupe", tag = "playbooks", operation_id = "dedupe_playbook",
    params(("name" = String, Path), PlaceParams), request_body = DedupePlaybook,
    responses((status = 200, body = DedupeAnswer), (status = 202, description = "The merges wait for review", body = WaitAnswer),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn dedupe_playbook(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(params): Query<PlaceParams>,
    Json(body): Json<DedupePlaybook>,
) -> Result<Response, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    if !(0.0..=1.0).contains(&body.at_least) {
        return Err(Problem::field("/at_least", "must be from 0 to 1"));
    }
    if !body.apply {
        let duplicates = app.pipeline().playbook_duplicates(&key).await?;
        let chosen = duplicates.iter().filter(|duplicate| duplicate.score >= body.at_least);
        let duplicates = chosen.map(DuplicateRecord::from).collect();
        return Ok(Body(DedupeAnswer { duplicates, version: None, merged: 0 }).into_response());
    }
    needs_operator(&caller)?;
    let dedupe = Dedupe { at_least: body.at_least, removals: removals(body.allow_collapse) };
    let done = app.pipeline().dedupe_playbook(&caller, key, dedupe).await?;
    if let Some(waits) = done.waits {
        return Ok(waiting(waits));
    }
    let duplicates = done.duplicates.iter().map(DuplicateRecord::from).collect();
    Ok(Body(DedupeAnswer { duplicates, version: done.version, merged: done.merged }).into_response())
}

/// Whether bullets that should go are removed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PrunePlaybook {
    /// Whether they are removed; otherwise they are only shown. Needs scope operator.
    #[serde(default)]
    apply: bool,
    /// Whether more than 30 in 100 bullets may go at once.
    #[serde(default)]
    allow_collapse: bool,
}

/// A bullet that should go, and the numbers that say so. Nothing inferred counts.
#[derive(Debug, Serialize, ToSchema)]
pub struct PruneRecord {
    id: String,
    /// `helpful-share`: of 5 uses or more, the helpful share is below 0.4 even at `bound`. `harmful-surplus`: it harmed at
    /// least 3 times more than it helped.
    rule: &'static str,
    helpful: u64,
    harmful: u64,
    /// The upper bound of the helpful share's 95 % interval (Wilson).
    bound: f64,
}

impl From<&Prunable> for PruneRecord {
    fn from(bullet: &Prunable) -> Self {
        Self {
            id: bullet.id.to_string(),
            rule: bullet.rule.name(),
            helpful: bullet.helpful,
            harmful: bullet.harmful,
            bound: bullet.bound,
        }
    }
}

/// Bullets that should go, and what became of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct PruneAnswer {
    candidates: Vec<PruneRecord>,
    /// The playbook's version since, where something was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// How many were removed.
    deleted: usize,
}

/// Shows or removes bullets that did harm or no good; removals wait where changes of words do. A revert undoes it.
#[utoipa::path(post, path = "/v1/playbooks/{name}/prune", tag = "playbooks", operation_id = "prune_playbook",
    params(("name" = String, Path), PlaceParams), request_body = PrunePlaybook,
    responses((status = 200, body = PruneAnswer), (status = 202, description = "The removals wait for review", body = WaitAnswer),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn prune_playbook(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(params): Query<PlaceParams>,
    Json(body): Json<PrunePlaybook>,
) -> Result<Response, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let pruned = if body.apply {
        needs_operator(&caller)?;
        app.pipeline().prune_playbook(&caller, key, removals(body.allow_collapse)).await?
    } else {
        let candidates = app.pipeline().prunable_bullets(&key).await?;
        Pruned { candidates, version: None, deleted: 0, waits: None }
    };
    if let Some(waits) = pruned.waits {
        return Ok(waiting(waits));
    }
    let candidates = pruned.candidates.iter().map(PruneRecord::from).collect();
    Ok(Body(PruneAnswer { candidates, version: pruned.version, deleted: pruned.deleted }).into_response())
}

fn removals(allow_collapse: bool) -> Removals {
    if allow_collapse { Removals::Any } else { Removals::Few }
}

fn needs_operator(caller: &Caller) -> Result<(), Problem> {
    if caller.may(KeyScope::Operator) {
        return Ok(());
    }
    Err(Problem::new(Code::Forbidden, format!("the key's scope is {}, `apply` needs operator", caller.scope.as_str())))
}
