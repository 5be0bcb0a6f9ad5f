//! Models in the background: what they make, what becomes of it when they fail, are killed or late.

mod deletion;
pub mod endpoint;
mod faults;
mod kill;
mod late;
mod observations;
mod policies;
mod real;
mod replies;
mod sharing;
mod swap;

use std::time::Duration;

use recap_core::context::{Compression, RULES, Told};
use recapd::store::{JobRow, ModelCall, ModelCallFilter, Store, StoreUrl};
use serde_json::{Value, json};

use self::endpoint::Endpoint;
use crate::app::TestApp;
use crate::run::{tool_run, tool_turn};
use crate::store::bed::Bed;

/// For what comes to be unless there is a fault.
const PATIENCE: Duration = Duration::from_mins(1);
/// Words of a turn here.
const WORDS: usize = 120;
/// Turns that fill the room past the soft mark and still fit.
const TURNS: usize = 6;

/// A daemon whose histories a scripted model tells, and its database.
struct Bench {
    app: TestApp,
    endpoint: Endpoint,
    bed: Bed,
}

impl Bench {
    async fn start(bed: Bed, endpoint: Endpoint, values: &[(&str, &str)]) -> Self {
        let url = address(&bed);
        let own = [
            ("storage.database_url", url.as_str()),
            ("llm.base_url", endpoint.base_url.as_str()),
            ("llm.model", "m"),
            ("compress.history", "llm"),
            ("compress.t_hist", "1000"),
            ("context.budget", "4000"),
            ("context.soft_mark", "0.5"),
            ("context.low_mark", "0.4"),
        ];
        let app = TestApp::start_with(&[&own, values].concat()).await;
        Self { app, endpoint, bed }
    }

    /// Makes a trajectory whose room is full past the soft mark, and reads it once. Returns its path.
    async fn run(&self, fields: &Value) -> String {
        let path = self.app.trajectory(fields).await;
        self.app.append(&path, &tool_run(TURNS, WORDS)).await;
        let context = self.read(&path).await;
        assert_eq!((&context["epoch"], recaps(&context).len()), (&json!(0), 0), "{}", context["next"]);
        assert_eq!((&context["epoch"], recaps(&context).len()), (&json!(0), 0), "{}", context["next"]);
        path
    }

    async fn read(&self, path: &str) -> Value {
        self.app.get(&format!("{path}/context")).await.ok()
    }

    /// Appends one turn and reads.
    async fn grow(&self, path: &str, turn: usize) -> Value {
        self.app.append(path, &tool_turn(turn, WORDS)).await;
        self.read(path).await
    }

    /// Appends turns from one on and reads after each, until an epoch begins. Returns its first context and the next
    /// turn. What is served before only grows.
    async fn grow_to_epoch(&self, path: &str, from: usize) -> (Value, usize) {
        let mut before = self.read(path).await;
        for turn in from..from + 40 {
            let now = self.grow(path, turn).await;
            if now["epoch"] != before["epoch"] {
                assert_eq!(now["prefix"]["changed"], true);
                return (now, turn + 1);
            }
            only_grew(&before, &now);
            before = now;
        }
        panic!("no epoch begins: {}", before["next"]);
    }

    /// Waits until so many compressions of a trajectory are stored and no job is left.
    async fn made(&self, path: &str, count: usize) -> Vec<Compression> {
        made(&self.bed.store, path, count).await
    }

    /// Waits until no job is left.
    async fn quiet(&self) {
        until("the jobs end", async || all_jobs(&self.bed.store).await.is_empty().then_some(())).await;
    }

    async fn calls(&self, path: &str) -> Vec<ModelCall> {
        let filter = ModelCallFilter { trajectory: Some(id(path).to_owned()), ..ModelCallFilter::default() };
        self.bed.store.list_model_calls(&filter, None, 1000).await.unwrap().calls
    }
}

/// The database's address as the configuration has it.
pub fn address(bed: &Bed) -> String {
    match &bed.url {
        StoreUrl::Sqlite(path) => path.display().to_string(),
        StoreUrl::Postgres(url) => url.clone(),
    }
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

async fn all_jobs(store: &Store) -> Vec<JobRow> {
    crate::jobs::jobs(store).await
}

async fn compressions(store: &Store, path: &str) -> Vec<Compression> {
    let rows = store.compressions(id(path)).await.unwrap();
    rows.iter().map(|row| serde_json::from_str(row).unwrap()).collect()
}

async fn made(store: &Store, path: &str, count: usize) -> Vec<Compression> {
    until(&format!("{count} compressions"), async || {
        let found = compressions(store, path).await;
        (found.len() >= count && all_jobs(store).await.is_empty()).then_some(found)
    })
    .await
}

/// Looks again and again.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let poll = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Waits until the metrics say something. What a job did is counted after the write that ends it.
pub async fn counted(app: &TestApp, sample: &str) {
    let says = async || app.get("/metrics").await.text().contains(sample).then_some(());
    until(&format!("`{sample}` is counted"), says).await;
}

/// The recaps by models, in the order of their turns, each turn told once.
fn told(made: &[Compression]) -> Vec<Told> {
    let tellings = made.iter().filter_map(|made| match made {
        Compression::Told(told) => Some(told.clone()),
        Compression::Condensed(_) | Compression::Scored(_) => None,
    });
    let mut all: Vec<Told> = tellings.collect();
    all.sort_by_key(|told| told.turns);
    let mut next = 1;
    for told in &all {
        assert_eq!(told.turns[0], next, "turns are told twice or left out");
        next = told.turns[1] + 1;
    }
    all
}

fn recaps(context: &Value) -> Vec<Value> {
    context["pieces"].as_array().unwrap().iter().filter(|piece| piece["kind"] == "recap").cloned().collect()
}

/// The recap pieces that a model had a part in.
fn by_model(context: &Value) -> Vec<Value> {
    recaps(context).into_iter().filter(|piece| piece["compressor"] != RULES).collect()
}

/// Everything that is served, as one text.
fn text(context: &Value) -> String {
    context["messages"].to_string()
}

/// Nothing but the end of a context changed.
fn only_grew(before: &Value, now: &Value) {
    let (before, now) = (before["messages"].as_array().unwrap(), now["messages"].as_array().unwrap());
    assert_eq!(now[..before.len()], before[..]);
}
