//! `recapd playbook learn`: recorded runs, gone through again and again, going on where it stopped.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::learning::{asked, operation, reflection, run_with};
use crate::background::endpoint::Endpoint;
use crate::llm::script::{Request, Step};

/// Learns something else from each run.
fn teacher() -> impl Fn(&Request) -> Step + Send + Sync + 'static {
    |request| {
        let said = request.body["messages"][1]["content"].as_str().unwrap();
        let is_it = |what: &&str| said.contains(&format!("3 {what}")) || said.contains(&format!("say about {what}"));
        let what = ["apples", "rivers", "clouds"].into_iter().find(is_it).unwrap();
        let reply = match asked(&request.body) {
            "reflection" => reflection(&format!("There is more to say about {what}."), &json!([])),
            _ => json!({ "reasoning": "", "operations": [operation("add", "", &format!("Count all {what} first"))] }),
        };
        Step::says(&reply.to_string())
    }
}

fn site(endpoint: &Endpoint) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let base_url = json!(endpoint.base_url);
    let prices = "[llm.prices]\nm-1 = { input = 1000.0, output = 1000.0 }\nm = { input = 1000.0, output = 1000.0 }\n";
    let config = format!("[llm]\nbase_url = {base_url}\nmodel = \"m\"\n{prices}");
    std::fs::write(folder.path().join("recapd.toml"), config).unwrap();
    let runs = ["apples", "rivers", "clouds"].map(|what| {
        let outcome = json!({ "status": "failure", "feedback": format!("target-{what}") });
        json!({ "messages": run_with(&format!("there are 3 {what}")), "outcome": outcome }).to_string()
    });
    std::fs::write(folder.path().join("runs.jsonl"), runs.join("\n")).unwrap();
    folder
}

async fn learn(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.env_clear().arg("--data").arg(folder).args(["playbook", "learn", "--name", "support", "--json"]);
    command.arg(folder.join("runs.jsonl")).args(arguments).output().await.unwrap()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_at_its_limit_and_goes_on_there() {
    let endpoint = Endpoint::open(teacher()).await;
    let folder = site(&endpoint);
    // A call costs 15 tokens, a run two calls.
    let output = learn(folder.path(), &["--epochs", "2", "--max-tokens", "60"]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("--max-tokens 60 is reached; the same command goes on"));
    let first = report(&output);
    assert_eq!((&first["runs"], &first["added"], &first["tokens"]), (&json!(2), &json!(2), &json!(60)), "{first}");
    assert_eq!(endpoint.bodies().len(), 4);

    let output = learn(folder.path(), &["--epochs", "2"]).await;
    assert!(output.status.success(), "{output:?}");
    let second = report(&output);
    assert_eq!((&second["runs"], &second["known"], &second["added"]), (&json!(4), &json!(2), &json!(1)), "{second}");
    assert_eq!(second["left_out"]["twin"], 3, "the second time each lesson is there already: {second}");
    assert_eq!(endpoint.bodies().len(), 12);

    let third = report(&learn(folder.path(), &["--epochs", "2"]).await);
    assert_eq!((&third["runs"], &third["known"]), (&json!(0), &json!(6)), "{third}");
    assert_eq!(endpoint.bodies().len(), 12);
    let other = report(&learn(folder.path(), &["--labels", "none", "--limit", "1"]).await);
    assert_eq!((&other["runs"], &other["left_out"]["twin"]), (&json!(1), &json!(1)), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_sent_where_they_may_be() {
    let endpoint = Endpoint::open(teacher()).await;
    let folder = site(&endpoint);
    report(&learn(folder.path(), &["--labels", "none"]).await);
    let sent = json!(endpoint.bodies()).to_string();
    assert!(!sent.contains("target-") && !sent.contains("failure"), "{sent}");
    report(&learn(folder.path(), &["--labels", "outcome"]).await);
    assert!(json!(endpoint.bodies()).to_string().contains("target-clouds"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_an_answer_is_skipped_and_named() {
    let endpoint = Endpoint::open(teacher()).await;
    let folder = site(&endpoint);
    let silent = json!({ "messages": [{ "role": "user", "content": "Hello." }] });
    std::fs::write(folder.path().join("runs.jsonl"), silent.to_string()).unwrap();
    let output = learn(folder.path(), &["--epochs", "2"]).await;
    let report = report(&output);
    assert!(output.status.success(), "{output:?}");
    let skipped = report["skipped"].as_array().unwrap();
    assert_eq!((&report["runs"], skipped.len(), endpoint.bodies().len()), (&json!(0), 1, 0), "{report}");
    assert!(skipped[0]["reason"].as_str().unwrap().contains("no turn of an assistant"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_is_a_limit_too() {
    let endpoint = Endpoint::open(teacher()).await;
    let folder = site(&endpoint);
    let output = learn(folder.path(), &["--max-cost-usd", "0.02"]).await;
    let report = report(&output);
    assert_eq!((output.status.code(), &report["runs"]), (Some(1), &json!(1)), "{report}");
    assert!(report["cost_usd"].as_f64().unwrap() >= 0.02, "{report}");
    assert!(report["stopped"].as_str().unwrap().contains("--max-cost-usd"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("runs.jsonl"), "").unwrap();
    let output = learn(folder.path(), &[]).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no chat model"));
}
