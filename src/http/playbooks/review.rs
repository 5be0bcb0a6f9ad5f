//! Changes that wait, settings, what changed, and the way back.

use axum::extract::State;
use recap_core::playbook::{Operation, Revision, Source};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::records::PlaybookSummary;
use super::{PageParams, PlaceParams};
use crate::http::App;
use crate::http::auth::Operator;
use crate::http::extract::{Json, Path, Query};
use crate::http::pages::Body;
use crate::http::problem::{Problem, ProblemDocument};
use crate::http::trajectories::{page_limit, told};
use crate::pipeline::keys::Caller;
use crate::pipeline::playbook::{DeltaOutcome, Verdict};
use crate::store::{PlaybookPatch, PlaybookReview};
use crate::world::rfc3339;

/// A change that waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewRecord {
    id: String,
    at: String,
    actor: String,
    /// As in the log.
    #[schema(value_type = Object)]
    source: Source,
    /// As they were asked for: new bullets get their ids when they are accepted.
    #[schema(value_type = Vec<Object>)]
    operations: Vec<Operation>,
    /// Why it waits.
    reasons: Vec<String>,
}

impl From<PlaybookReview> for ReviewRecord {
    fn from(review: PlaybookReview) -> Self {
        Self {
            id: review.id,
            at: rfc3339(review.at_ms),
            actor: review.actor,
            source: review.source,
            operations: review.operations,
            reasons: review.reasons,
        }
    }
}

/// A page of changes that wait, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewList {
    review: Vec<ReviewRecord>,
    /// Where the next page starts; null on the last one.
    next_cursor: Option<String>,
}

/// Lists the changes of a playbook that wait, oldest first.
#[utoipa::path(get, path = "/v1/playbooks/{name}/review", tag = "playbooks", operation_id = "list_playbook_reviews",
    params(("name" = String, Path), PageParams),
    responses((status = 200, body = ReviewList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_playbook_reviews(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(params): Query<PageParams>,
) -> Result<Body<ReviewList>, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let limit = page_limit(params.limit)?;
    let page = app.pipeline().playbook_reviews(&key, params.cursor.as_deref(), limit).await?;
    let review = page.reviews.into_iter().map(ReviewRecord::from).collect();
    Ok(Body(ReviewList { review, next_cursor: page.next_cursor }))
}

/// Somebody's word: `decision`, or `accept` or `reject` set to true.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideReview {
    /// `accept` or `reject`.
    #[schema(value_type = Option<String>)]
    decision: Option<DecisionBody>,
    #[serde(default)]
    accept: bool,
    #[serde(default)]
    reject: bool,
}

/// A decision by name.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionBody {
    /// It is applied.
    Accept,
    /// It is not.
    Reject,
}

impl DecideReview {
    fn verdict(&self) -> Result<Verdict, Problem> {
        let accepted = self.accept || matches!(self.decision, Some(DecisionBody::Accept));
        let rejected = self.reject || matches!(self.decision, Some(DecisionBody::Reject));
        match (accepted, rejected) {
            (true, false) => Ok(Verdict::Accept),
            (false, true) => Ok(Verdict::Reject),
            _ => Err(Problem::field("/decision", "expected `accept` or `reject`")),
        }
    }
}

/// What was decided.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionAnswer {
    /// The playbook's version since, where the change was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// The operations with the ids of new bullets.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    applied: Option<Vec<Operation>>,
}

