//! Background jobs: the queue and the runner on each engine, killed processes, the operator's routes.

mod http;
mod kill;
mod queue;
mod runner;

use recapd::store::{ClaimRequest, Claimed, Job, JobFilter, JobRow, Lease, NewJob, Store};
use recapd::world::World;
use serde_json::json;

/// A job of the namespace `default` that is due at `now_ms`.
pub fn job(kind: &str, key: &str, now_ms: i64) -> NewJob {
    NewJob {
        id: World::real().new_id(),
        kind: kind.into(),
        key: key.into(),
        trajectory: None,
        namespace: "default".into(),
        payload: json!({ "said": now_ms }),
        run_after_ms: now_ms,
        now_ms,
    }
}

/// A claim of `work` for 100 ms by someone who gives up after 3 attempts.
pub fn claim(now_ms: i64) -> ClaimRequest {
    ClaimRequest { kinds: vec!["work"], token: World::real().new_id(), lease_ms: 100, max_attempts: 3, now_ms }
}

/// Claims a job that must be there.
pub async fn claimed(store: &Store, now_ms: i64) -> (Job, Lease) {
    let claim = claim(now_ms);
    let token = claim.token.clone();
    match store.claim_job(claim).await.unwrap() {
        Some(Claimed::Job(job)) => (job.clone(), job.lease(token)),
        other => panic!("{other:?}"),
    }
}

/// All jobs, newest first.
pub async fn jobs(store: &Store) -> Vec<JobRow> {
    store.list_jobs(&JobFilter::default(), None, 1000).await.unwrap().jobs
}
