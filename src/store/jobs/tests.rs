//! An effect and the end of its job are one transaction, whenever the process is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]
#![allow(
    clippy::disallowed_methods,
    reason = "a test that is a process of its own is told its part by the environment"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use sqlx::Connection as _;

use super::*;
use crate::store::{AuditEntry, StoreUrl};

const CHILD_URL: &str = "RECAPD_TEST_CHILD_URL";
const CHILD_POINT: &str = "RECAPD_TEST_CHILD_POINT";
const LEASE_MS: u64 = 100;

/// The effect of a job, here a line of the audit log, and the job's end.
struct Effect {
    lease: Lease,
    /// Stop for ever before the commit.
    hangs: bool,
}

impl Write for Effect {
    type Output = ();
    type Error = ChangeError;

    fn wakes_runners(&self) -> bool {
        true
    }

    async fn run(&self, conn: &mut Conn) -> Result<(), ChangeError> {
        let entry = AuditEntry {
            at_ms: 1,
            namespace: None,
            actor: "job".into(),
            action: "effect".into(),
            subject: self.lease.job.clone(),
            detail: None,
        };
        entry.run(conn).await?;
        if !complete(conn, &self.lease, 1).await? {
            return Err(ChangeError::NoTrajectory);
        }
        if self.hangs {
            say("effect");
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

fn say(point: &str) {
    println!("\nat {point}");
}

async fn store(url: &StoreUrl) -> Store {
    let store = Store::open(url).await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn enqueue_one(store: &Store) {
    let job = NewJob {
        id: "j".into(),
        kind: "work".into(),
        key: "k".into(),
        trajectory: None,
        namespace: "n".into(),
        payload: Json::Null,
        run_after_ms: 0,
        now_ms: 0,
    };
    assert_eq!(store.enqueue_job(job).await.unwrap(), Enqueued::Added);
}

async fn claim(store: &Store, token: &str, now_ms: i64) -> Option<Lease> {
    let claim = ClaimRequest { kinds: vec!["work"], token: token.into(), lease_ms: LEASE_MS, max_attempts: 5, now_ms };
    match store.claim_job(claim).await.unwrap()? {
        Claimed::Job(job) => Some(job.lease(token.into())),
        Claimed::Dead(job) => panic!("{job:?} is dead"),
    }
}

async fn effects(store: &Store) -> usize {
    store.list_audit(None, None, 9).await.unwrap().entries.len()
}

/// Kills a process at a point of its job and does what is left of it. Returns whether something was.
async fn kill_at(url: &StoreUrl, point: &'static str) -> bool {
    let first = store(url).await;
    enqueue_one(&first).await;
    first.close().await;
    let text = match url {
        StoreUrl::Sqlite(path) => path.display().to_string(),
        StoreUrl::Postgres(url) => url.clone(),
    };
    tokio::task::spawn_blocking(move || run_child_to(point, &text)).await.unwrap();
    let next = store(url).await;
    assert_eq!(claim(&next, "early", 99).await, None);
    let mut left = false;
    while next.count_jobs().await.unwrap().running > 0 {
        // A server may hold the dead one's rows for a moment.
        if let Some(lease) = claim(&next, "next", 100).await {
            let old = Lease { token: "child".into(), ..lease.clone() };
            assert!(next.write(Effect { lease: old, hangs: false }).await.is_err());
            next.write(Effect { lease: lease.clone(), hangs: false }).await.unwrap();
            assert!(next.write(Effect { lease, hangs: false }).await.is_err());
            left = true;
        }
    }
    assert_eq!(effects(&next).await, 1);
    assert_eq!(next.count_jobs().await.unwrap(), JobCounts::default());
    next.close().await;
    left
}

fn run_child_to(point: &str, url: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::jobs::tests::child_works_until_killed", "--ignored", "--nocapture"])
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that another test kills"]
async fn child_works_until_killed() {
    let (Ok(url), Ok(point)) = (std::env::var(CHILD_URL), std::env::var(CHILD_POINT)) else {
        return;
    };
    let store = Store::open(&url.parse().unwrap()).await.unwrap();
    let lease = claim(&store, "child", 0).await.unwrap();
    if point != "claim" {
        store.write(Effect { lease, hangs: point == "effect" }).await.unwrap();
    }
    say(&point);
    std::future::pending::<()>().await;
}

async fn each_point(url: impl AsyncFn(&str) -> StoreUrl) {
    assert!(kill_at(&url("claim").await, "claim").await);
    assert!(kill_at(&url("effect").await, "effect").await);
    assert!(!kill_at(&url("commit").await, "commit").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_happens_once_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    each_point(async |point| StoreUrl::Sqlite(folder.path().join(point))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_effect_happens_once_on_postgresql() {
    let Ok(server) = std::env::var("RECAPD_TEST_POSTGRES") else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "RECAPD_TEST_POSTGRES is not set");
        return;
    };
    let (base, _) = server.rsplit_once('/').unwrap();
    each_point(async |point| {
        let name = format!("recapd_jobs_{point}_{}", std::process::id());
        let mut connection = sqlx::PgConnection::connect(&server).await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
        sqlx::raw_sql(create).execute(&mut connection).await.unwrap();
        StoreUrl::Postgres(format!("{base}/{name}"))
    })
    .await;
}

#[tokio::test]
async fn an_effect_that_fails_completes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&StoreUrl::Sqlite(folder.path().join("recapd.db"))).await;
    enqueue_one(&store).await;
    let lease = claim(&store, "a", 0).await.unwrap();
    let stolen = claim(&store, "b", 100).await.unwrap();
    assert!(store.write(Effect { lease, hangs: false }).await.is_err());
    assert_eq!(effects(&store).await, 0);
    tokio::time::timeout(Duration::from_secs(9), store.write(Effect { lease: stolen, hangs: false }))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(effects(&store).await, 1);
}