/// Accepts or rejects a change that waits. One that no longer applies waits on.
#[utoipa::path(post, path = "/v1/playbooks/{name}/review/{id}", tag = "playbooks", operation_id = "decide_playbook_review",
    params(("name" = String, Path), ("id" = String, Path), PlaceParams), request_body = DecideReview,
    responses((status = 200, body = DecisionAnswer),
        (status = 409, description = "It no longer applies", body = ProblemDocument, content_type = "application/problem+json"),
        (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn decide_playbook_review(
    State(app): State<App>,
    Operator(caller): Operator,
    Path((name, id)): Path<(String, String)>,
    Query(params): Query<PlaceParams>,
    Json(body): Json<DecideReview>,
) -> Result<Body<DecisionAnswer>, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let outcome = app.pipeline().decide_review(&caller, key, &id, body.verdict()?).await?;
    let (version, applied) = match outcome {
        Some(DeltaOutcome::Applied(applied)) => (Some(applied.version), Some(applied.operations)),
        Some(DeltaOutcome::Waits { .. }) | None => (None, None),
    };
    Ok(Body(DecisionAnswer { version, applied }))
}

/// A playbook's own settings; null leaves one to the configuration.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "left out, null and a value mean three things")]
pub struct PatchPlaybook {
    /// Most tokens, 100 to 1000000.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<u32>)]
    budget: Option<Option<u32>>,
    /// Whether changes of words wait until somebody accepts them.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<bool>)]
    review: Option<Option<bool>>,
}

/// Changes a playbook's settings.
#[utoipa::path(patch, path = "/v1/playbooks/{name}", tag = "playbooks", operation_id = "patch_playbook",
    params(("name" = String, Path), PlaceParams), request_body = PatchPlaybook,
    responses((status = 200, body = PlaybookSummary), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn patch_playbook(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Query(params): Query<PlaceParams>,
    Json(body): Json<PatchPlaybook>,
) -> Result<Body<PlaybookSummary>, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let patch = PlaybookPatch { budget: body.budget, review: body.review };
    Ok(Body(app.pipeline().patch_playbook(&caller, key, patch).await?.into()))
}

/// Where to go back to.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RevertParams {
    /// The namespace; the key's own, or `default`, where it is left out.
    namespace: Option<String>,
    /// The version whose bullets, sections and counters come back.
    to: u64,
}

/// The playbook's version since.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionAnswer {
    version: u64,
}

/// Makes a playbook what it was at an earlier version. The log keeps what was since.
#[utoipa::path(post, path = "/v1/playbooks/{name}/revert", tag = "playbooks", operation_id = "revert_playbook",
    params(("name" = String, Path), RevertParams),
    responses((status = 200, body = VersionAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn revert_playbook(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(name): Path<String>,
    Query(params): Query<RevertParams>,
) -> Result<Body<VersionAnswer>, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let version = app.pipeline().revert_playbook(&caller, key, params.to).await?;
    Ok(Body(VersionAnswer { version }))
}

/// Which versions are compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlaybookDiffParams {
    /// The namespace; the key's own, or `default`, where it is left out.
    namespace: Option<String>,
    /// The older version; the one before `to` where it is left out.
    from: Option<u64>,
    /// The newer version; the newest where it is left out.
    to: Option<u64>,
}

/// What changed from one version to another.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaybookDiffAnswer {
    from: u64,
    to: u64,
    changes: Vec<RevisionRecord>,
    /// The texts' unified diff; empty where nothing changed.
    text: String,
}

/// A bullet's words before and after; null where it was not there.
#[derive(Debug, Serialize, ToSchema)]
pub struct RevisionRecord {
    id: String,
    before: Option<WordsRecord>,
    after: Option<WordsRecord>,
}

/// A bullet's words.
#[derive(Debug, Serialize, ToSchema)]
pub struct WordsRecord {
    section: String,
    content: String,
}

impl From<Revision> for RevisionRecord {
    fn from(revision: Revision) -> Self {
        let words = |(section, content): (std::sync::Arc<str>, std::sync::Arc<str>)| WordsRecord {
            section: section.to_string(),
            content: content.to_string(),
        };
        Self { id: revision.id.to_string(), before: revision.before.map(words), after: revision.after.map(words) }
    }
}

/// Compares two versions of a playbook.
#[utoipa::path(get, path = "/v1/playbooks/{name}/diff", tag = "playbooks", operation_id = "diff_playbook",
    params(("name" = String, Path), PlaybookDiffParams),
    responses((status = 200, body = PlaybookDiffAnswer), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn diff_playbook(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    Query(params): Query<PlaybookDiffParams>,
) -> Result<Body<PlaybookDiffAnswer>, Problem> {
    let key = app.pipeline().playbook_key(&caller, params.namespace.as_deref(), &name)?;
    let ([from, to], diff) = app.pipeline().diff_playbook(&key, params.from, params.to).await?;
    let changes = diff.revisions.into_iter().map(RevisionRecord::from).collect();
    Ok(Body(PlaybookDiffAnswer { from, to, changes, text: diff.text }))
}
