//! A process that is killed at each point of a job: the next runner does it, and its effect is there once.

use std::future::pending;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use recapd::config::Jobs;
use recapd::jobs::{Job, JobFailure, Runner};
use recapd::store::{Store, StoreUrl};
use recapd::world::World;
use tokio_util::sync::CancellationToken;

use super::{job, jobs};
use crate::store::bed::{Bed, key, message, on_each_engine, open, request};

on_each_engine!(a_kill_after_the_claim, a_kill_after_the_effect, a_kill_after_the_end);

const CHILD_URL: &str = "RECAPD_TEST_CHILD_URL";
const CHILD_POINT: &str = "RECAPD_TEST_CHILD_POINT";

async fn a_kill_after_the_claim(bed: Bed) {
    kill_at(bed, "claimed", 1).await;
}

async fn a_kill_after_the_effect(bed: Bed) {
    kill_at(bed, "stored", 1).await;
}

async fn a_kill_after_the_end(bed: Bed) {
    kill_at(bed, "done", 0).await;
}

/// Kills a process at a point of its job and looks how often the next runner has to do it.
async fn kill_at(mut bed: Bed, point: &'static str, left: usize) {
    bed.trajectory("t").await;
    bed.store.enqueue_job(job("work", "k", World::real().now_ms())).await.unwrap();
    bed.store.close().await;
    let url = match &bed.url {
        StoreUrl::Sqlite(path) => path.display().to_string(),
        StoreUrl::Postgres(url) => url.clone(),
    };
    tokio::task::spawn_blocking(move || run_child_to(point, &url)).await.unwrap();
    bed.store = open(&bed.url).await;
    assert_eq!(jobs(&bed.store).await.len(), left);
    let stop = CancellationToken::new();
    let running = tokio::spawn(runner(&bed.store, "none").run(stop.clone(), Duration::from_secs(9)));
    let empty = async {
        while !jobs(&bed.store).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), empty).await.expect("nobody took the job over");
    stop.cancel();
    running.await.unwrap();
    assert_eq!(bed.store.messages("t", 0..9).await.unwrap().len(), 1);
}

fn run_child_to(point: &str, url: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "jobs::kill::child_works_until_killed", "--ignored", "--nocapture"])
        .env(CHILD_URL, url)
        .env(CHILD_POINT, point)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == format!("at {point}")), "the child never came to {point}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A runner whose job appends a message once, and stops for ever at a point.
fn runner(store: &Store, point: &'static str) -> Runner {
    let config = Jobs { workers: 2, lease_ms: 1500, max_attempts: 3 };
    let own = store.clone();
    Runner::new(store.clone(), config, World::real()).handle("work", move |job: Job, _| {
        let store = own.clone();
        async move {
            reach("claimed", point).await;
            let mut request = request("t", vec![message("the effect")]);
            request.idempotency = Some(key(&job.id, "body"));
            store.append(request).await.map_err(JobFailure::retry)?;
            reach("stored", point).await;
            Ok(())
        }
    })
}

async fn reach(here: &str, point: &str) {
    if here == point {
        println!("\nat {point}");
        pending::<()>().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that another test kills"]
async fn child_works_until_killed() {
    let (Ok(url), Ok(point)) = (std::env::var(CHILD_URL), std::env::var(CHILD_POINT)) else {
        return;
    };
    let store = Store::open(&url.parse().unwrap()).await.unwrap();
    let runner = runner(&store, point.clone().leak());
    let done = async {
        while !jobs(&store).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        reach("done", &point).await;
    };
    tokio::join!(runner.run(CancellationToken::new(), Duration::ZERO), done);
}
