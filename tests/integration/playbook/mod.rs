//! Playbooks over HTTP.

mod credits;
mod deletion;
mod exchange;
mod growth;
mod http;
mod learned;
mod learning;
mod recorded;
mod meaning;
mod review;
mod scopes;

use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

/// The path of the playbook that most tests use.
pub const SUPPORT: &str = "/v1/playbooks/support";

pub fn add(content: &str) -> Value {
    json!({ "op": "add", "section": "Rules", "content": content })
}

pub async fn send(app: &TestApp, operations: Value) -> Answer {
    app.post(&format!("{SUPPORT}/deltas"), &json!({ "operations": operations })).await
}

/// Applies operations, and returns the ids of the bullets that they add.
pub async fn apply(app: &TestApp, operations: Value) -> Vec<String> {
    let answer = send(app, operations).await.ok();
    let applied = answer["applied"].as_array().unwrap();
    let added = applied.iter().filter(|operation| operation["op"] == "add");
    added.map(|operation| operation["id"].as_str().unwrap().to_owned()).collect()
}

pub async fn get(app: &TestApp) -> Value {
    app.get(SUPPORT).await.ok()
}

pub fn contents(playbook: &Value) -> Vec<&str> {
    playbook["bullets"].as_array().unwrap().iter().map(|bullet| bullet["content"].as_str().unwrap()).collect()
}

/// Different lessons, as many as are asked for.
pub fn lessons(count: usize) -> Vec<Value> {
    let things = ["songs", "orders", "mails", "files", "notes", "rooms", "flights", "cards", "books", "trips"];
    let lesson =
        |at: usize| add(&format!("Before {} change, read every one of the {} twice", things[at % 10], things[at / 10]));
    (0..count).map(lesson).collect()
}
