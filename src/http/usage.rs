//! `/v1/usage`

use std::collections::BTreeMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::auth::Operator;
use super::errors::of_store;
use super::extract::Query;
use super::operations::reached;
use super::pages::Body;
use super::problem::{Problem, ProblemDocument};
use super::trajectories::millis;
use crate::store::{ModelUsage, UsageRow};
use crate::world::rfc3339;

const DAY_MS: i64 = 86_400_000;

/// Which days are summed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageParams {
    /// Only this namespace.
    namespace: Option<String>,
    /// From the day of this time (RFC 3339); 30 days ago where it is left out.
    since: Option<String>,
    /// Up to the day of this time; today where it is left out.
    until: Option<String>,
}

/// One agent's tokens on one day.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct UsageRecord {
    /// The day in UTC.
    day: String,
    namespace: String,
    /// The agent's name; empty for what was done for none.
    agent: String,
    /// Tokens of appended messages.
    tokens_in: u64,
    /// Tokens of served contexts.
    tokens_served: u64,
    /// What the same reads would have counted uncompressed, less what was served.
    tokens_saved: u64,
    /// Contexts served.
    reads: u64,
    /// Appends.
    appends: u64,
    /// Attempts at calls of models, failed ones included.
    model_calls: u64,
    /// Those that brought no reply.
    model_calls_failed: u64,
    /// Tokens that models read.
    prompt_tokens: u64,
    /// Tokens that models wrote.
    reply_tokens: u64,
    /// What the attempts with a known price cost, in millionths of a US dollar.
    cost_usd_micros: i64,
    /// Attempts whose cost is not known: the true cost is higher.
    unpriced: u64,
}

/// Usage by day, namespace and agent.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageList {
    usage: Vec<UsageRecord>,
    next_cursor: Option<String>,
}

type Days = BTreeMap<(i64, String, String), UsageRecord>;

/// Sums tokens in, served and saved, and calls of models with their cost, by agent and day.
#[utoipa::path(get, path = "/v1/usage", tag = "operations", operation_id = "list_usage",
    params(UsageParams),
    responses((status = 200, body = UsageList), (status = "default", body = ProblemDocument, content_type = "application/problem+json")))]
pub async fn list_usage(
    State(app): State<App>,
    Operator(caller): Operator,
    Query(params): Query<UsageParams>,
) -> Result<Body<UsageList>, Problem> {
    let namespace = reached(&caller, params.namespace)?;
    let now = app.pipeline().world().now_ms();
    let since = params.since.map_or(Ok(now - 30 * DAY_MS), |text| millis("since", &text))?;
    let until = params.until.map_or(Ok(now), |text| millis("until", &text))?;
    let (from, to) = (since.div_euclid(DAY_MS), until.div_euclid(DAY_MS) + 1);
    app.pipeline().write_usage().await.map_err(of_store)?;
    let store = app.pipeline().store();
    let mut days = Days::new();
    for row in store.usage(namespace.as_deref(), from, to).await.map_err(of_store)? {
        add_tokens(&mut days, row);
    }
    for row in store.model_usage(namespace.as_deref(), from, to).await.map_err(of_store)? {
        add_calls(&mut days, row);
    }
    Ok(Body(UsageList { usage: days.into_values().collect(), next_cursor: None }))
}

fn record(days: &mut Days, day: i64, namespace: String, agent: String) -> &mut UsageRecord {
    days.entry((day, namespace, agent)).or_insert_with_key(|(day, namespace, agent)| UsageRecord {
        day: rfc3339(day * DAY_MS).chars().take(10).collect(),
        namespace: namespace.clone(),
        agent: agent.clone(),
        ..UsageRecord::default()
    })
}

fn add_tokens(days: &mut Days, row: UsageRow) {
    let sum = record(days, row.day, row.namespace, row.agent);
    sum.tokens_in += row.tokens_in;
    sum.tokens_served += row.tokens_served;
    sum.tokens_saved += row.tokens_full.saturating_sub(row.tokens_served);
    sum.reads += row.reads;
    sum.appends += row.appends;
}

fn add_calls(days: &mut Days, row: ModelUsage) {
    let sum = record(days, row.day, row.namespace, row.agent);
    sum.model_calls += row.calls;
    sum.model_calls_failed += row.failed;
    sum.prompt_tokens += row.prompt_tokens;
    sum.reply_tokens += row.reply_tokens;
    sum.cost_usd_micros += row.cost_usd_micros;
    sum.unpriced += row.unpriced;
}
