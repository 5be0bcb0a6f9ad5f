//! Tuning runs: from trajectories to a verdict, over HTTP and on the command line.

mod agents;
mod broken;
mod cli;
mod deletion;
mod gate;
mod http;
mod pairs;
mod taught;

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::app::TestApp;

pub const GUIDELINE: &str = "default/history";

/// The champion of tests that plant an improvement: it drops the lines that later actions use.
pub const BAD: &str = "---\nkind: history\ndrop:\n  - '/^ticket /'\nvariables: [most_tokens]\n---\nWrite at most {{ most_tokens }} tokens.\n";
/// The same without that rule.
pub const GOOD: &str = "---\nkind: history\nvariables: [most_tokens]\n---\nWrite at most {{ most_tokens }} tokens.\n";

/// A run that looks up tickets among many lines, and comes back to each of them at its end.
pub fn ticket_run(task: usize) -> Vec<Value> {
    const TICKETS: usize = 6;
    let code = |n: usize| format!("TK-{:05}", (task * 7_919 + n * 104_729) % 90_000 + 10_000);
    let call = |id: String, name: &str, arguments: Value| {
        json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": id, "type": "function",
            "function": { "name": name, "arguments": arguments.to_string() } }] })
    };
    let mut messages = vec![
        json!({ "role": "system", "content": "You help at a desk." }),
        json!({ "role": "user", "content": format!("Close the tickets of customer number {task}.") }),
    ];
    for n in 0..TICKETS {
        let id = format!("look_{n}");
        messages.push(call(id.clone(), "look_up", json!({ "page": n })));
        let mut page = String::new();
        for line in 0..30 {
            let noise = (task * 31 + n * 17 + line * 13) % 997;
            writeln!(page, "shelf {line} holds {noise} boxes of paper in row {}", noise % 19).unwrap();
            if line == 14 {
                writeln!(page, "ticket {} waits for an answer", code(n)).unwrap();
            }
        }
        messages.push(json!({ "role": "tool", "tool_call_id": id, "content": page }));
    }
    for n in 0..TICKETS {
        let id = format!("close_{n}");
        messages.push(call(id.clone(), "close_ticket", json!({ "ticket": code(n) })));
        messages.push(json!({ "role": "tool", "tool_call_id": id, "content": "done" }));
    }
    messages.push(json!({ "role": "assistant", "content": "All are closed." }));
    messages
}

/// Stores a trajectory for each task.
pub async fn store_runs(app: &TestApp, tasks: std::ops::Range<usize>) -> Vec<String> {
    let mut ids = Vec::new();
    for task in tasks {
        let path = app.trajectory(&json!({ "task": format!("task {task}"), "agent": "desk" })).await;
        app.append(&path, &ticket_run(task)).await;
        ids.push(path.rsplit('/').next().unwrap().to_owned());
    }
    ids
}

/// Makes a text the champion, and returns its hash.
pub async fn champion(app: &TestApp, text: &str) -> String {
    let hash = draft(app, text).await;
    let expected = app.get(&format!("/v1/guidelines/{GUIDELINE}")).await.ok()["champion"].clone();
    let body = json!({ "hash": hash, "expected_champion": expected });
    app.post(&format!("/v1/guidelines/{GUIDELINE}/activate"), &body).await.ok();
    hash
}

/// Saves a draft, and returns its hash.
pub async fn draft(app: &TestApp, text: &str) -> String {
    let path = format!("/v1/guidelines/{GUIDELINE}");
    let saved = app.send(reqwest::Method::PUT, &path, Some(&json!({ "text": text })), &[]).await.ok();
    saved["hash"].as_str().unwrap().to_owned()
}

/// What is asked of a run on these trajectories.
pub fn spec(more: &Value) -> Value {
    let mut spec = json!({ "guideline": GUIDELINE, "objective": "utility", "split": { "seed": 5, "held_out": 0.5 },
        "cases": { "min_peak": 500 }, "budget": { "fraction": 0.4, "floor": 400 } });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

/// Starts a run and returns its path.
pub async fn start(app: &TestApp, spec: &Value) -> String {
    let started = app.post("/v1/tuning-runs", spec).await;
    assert_eq!(started.status, 202, "{}", started.text());
    let path = started.headers["location"].to_str().unwrap().to_owned();
    assert!(path.ends_with(started.json()["id"].as_str().unwrap()));
    path
}

/// Waits until a run is no longer in work, and returns it.
pub async fn ended(app: &TestApp, path: &str) -> Value {
    until(app, path, |run| !matches!(run["state"].as_str(), Some("queued" | "running"))).await
}

/// Waits until something holds of a run, and returns it.
pub async fn until(app: &TestApp, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..6000 {
        let run = app.get(path).await.ok();
        if holds(&run) {
            return run;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it takes too long: {}", app.get(path).await.text());
}
