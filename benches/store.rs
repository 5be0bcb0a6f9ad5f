//! Measures durable appends: 32 agents at once, each in its own trajectory, batches of 4 messages of about
//! 1 kB, on a fresh SQLite file (or on `RECAPD_BENCH_STORE`), and reads of the newest 50 messages beside them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    reason = "a measuring program"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use recap_core::trajectory::{Origin, OriginalHash, Role, WireFormat};
use recapd::store::{AppendRequest, NewMessage, NewTrajectory, Store, StoreUrl};

const AGENTS: u64 = 32;
const BATCH: u64 = 4;
const TIME: Duration = Duration::from_secs(8);

fn main() {
    tokio::runtime::Runtime::new().unwrap().block_on(measure());
}

async fn measure() {
    let folder = tempfile::tempdir().unwrap();
    let url = std::env::var("RECAPD_BENCH_STORE")
        .map_or(StoreUrl::Sqlite(folder.path().join("recapd.db")), |url| url.parse().unwrap());
    let store = Store::open(&url).await.unwrap();
    store.migrate().await.unwrap();
    let run = std::process::id();
    let end = Instant::now() + TIME;
    let mut agents = tokio::task::JoinSet::new();
    for agent in 0..AGENTS {
        agents.spawn(append_until(store.clone(), format!("{run}-{agent}"), agent, end));
    }
    let mut appends: Vec<Duration> = agents.join_all().await.into_iter().flatten().collect();
    let messages = appends.len() as u64 * BATCH;
    println!("{} · {:.0} durable messages/s", store.engine().name(), messages as f64 / TIME.as_secs_f64());
    report("append of 4", &mut appends);
    let mut reads = Vec::new();
    for turn in 0..500 {
        let id = format!("{run}-{}", turn % AGENTS);
        let length = store.trajectory(&id).await.unwrap().unwrap().length;
        let start = Instant::now();
        let messages = store.messages(&id, length.saturating_sub(50)..length).await.unwrap();
        assert!(!messages.is_empty());
        reads.push(start.elapsed());
    }
    report("read of 50", &mut reads);
    store.close().await;
}

fn report(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!("{what}: p50 {:.1?}, p99 {:.1?}, {} times", at(50), at(99), times.len());
}

async fn append_until(store: Store, id: String, agent: u64, end: Instant) -> Vec<Duration> {
    let new = NewTrajectory { id: id.clone(), namespace: "bench".into(), ..NewTrajectory::default() };
    store.create_trajectory(new).await.unwrap();
    let mut times = Vec::new();
    let mut length = 0;
    while Instant::now() < end {
        let messages = (length..length + BATCH).map(|n| message(agent, n)).collect();
        let request = AppendRequest {
            trajectory: id.clone(),
            messages,
            expected_length: Some(length),
            idempotency: None,
            job: None,
            now_ms: 0,
        };
        let start = Instant::now();
        length = store.append(request).await.unwrap().length;
        times.push(start.elapsed());
    }
    times
}

/// About 1 kB of varied words, as a tool's output has.
fn message(agent: u64, n: u64) -> NewMessage {
    let mut seed = agent * 1_000_003 + n;
    let mut text = format!("agent {agent} step {n}\n");
    while text.len() < 1000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        writeln!(text, "word{} value={}", (seed >> 33) % 5000, (seed >> 40) % 1000).unwrap();
    }
    let text: Arc<str> = text.into();
    NewMessage {
        native: serde_json::json!({"role": "user", "content": &*text}).to_string().into(),
        format: WireFormat::OpenAi,
        role: Role::User,
        origin: Origin::Agent,
        tokens: 300,
        admitted: BTreeMap::new(),
        originals: vec![(OriginalHash::of(&text), text)],
    }
}
