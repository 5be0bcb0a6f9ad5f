//! The store's verbs. Time is what the tests say it is.

use recapd::store::{ChangeError, Claimed, Enqueued, JobCounts, JobFilter, JobState, NewJob, StoreError};
use serde_json::json;

use super::{claim, claimed, job, jobs};
use crate::store::bed::{Bed, on_each_engine};

on_each_engine!(
    a_job_is_claimed_once,
    only_its_kinds_are_claimed,
    a_lease_that_ran_out_is_taken_over,
    a_heartbeat_keeps_the_lease,
    a_key_stands_for_one_job,
    a_running_job_that_is_asked_for_runs_again,
    a_failed_job_waits_and_a_dead_one_stays,
    a_job_that_was_asked_for_again_does_not_die,
    a_job_that_never_comes_back_is_dead,
    a_released_attempt_does_not_count,
    law_11_jobs_go_with_their_trajectory,
    jobs_are_listed_in_pages,
);

async fn a_job_is_claimed_once(bed: Bed) {
    for n in 0..60 {
        bed.store.enqueue_job(job("work", &n.to_string(), n)).await.unwrap();
    }
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let store = bed.store.clone();
        workers.spawn(async move {
            let mut mine: Vec<i64> = Vec::new();
            while let Some(Claimed::Job(job)) = store.claim_job(claim(60)).await.unwrap() {
                mine.push(job.key.parse().unwrap());
            }
            mine
        });
    }
    let mut all = workers.join_all().await.concat();
    all.sort_unstable();
    assert_eq!(all, (0..60).collect::<Vec<_>>());
    let running = jobs(&bed.store).await.iter().filter(|job| job.attempts == 1).count();
    assert_eq!(running, 60);
}

async fn only_its_kinds_are_claimed(bed: Bed) {
    for kind in ["wor", "ork", "wxrk", "w_rk", "work_"] {
        bed.store.enqueue_job(job(kind, "k", 0)).await.unwrap();
    }
    let mut claim = claim(9);
    claim.kinds = vec!["work", "w_rk"];
    assert_eq!(bed.store.next_job_due(&["work"]).await.unwrap(), None);
    assert_eq!(bed.store.next_job_due(&claim.kinds).await.unwrap(), Some(0));
    let Some(Claimed::Job(taken)) = bed.store.claim_job(claim.clone()).await.unwrap() else { panic!("no job") };
    assert_eq!(taken.kind, "w_rk");
    assert_eq!(bed.store.claim_job(claim).await.unwrap(), None);
}

async fn a_lease_that_ran_out_is_taken_over(bed: Bed) {
    let store = &bed.store;
    store.enqueue_job(job("work", "k", 0)).await.unwrap();
    let (_, old) = claimed(store, 10).await;
    assert_eq!(store.claim_job(claim(109)).await.unwrap(), None);
    assert_eq!(store.next_job_due(&["work"]).await.unwrap(), Some(110));
    let (job, new) = claimed(store, 110).await;
    assert_eq!(job.attempts, 2);
    assert!(!store.extend_lease(old.clone(), 999).await.unwrap());
    assert!(!store.complete_job(old.clone(), 111).await.unwrap());
    assert!(!store.release_job(old.clone(), 111).await.unwrap());
    assert_eq!(store.fail_job(old, "late", None, 111).await.unwrap(), None);
    assert!(store.complete_job(new.clone(), 112).await.unwrap());
    assert!(!store.complete_job(new, 112).await.unwrap());
    assert_eq!(jobs(store).await, []);
}

async fn a_heartbeat_keeps_the_lease(bed: Bed) {
    bed.store.enqueue_job(job("work", "k", 0)).await.unwrap();
    let (_, lease) = claimed(&bed.store, 0).await;
    assert!(bed.store.extend_lease(lease.clone(), 500).await.unwrap());
    assert_eq!(bed.store.claim_job(claim(499)).await.unwrap(), None);
    assert!(bed.store.complete_job(lease, 499).await.unwrap());
}

