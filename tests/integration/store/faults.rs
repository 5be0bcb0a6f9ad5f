//! What must hold when many write at once, when the process dies, and when the database is not its own.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use recapd::store::{ChangeError, Store, StoreError, StoreUrl};
use sqlx::{Connection as _, Executor as _};

use super::bed::{Bed, message, on_each_engine, open, request};

on_each_engine!(
    agents_append_at_once_to_their_own_trajectories,
    agents_append_at_once_to_one_trajectory,
    law_1_a_killed_process_loses_nothing_acknowledged,
    closing_finishes_what_was_accepted,
    a_check_finds_damage,
);

async fn agents_append_at_once_to_their_own_trajectories(bed: Bed) {
    let mut agents = tokio::task::JoinSet::new();
    for agent in 0..32 {
        let store = bed.store.clone();
        let id = format!("t{agent}");
        bed.trajectory(&id).await;
        agents.spawn(async move {
            for round in 0..8 {
                // Half of each batch is the same for all agents.
                let texts = [
                    format!("own {agent} {round}"),
                    format!("shared {round}"),
                    format!("other {round}"),
                ];
                let mut request = request(&id, texts.map(|text| message(&text)).to_vec());
                request.expected_length = Some(round * 3);
                store.append(request).await.unwrap();
            }
        });
    }
    while let Some(agent) = agents.join_next().await {
        agent.unwrap();
    }
    let report = bed.store.check().await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.messages, report.originals), (32 * 24, 32 * 8 + 16));
}

