//! The runner. Waits have an end that only a fault reaches.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use recapd::config::Jobs;
use recapd::jobs::{JobFailure, Runner};
use recapd::store::{Claimed, JobRow, JobState, Store};
use recapd::world::World;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{claim, job, jobs};
use crate::store::bed::{Bed, on_each_engine, open};

on_each_engine!(
    an_enqueued_job_is_run_at_once,
    a_due_time_is_met,
    failures_are_kept_and_a_panic_ends_no_worker,
    no_more_jobs_run_than_there_are_workers,
    heartbeats_keep_a_job_and_a_lost_lease_ends_it,
    a_stop_waits_for_jobs_and_gives_back_the_rest,
    a_stop_leaves_what_waits,
);

const PATIENCE: Duration = Duration::from_secs(20);

fn config(workers: usize, lease_ms: u64) -> Jobs {
    Jobs { workers, lease_ms, max_attempts: 2 }
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(runner: Runner, grace: Duration) -> Self {
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(runner.run(stop.clone(), grace)), stop }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

/// A runner whose handler of `work` tells each key.
fn telling(store: &Store) -> (Runner, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let runner = Runner::new(store.clone(), config(2, 30_000), World::real()).handle("work", move |job, _| {
        tell.send(job.key).unwrap();
        async { Ok(()) }
    });
    (runner, told)
}

/// Waits until the jobs are as they should be.
async fn until(store: &Store, mut holds: impl FnMut(&[JobRow]) -> bool) -> Vec<JobRow> {
    let poll = async {
        loop {
            let jobs = jobs(store).await;
            if holds(&jobs) {
                return jobs;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.expect("the jobs never came to be so")
}

/// Enqueues one job after the other. Without wake-ups each would take seconds.
async fn hears_of_each(from: &Store, runner: Runner, mut told: mpsc::UnboundedReceiver<String>) {
    let running = Running::start(runner, PATIENCE);
    let rounds = async {
        for n in 0..20 {
            let key = n.to_string();
            from.enqueue_job(job("work", &key, World::real().now_ms())).await.unwrap();
            assert_eq!(told.recv().await.unwrap(), key);
            until(from, <[JobRow]>::is_empty).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(9), rounds).await.expect("wake-ups are lost");
    running.stop().await;
}

async fn an_enqueued_job_is_run_at_once(bed: Bed) {
    let (runner, told) = telling(&bed.store);
    hears_of_each(&bed.store, runner, told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_daemon_hears_of_a_job() {
    let Some(bed) = Bed::postgres().await else {
        return;
    };
    let other = open(&bed.url).await;
    let (runner, told) = telling(&other);
    hears_of_each(&bed.store, runner, told).await;
    other.close().await;
}

async fn a_due_time_is_met(bed: Bed) {
    let (runner, mut told) = telling(&bed.store);
    let now = World::real().now_ms();
    let mut later = job("work", "later", now);
    later.run_after_ms = now + 300;
    bed.store.enqueue_job(later).await.unwrap();
    let running = Running::start(runner, PATIENCE);
    // Well before the next look that is not for a due time.
    let key = tokio::time::timeout(Duration::from_secs(4), told.recv()).await.unwrap().unwrap();
    assert!(World::real().now_ms() >= now + 300);
    assert_eq!(key, "later");
    running.stop().await;
}

async fn failures_are_kept_and_a_panic_ends_no_worker(bed: Bed) {
    let now = World::real().now_ms();
    for key in ["panics", "waits", "never", "works"] {
        bed.store.enqueue_job(job("work", key, now)).await.unwrap();
    }
    let runner = Runner::new(bed.store.clone(), config(1, 30_000), World::real());
    let runner = runner.handle("work", async |job, _| match job.key.as_str() {
        "panics" => panic!("at the disco"),
        "waits" => Err(JobFailure::Retry { why: "busy".into(), after: Some(Duration::from_hours(1)) }),
        "never" => Err(JobFailure::permanent("nonsense")),
        _ => Ok(()),
    });
    let running = Running::start(runner, PATIENCE);
    let left = until(&bed.store, |jobs| jobs.len() == 3 && jobs.iter().all(|job| job.last_error.is_some())).await;
    running.stop().await;
    let of = |key: &str| left.iter().find(|job| job.key == key).unwrap();
    let (panics, waits, never) = (of("panics"), of("waits"), of("never"));
    assert_eq!(panics.last_error.as_deref(), Some("the handler panicked: at the disco"));
    assert_eq!((panics.state, waits.state, never.state), (JobState::Ready, JobState::Ready, JobState::Dead));
    assert_eq!(panics.run_after_ms, panics.updated_ms + 5000);
    assert_eq!(waits.run_after_ms, waits.updated_ms + 3_600_000);
    assert_eq!(never.last_error.as_deref(), Some("nonsense"));
    // The second attempt is the last.
    let hour = World::new(move || now + 3_700_000, || World::real().new_id());
    let runner = Runner::new(bed.store.clone(), config(1, 30_000), hour);
    let runner = runner.handle("work", async |_, _| Err(JobFailure::retry("still busy")));
    let running = Running::start(runner, PATIENCE);
    let left = until(&bed.store, |jobs| jobs.iter().all(|job| job.state == JobState::Dead)).await;
    running.stop().await;
    assert_eq!(left.iter().filter(|job| job.attempts == 2).count(), 2);
}

async fn no_more_jobs_run_than_there_are_workers(bed: Bed) {
    let now = World::real().now_ms();
    for n in 0..9 {
        bed.store.enqueue_job(job("work", &n.to_string(), now)).await.unwrap();
    }
    let (most, in_work, gate) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (seen, inside, open) = (Arc::clone(&most), in_work, Arc::clone(&gate));
    let runner = Runner::new(bed.store.clone(), config(3, 30_000), World::real()).handle("work", move |_, _| {
        let (seen, inside, open) = (Arc::clone(&seen), Arc::clone(&inside), Arc::clone(&open));
        async move {
            seen.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            open.acquire().await.unwrap().forget();
            inside.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    let running = Running::start(runner, PATIENCE);
    until(&bed.store, |jobs| jobs.iter().filter(|job| job.state == JobState::Running).count() == 3).await;
    gate.add_permits(9);
    until(&bed.store, <[JobRow]>::is_empty).await;
    running.stop().await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

async fn heartbeats_keep_a_job_and_a_lost_lease_ends_it(bed: Bed) {
    bed.store.enqueue_job(job("work", "k", World::real().now_ms())).await.unwrap();
    let (alive, mut ended) = mpsc::channel::<()>(1);
    let runner = Runner::new(bed.store.clone(), config(1, 1500), World::real()).handle("work", move |_, _| {
        let alive = alive.clone();
        async move {
            let _alive = alive.reserve().await.unwrap();
            pending::<()>().await;
            Ok(())
        }
    });
    let running = Running::start(runner, 2 * PATIENCE);
    let first = until(&bed.store, |jobs| jobs[0].state == JobState::Running).await[0].lease_until_ms;
    let kept = until(&bed.store, |jobs| jobs[0].lease_until_ms > first).await;
    assert_eq!(kept[0].attempts, 1);
    // Someone whose clock is far ahead takes it.
    let thief = claim(World::real().now_ms() + 3_600_000);
    let token = thief.token.clone();
    let Some(Claimed::Job(stolen)) = bed.store.claim_job(thief).await.unwrap() else { panic!("not stolen") };
    running.stop.cancel();
    tokio::time::timeout(PATIENCE, running.task).await.unwrap().unwrap();
    // The handler, the last holder of the channel, was dropped.
    assert_eq!(ended.recv().await, None);
    assert_eq!(jobs(&bed.store).await[0].attempts, 2);
    assert!(bed.store.complete_job(stolen.lease(token), 0).await.unwrap());
}

async fn a_stop_waits_for_jobs_and_gives_back_the_rest(bed: Bed) {
    for key in ["ends", "hangs"] {
        bed.store.enqueue_job(job("work", key, World::real().now_ms())).await.unwrap();
    }
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let runner = Runner::new(bed.store.clone(), config(2, 30_000), World::real()).handle("work", move |job, _| {
        let stopping = stopping.clone();
        async move {
            stopping.cancelled().await;
            if job.key == "hangs" {
                pending::<()>().await;
            }
            Ok(())
        }
    });
    let task = tokio::spawn(runner.run(stop.clone(), Duration::from_millis(500)));
    until(&bed.store, |jobs| jobs.iter().all(|job| job.state == JobState::Running)).await;
    stop.cancel();
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    let left = jobs(&bed.store).await;
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].key.as_str(), left[0].state, left[0].attempts), ("hangs", JobState::Ready, 0));
    assert_eq!((left[0].lease_until_ms, left[0].last_error.as_deref()), (None, None));
}

async fn a_stop_leaves_what_waits(bed: Bed) {
    for n in 0..50 {
        bed.store.enqueue_job(job("work", &n.to_string(), World::real().now_ms())).await.unwrap();
    }
    let stop = CancellationToken::new();
    let first = stop.clone();
    let runner = Runner::new(bed.store.clone(), config(1, 30_000), World::real()).handle("work", move |_, _| {
        first.cancel();
        async { Ok(()) }
    });
    tokio::time::timeout(PATIENCE, runner.run(stop, PATIENCE)).await.unwrap();
    let left = jobs(&bed.store).await;
    assert_eq!(left.iter().filter(|job| job.state == JobState::Ready && job.attempts == 0).count(), 49);
}