async fn a_key_stands_for_one_job(bed: Bed) {
    let store = &bed.store;
    assert_eq!(store.enqueue_job(job("work", "k", 50)).await.unwrap(), Enqueued::Added);
    assert_eq!(store.enqueue_job(job("work", "k", 70)).await.unwrap(), Enqueued::Merged);
    assert_eq!(jobs(store).await[0].run_after_ms, 50);
    assert_eq!(store.enqueue_job(job("work", "k", 40)).await.unwrap(), Enqueued::Merged);
    let elsewhere = NewJob { namespace: "other".into(), ..job("work", "k", 90) };
    assert_eq!(store.enqueue_job(elsewhere).await.unwrap(), Enqueued::Added);
    assert_eq!(store.enqueue_job(job("other", "k", 90)).await.unwrap(), Enqueued::Added);
    assert_eq!(store.claim_job(claim(39)).await.unwrap(), None);
    let (job, _) = claimed(store, 40).await;
    assert_eq!(job.payload, json!({ "said": 40 }));
    assert_eq!(store.claim_job(claim(89)).await.unwrap(), None);
}

async fn a_running_job_that_is_asked_for_runs_again(bed: Bed) {
    let store = &bed.store;
    store.enqueue_job(job("work", "k", 0)).await.unwrap();
    let (_, lease) = claimed(store, 0).await;
    for now in [7, 5, 6] {
        assert_eq!(store.enqueue_job(job("work", "k", now)).await.unwrap(), Enqueued::Again);
    }
    assert!(jobs(store).await[0].again);
    assert_eq!(store.claim_job(claim(8)).await.unwrap(), None);
    assert!(store.complete_job(lease, 8).await.unwrap());
    assert_eq!(store.claim_job(claim(4)).await.unwrap(), None);
    let (job, lease) = claimed(store, 5).await;
    assert_eq!((job.payload, job.attempts), (json!({ "said": 6 }), 1));
    assert!(store.complete_job(lease, 9).await.unwrap());
    assert_eq!(jobs(store).await, []);
}

async fn a_failed_job_waits_and_a_dead_one_stays(bed: Bed) {
    let store = &bed.store;
    store.enqueue_job(job("work", "k", 0)).await.unwrap();
    let (_, lease) = claimed(store, 0).await;
    let long = format!("caf\0é {}", "é".repeat(5000));
    assert_eq!(store.fail_job(lease, &long, Some(80), 1).await.unwrap(), Some(JobState::Ready));
    let error = jobs(store).await[0].last_error.clone().unwrap();
    assert!(error.starts_with("café") && error.chars().count() == 1000);
    // A new request does not outrun the backoff.
    store.enqueue_job(job("work", "k", 2)).await.unwrap();
    assert_eq!(store.claim_job(claim(79)).await.unwrap(), None);
    let (again, lease) = claimed(store, 80).await;
    assert_eq!(again.attempts, 2);
    assert_eq!(store.fail_job(lease, "no", None, 81).await.unwrap(), Some(JobState::Dead));
    assert_eq!(store.claim_job(claim(9999)).await.unwrap(), None);
    assert_eq!(store.next_job_due(&["work"]).await.unwrap(), None);
    let id = jobs(store).await[0].id.clone();
    assert_eq!(store.retry_job(&id, Some("other"), 90).await.unwrap(), None);
    assert_eq!(store.retry_job("nobody", None, 90).await.unwrap(), None);
    let row = store.retry_job(&id, Some("default"), 90).await.unwrap().unwrap();
    assert_eq!((row.state, row.attempts, row.last_error.as_deref()), (JobState::Ready, 0, Some("no")));
    let (_, lease) = claimed(store, 90).await;
    assert_eq!(store.retry_job(&id, None, 91).await.unwrap().unwrap().state, JobState::Running);
    store.fail_job(lease, "no", None, 91).await.unwrap();
    // A dead job stands in nobody's way.
    assert_eq!(store.enqueue_job(job("work", "k", 92)).await.unwrap(), Enqueued::Merged);
    assert_eq!(claimed(store, 92).await.0.attempts, 1);
}

async fn a_job_that_was_asked_for_again_does_not_die(bed: Bed) {
    bed.store.enqueue_job(job("work", "k", 0)).await.unwrap();
    let (_, lease) = claimed(&bed.store, 0).await;
    bed.store.enqueue_job(job("work", "k", 5)).await.unwrap();
    assert_eq!(bed.store.fail_job(lease, "wrong payload", None, 6).await.unwrap(), Some(JobState::Ready));
    let (job, _) = claimed(&bed.store, 6).await;
    assert_eq!((job.payload, job.attempts), (json!({ "said": 5 }), 1));
}