async fn agents_append_at_once_to_one_trajectory(bed: Bed) {
    bed.trajectory("t").await;
    let mut agents = tokio::task::JoinSet::new();
    for agent in 0..32 {
        let store = bed.store.clone();
        agents.spawn(async move {
            let mut length = 0;
            loop {
                let mut request = request(
                    "t",
                    vec![
                        message(&format!("{agent} a")),
                        message(&format!("{agent} b")),
                    ],
                );
                request.expected_length = Some(length);
                match store.append(request).await {
                    Ok(appended) => return (agent, appended.first),
                    Err(ChangeError::LengthMismatch { current }) => length = current,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    let mut placed = agents.join_all().await;
    placed.sort_by_key(|(_, first)| *first);
    let messages = bed.store.messages("t", 0..100).await.unwrap();
    assert_eq!(messages.len(), 64);
    for (place, (agent, first)) in (0..).zip(placed) {
        assert_eq!(first, place * 2);
        let texts = [first, first + 1].map(|n| {
            messages[usize::try_from(n).unwrap()].originals[0]
                .1
                .to_string()
        });
        assert_eq!(texts, [format!("{agent} a"), format!("{agent} b")]);
    }
}

const CHILD_URL: &str = "RECAPD_TEST_CHILD_URL";

async fn law_1_a_killed_process_loses_nothing_acknowledged(mut bed: Bed) {
    for agent in 0..8 {
        bed.trajectory(&format!("t{agent}")).await;
    }
    bed.store.close().await;
    let url = match &bed.url {
        StoreUrl::Sqlite(path) => path.display().to_string(),
        StoreUrl::Postgres(url) => url.clone(),
    };
    let acknowledged = tokio::task::spawn_blocking(move || run_and_kill_child(&url))
        .await
        .unwrap();
    assert!(acknowledged.len() >= 200);
    bed.store = open(&bed.url).await;
    for (agent, n) in acknowledged {
        let stored = bed
            .store
            .messages(&format!("t{agent}"), n..n + 2)
            .await
            .unwrap();
        let natives: Vec<_> = stored.into_iter().map(|message| message.native).collect();
        assert_eq!(
            natives,
            [
                child_message(agent, n).native,
                child_message(agent, n + 1).native
            ]
        );
    }
    let report = bed.store.check().await.unwrap();
    assert!(report.is_sound(), "{report:?}");
}

/// Returns the (agent, first message) pairs that the child had acknowledged when it was killed.
fn run_and_kill_child(url: &str) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store::faults::child_appends_until_killed",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILD_URL, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // The kill may cut the last line, which then acknowledges nothing.
        let line = line.unwrap();
        let Some(pair) = line
            .strip_prefix("acknowledged ")
            .and_then(|line| line.strip_suffix(';'))
        else {
            continue;
        };
        let (agent, n) = pair.split_once(' ').unwrap();
        acknowledged.push((agent.parse().unwrap(), n.parse().unwrap()));
        if acknowledged.len() == 200 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    acknowledged
}

fn child_message(agent: u64, n: u64) -> recapd::store::NewMessage {
    message(&format!(
        "agent {agent} message {n} {}",
        "long \"text\"\n".repeat(100)
    ))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that another test kills"]
async fn child_appends_until_killed() {
    let Ok(url) = std::env::var(CHILD_URL) else {
        return;
    };
    let store = Store::open(&url.parse().unwrap()).await.unwrap();
    let mut agents = tokio::task::JoinSet::new();
    for agent in 0..8 {
        let store = store.clone();
        agents.spawn(async move {
            for n in (0..).step_by(2) {
                let messages = vec![child_message(agent, n), child_message(agent, n + 1)];
                store
                    .append(request(&format!("t{agent}"), messages))
                    .await
                    .unwrap();
                println!("acknowledged {agent} {n};");
            }
        });
    }
    agents.join_next().await;
}

async fn closing_finishes_what_was_accepted(mut bed: Bed) {
    bed.trajectory("t").await;
    let mut agents = tokio::task::JoinSet::new();
    for agent in 0..64 {
        let store = bed.store.clone();
        agents.spawn(async move {
            store
                .append(request("t", vec![message(&agent.to_string())]))
                .await
        });
    }
    tokio::task::yield_now().await;
    bed.store.close().await;
    let mut stored = 0;
    for answer in agents.join_all().await {
        match answer {
            Ok(_) => stored += 1,
            Err(ChangeError::Store(StoreError::Closed)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    bed.store = open(&bed.url).await;
    assert_eq!(
        bed.store.trajectory("t").await.unwrap().unwrap().length,
        stored
    );
}

async fn a_check_finds_damage(bed: Bed) {
    bed.trajectory("t").await;
    bed.store
        .append(request("t", vec![message("aaa"), message("bbb")]))
        .await
        .unwrap();
    assert!(bed.store.check().await.unwrap().is_sound());
    for sql in [
        "UPDATE originals SET text = hash WHERE id = 1",
        "UPDATE trajectories SET length = 3",
    ] {
        match &bed.url {
            StoreUrl::Sqlite(path) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
                let mut connection = sqlx::SqliteConnection::connect_with(&options)
                    .await
                    .unwrap();
                connection.execute(sql).await.unwrap();
            }
            StoreUrl::Postgres(url) => {
                let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
                connection.execute(sql).await.unwrap();
            }
        }
    }
    let report = bed.store.check().await.unwrap();
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.contains("is not what was stored")),
        "{report:?}"
    );
    assert!(
        report
            .problems
            .iter()
            .any(|problem| problem.contains("1 trajectories whose length")),
        "{report:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_another_process_is_waited_for() {
    let bed = Bed::sqlite().await;
    bed.trajectory("t").await;
    let StoreUrl::Sqlite(path) = &bed.url else {
        unreachable!()
    };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut other = sqlx::SqliteConnection::connect_with(&options)
        .await
        .unwrap();
    other
        .execute("BEGIN IMMEDIATE; UPDATE trajectories SET agent = 'other'")
        .await
        .unwrap();
    let store = bed.store.clone();
    let append = tokio::spawn(async move { store.append(request("t", vec![message("a")])).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!append.is_finished());
    assert_eq!(bed.store.messages("t", 0..9).await.unwrap().len(), 0);
    other.execute("COMMIT").await.unwrap();
    assert_eq!(append.await.unwrap().unwrap().length, 1);
    assert_eq!(
        bed.store
            .trajectory("t")
            .await
            .unwrap()
            .unwrap()
            .agent
            .as_deref(),
        Some("other")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_a_whole_database() {
    let bed = Bed::sqlite().await;
    bed.trajectory("t").await;
    bed.store
        .append(request("t", vec![message(&"text ".repeat(300))]))
        .await
        .unwrap();
    let target = bed.folder().join("backup.db");
    bed.store.backup(&target).await.unwrap();
    assert!(matches!(
        bed.store.backup(&target).await,
        Err(StoreError::FileExists(_))
    ));
    let copy = open(&StoreUrl::Sqlite(target)).await;
    assert_eq!(
        copy.messages("t", 0..9).await.unwrap(),
        bed.store.messages("t", 0..9).await.unwrap()
    );
    assert!(copy.check().await.unwrap().is_sound());
    if let Some(bed) = Bed::postgres().await {
        let refused = bed.store.backup(&bed.folder().join("backup.db")).await;
        assert!(matches!(refused, Err(StoreError::NotHere { .. })));
    }
}
