//! Trajectories that are deleted while models work for them (law 11).

use recapd::store::{JobState, ModelCallFilter};
use serde_json::json;

use super::endpoint::{Endpoint, good};
use super::{Bench, all_jobs, compressions, told, until};
use crate::store::bed::{Bed, on_each_engine};

on_each_engine!(
    law_11_jobs_that_wait_and_run_go_with_their_trajectory,
    law_11_a_reply_for_a_deleted_trajectory_leaves_nothing,
);

async fn law_11_jobs_that_wait_and_run_go_with_their_trajectory(bed: Bed) {
    let values = [("jobs.workers", "1"), ("jobs.lease_ms", "1000")];
    let bench = Bench::start(bed, Endpoint::held(good).await, &values).await;
    let runs = bench.run(&json!({})).await;
    until("the model is asked", async || (bench.endpoint.pending() == 1).then_some(())).await;
    let waits = bench.run(&json!({})).await;
    let states = until("two jobs", async || {
        let jobs = all_jobs(&bench.bed.store).await;
        (jobs.len() == 2).then(|| jobs.iter().map(|job| job.state).collect::<Vec<_>>())
    });
    assert_eq!(states.await, [JobState::Ready, JobState::Running]);
    for path in [&waits, &runs] {
        let report = bench.app.delete(path).await.ok();
        assert_eq!((&report["jobs"], &report["compressions"]), (&json!(1), &json!(0)), "{report}");
    }
    until("the call is given up", async || (bench.endpoint.pending() == 0).then_some(())).await;
    assert!(all_jobs(&bench.bed.store).await.is_empty());

    bench.endpoint.release();
    let next = bench.run(&json!({})).await;
    told(&bench.made(&next, 1).await);
    let report = bench.app.delete(&next).await.ok();
    assert_eq!((&report["jobs"], &report["compressions"]), (&json!(0), &json!(1)), "{report}");
    assert_eq!(report["released_model_calls"], 1);
    for path in [&runs, &waits, &next] {
        assert!(compressions(&bench.bed.store, path).await.is_empty());
    }
    assert!(bench.bed.store.check().await.unwrap().is_sound());
}

async fn law_11_a_reply_for_a_deleted_trajectory_leaves_nothing(bed: Bed) {
    let bench = Bench::start(bed, Endpoint::held(good).await, &[("jobs.workers", "1")]).await;
    let path = bench.run(&json!({})).await;
    until("the model is asked", async || (bench.endpoint.pending() == 1).then_some(())).await;
    assert_eq!(bench.app.delete(&path).await.ok()["jobs"], 1);
    bench.endpoint.release();
    let bill = until("the bill is kept", async || {
        let all = bench.bed.store.list_model_calls(&ModelCallFilter::default(), None, 9).await.unwrap();
        all.calls.into_iter().next()
    });
    assert_eq!(bill.await.trajectory, None);
    // the only worker goes on, and finds nothing of what was deleted
    let next = bench.run(&json!({})).await;
    bench.made(&next, 1).await;
    assert!(compressions(&bench.bed.store, &path).await.is_empty());
    assert_eq!(bench.endpoint.sources().len(), 2);
}