async fn a_job_that_never_comes_back_is_dead(bed: Bed) {
    let store = &bed.store;
    store.enqueue_job(job("work", "k", 0)).await.unwrap();
    for attempt in 1..=3 {
        assert_eq!(claimed(store, i64::from(attempt) * 100).await.0.attempts, attempt);
    }
    store.enqueue_job(job("work", "k", 350)).await.unwrap();
    assert_eq!(claimed(store, 400).await.0.attempts, 4);
    let Some(Claimed::Dead(dead)) = store.claim_job(claim(500)).await.unwrap() else { panic!("not dead") };
    assert_eq!((dead.key.as_str(), dead.attempts), ("k", 4));
    let row = &jobs(store).await[0];
    assert_eq!((row.state, row.lease_until_ms), (JobState::Dead, None));
    assert_eq!(row.last_error.as_deref(), Some("the lease ran out"));
    assert_eq!(store.claim_job(claim(9999)).await.unwrap(), None);
}

async fn a_released_attempt_does_not_count(bed: Bed) {
    bed.store.enqueue_job(job("work", "k", 0)).await.unwrap();
    let (_, lease) = claimed(&bed.store, 0).await;
    assert!(bed.store.release_job(lease, 1).await.unwrap());
    assert_eq!(claimed(&bed.store, 1).await.0.attempts, 1);
}

async fn law_11_jobs_go_with_their_trajectory(bed: Bed) {
    let of = |trajectory: &str, key: &str| NewJob { trajectory: Some(trajectory.into()), ..job("work", key, 0) };
    bed.trajectory("goes").await;
    bed.trajectory("stays").await;
    bed.store.enqueue_job(of("goes", "a")).await.unwrap();
    let (_, lease) = claimed(&bed.store, 0).await;
    bed.store.enqueue_job(of("goes", "b")).await.unwrap();
    bed.store.enqueue_job(of("stays", "c")).await.unwrap();
    assert_eq!(bed.store.delete_trajectory("goes", "me", 9).await.unwrap().jobs, 2);
    assert!(!bed.store.extend_lease(lease.clone(), 999).await.unwrap());
    assert!(!bed.store.complete_job(lease, 1).await.unwrap());
    let left: Vec<_> = jobs(&bed.store).await.into_iter().map(|job| job.key).collect();
    assert_eq!(left, ["c"]);
    assert!(matches!(bed.store.enqueue_job(of("goes", "d")).await, Err(ChangeError::NoTrajectory)));
}

async fn jobs_are_listed_in_pages(bed: Bed) {
    for n in 0..5 {
        let namespace = if n == 4 { "other" } else { "default" }.to_owned();
        bed.store.enqueue_job(NewJob { namespace, ..job("work", &n.to_string(), n) }).await.unwrap();
    }
    let (_, lease) = claimed(&bed.store, 9).await;
    bed.store.fail_job(lease, "no", None, 9).await.unwrap();
    claimed(&bed.store, 9).await;
    assert_eq!(bed.store.count_jobs().await.unwrap(), JobCounts { ready: 3, running: 1, dead: 1 });
    let mut keys = Vec::new();
    let mut cursor = None;
    loop {
        let page = bed.store.list_jobs(&JobFilter::default(), cursor.as_deref(), 2).await.unwrap();
        keys.push(page.jobs.into_iter().map(|job| job.key).collect::<Vec<_>>());
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(keys, [vec!["4", "3"], vec!["2", "1"], vec!["0"]]);
    let count = async |filter: JobFilter| bed.store.list_jobs(&filter, None, 9).await.unwrap().jobs.len();
    assert_eq!(count(JobFilter { namespace: Some("default".into()), ..JobFilter::default() }).await, 4);
    assert_eq!(count(JobFilter { state: Some(JobState::Dead), ..JobFilter::default() }).await, 1);
    assert_eq!(count(JobFilter { kind: Some("none".into()), ..JobFilter::default() }).await, 0);
    let bad = bed.store.list_jobs(&JobFilter::default(), Some("x"), 2).await;
    assert!(matches!(bad, Err(StoreError::BadCursor)));
}
