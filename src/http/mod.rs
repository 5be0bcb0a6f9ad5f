//! The wire: routes, problem documents, `OpenAPI`. Imports `app` and `pipeline`; never the store's SQL.

mod audits;
mod auth;
mod compress;
mod context;
mod distillations;
mod errors;
mod events;
mod extract;
mod frame;
mod jobs;
mod guidelines;
mod heads;
mod keys;
mod messages;
mod model_calls;
mod openapi;
mod operations;
mod originals;
mod pages;
mod pairs;
mod playbooks;
mod problem;
mod records;
mod trajectories;
mod tuning;
mod usage;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use crate::app::App;
pub use context::answer_text as context_answer;
pub use openapi::text as openapi_text;
pub use problem::{Code, Problem};

/// Returns the daemon's routes.
pub fn router(app: App) -> Router {
    let (router, _) = routes_and_document().split_for_parts();
    router
        .method_not_allowed_fallback(pages::method_not_allowed)
        .fallback(pages::not_found)
        .layer(middleware::from_fn_with_state(app.clone(), auth::authenticate))
        .layer(middleware::from_fn_with_state(app.clone(), frame::frame))
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

fn routes_and_document() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(trajectories::create_trajectory, trajectories::list_trajectories))
        .routes(routes!(trajectories::get_trajectory, trajectories::patch_trajectory, trajectories::delete_trajectory))
        .routes(routes!(trajectories::fork_trajectory))
        .routes(routes!(trajectories::note_outcome))
        .routes(routes!(audits::get_trajectory_audit))
        .routes(routes!(messages::append_messages, messages::list_messages))
        .routes(routes!(messages::pin_message, messages::unpin_message))
        .routes(routes!(context::get_context, context::post_context))
        .routes(routes!(context::list_epochs))
        .routes(routes!(context::get_epoch))
        .routes(routes!(context::restore_epoch))
        .routes(routes!(context::compact_trajectory))
        .routes(routes!(events::stream_events))
        .routes(routes!(compress::compress_messages))
        .routes(routes!(originals::get_original))
        .routes(routes!(originals::search_originals))
        .routes(routes!(guidelines::list_guidelines))
        .routes(routes!(guidelines::get_guideline, guidelines::put_guideline))
        .routes(routes!(guidelines::list_guideline_versions))
        .routes(routes!(guidelines::get_guideline_version))
        .routes(routes!(guidelines::diff_guideline))
        .routes(routes!(guidelines::try_guideline))
        .routes(routes!(guidelines::activate_guideline))
        .routes(routes!(guidelines::roll_back_guideline))
        .routes(routes!(playbooks::list_playbooks))
        .routes(routes!(playbooks::get_playbook, playbooks::review::patch_playbook))
        .routes(routes!(playbooks::change_playbook, playbooks::list_playbook_deltas))
        .routes(routes!(playbooks::exchange::import_playbook))
        .routes(routes!(playbooks::exchange::export_playbook))
        .routes(routes!(playbooks::review::diff_playbook))
        .routes(routes!(playbooks::review::revert_playbook))
        .routes(routes!(playbooks::review::list_playbook_reviews))
        .routes(routes!(playbooks::review::decide_playbook_review))
        .routes(routes!(playbooks::upkeep::credit_bullet))
        .routes(routes!(playbooks::upkeep::list_playbook_duplicates))
        .routes(routes!(playbooks::upkeep::dedupe_playbook))
        .routes(routes!(playbooks::upkeep::prune_playbook))
        .routes(routes!(tuning::start_tuning_run, tuning::list_tuning_runs))
        .routes(routes!(tuning::get_tuning_run))
        .routes(routes!(tuning::cancel_tuning_run))
        .routes(routes!(tuning::resume_tuning_run))
        .routes(routes!(tuning::promote_tuning_run))
        .routes(routes!(pairs::import_pairs, pairs::list_pairs))
        .routes(routes!(pairs::delete_pair))
        .routes(routes!(distillations::create_distillation, distillations::list_distillations))
        .routes(routes!(distillations::get_distillation))
        .routes(routes!(distillations::cancel_distillation))
        .routes(routes!(heads::list_heads))
        .routes(routes!(heads::get_head))
        .routes(routes!(heads::activate_head))
        .routes(routes!(heads::roll_back_head))
        .routes(routes!(keys::create_key, keys::list_keys))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(jobs::retry_job))
        .routes(routes!(operations::list_audit))
        .routes(routes!(usage::list_usage))
        .routes(routes!(model_calls::list_model_calls))
        .routes(routes!(operations::get_info))
        .routes(routes!(operations::healthz))
        .routes(routes!(operations::readyz))
        .routes(routes!(operations::metrics))
        .routes(routes!(pages::openapi_json))
        .routes(routes!(pages::explain_problem))
}
