//! Distillation: examples of a compressor's work, and heads that are activated.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use recapd::store::{NewHead, StoreUrl};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::run::tool_run;
use crate::store::bed::Bed;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/trajectories.jsonl");
const SECRET: &str = "Zq7$kLm92x";

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn export(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.env_clear().arg("--data").arg(folder).args(["distill", "export", "--json"]);
    command.args(arguments).output().unwrap()
}

/// A run of many epochs that names a secret, and how it ended.
async fn ended(app: &TestApp, task: &str, status: &str) -> String {
    let path = app.trajectory(&json!({ "metadata": { "task_id": task } })).await;
    let mut messages = tool_run(30, 400);
    let told = messages[3]["content"].as_str().unwrap();
    messages[3]["content"] = json!(format!("{{\"user\": \"ann\", \"password\": \"{SECRET}\"}}\n{told}"));
    for turns in messages.chunks(10) {
        app.append(&path, turns).await;
        app.get(&format!("{path}/context?budget=2500")).await.ok();
    }
    app.post(&format!("{path}/outcome"), &json!({ "status": status })).await.ok();
    path.rsplit('/').next().unwrap().to_owned()
}

async fn over(app: &TestApp, id: &str) -> Value {
    for _ in 0..400 {
        let row = app.get(&format!("/v1/distillations/{id}")).await.ok();
        if !["queued", "running"].contains(&row["state"].as_str().unwrap()) {
            return row;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("distillation {id} does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_runs_that_succeeded_become_examples_without_secrets() {
    let app = TestApp::start().await;
    let good = ended(&app, "tasks/one", "success").await;
    ended(&app, "tasks/two", "failure").await;
    let asked = app.post("/v1/distillations", &json!({ "kind": "export" })).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let id = asked.json()["id"].as_str().unwrap().to_owned();
    let done = over(&app, &id).await;
    assert_eq!((&done["state"], &done["report"]["runs"]), (&json!("done"), &json!(1)), "{done}");
    assert_eq!(done["report"]["unsuccessful"], 1, "{done}");
    let file = app.folder.path().join(done["report"]["files"][0].as_str().unwrap());
    let examples = lines(&file);
    assert_eq!(json!(examples.len()), done["report"]["examples"]);
    assert!(!examples.is_empty());
    assert!(done["report"]["masked"].as_u64().unwrap() > 0, "{done}");
    for example in &examples {
        let about = &example["metadata"];
        assert_eq!((&about["trajectory"], &about["task"]), (&json!(good), &json!("tasks/one")), "{about}");
        assert_eq!((&about["success"], &about["compressor"]), (&json!(true), &json!("rules")), "{about}");
        assert!(about["guideline"].as_str().unwrap().starts_with("default/history@"), "{about}");
        assert!(!example.to_string().contains(SECRET), "{example}");
    }
    assert!(examples[0]["messages"][1]["content"].as_str().unwrap().contains("\"password\": \"[secret]\""));

    let split = json!({ "kind": "export", "outcomes": "any", "split": { "seed": 7, "held_out": 0.5 } });
    let id = app.post("/v1/distillations", &split).await.ok()["id"].as_str().unwrap().to_owned();
    let parted = over(&app, &id).await;
    let report = &parted["report"];
    assert_eq!((report["runs"].as_u64(), report["files"].as_array().unwrap().len()), (Some(2), 2), "{parted}");
    let sides = report["train"].as_u64().unwrap() + report["held_out"].as_u64().unwrap();
    assert_eq!(Some(sides), report["examples"].as_u64());
    let list = app.get("/v1/distillations?limit=1").await.ok();
    assert_eq!(list["distillations"][0]["id"], json!(id));
    assert!(list["next_cursor"].is_string());
    let cancelled = app.post(&format!("/v1/distillations/{id}/cancel"), &json!({})).await.ok();
    assert_eq!(cancelled["state"], "done", "what is over stays as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_distilled_is_refused() {
    let mut app = TestApp::start().await;
    for (body, pointer) in [
        (json!({ "kind": "export", "split": { "seed": 1, "held_out": 1.0 } }), "/split/held_out"),
        (json!({ "kind": "export", "max_source_tokens": 3 }), "/max_source_tokens"),
        (json!({ "kind": "export", "cases": { "limit": 0 } }), "/cases/limit"),
    ] {
        let problem = app.post("/v1/distillations", &body).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    app.post("/v1/distillations", &json!({ "kind": "export", "what": 1 })).await.problem(422);
    app.get("/v1/distillations/none").await.problem(404);
    let made = app.post("/v1/keys", &json!({ "name": "admin", "scope": "admin" })).await.ok();
    app.key = made["key"].as_str().map(str::to_owned);
    let key = |scope: &str| json!({ "name": scope, "scope": scope, "namespace": "blue" });
    let agent = app.post("/v1/keys", &key("agent")).await.ok()["key"].as_str().unwrap().to_owned();
    let blue = app.post("/v1/keys", &key("operator")).await.ok()["key"].as_str().unwrap().to_owned();
    app.key = Some(agent);
    app.post("/v1/distillations", &json!({ "kind": "export" })).await.problem(403);
    app.get("/v1/heads").await.problem(403);
    app.key = Some(blue);
    let other = json!({ "kind": "export", "cases": { "namespace": "red" } });
    app.post("/v1/distillations", &other).await.problem(403);
    let own = app.post("/v1/distillations", &json!({ "kind": "export" })).await.ok();
    assert_eq!(own["namespace"], "blue");
    app.post("/v1/heads/rollback", &json!({})).await.problem(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_head_that_passed_the_gate_scores() {
    let bed = Bed::sqlite().await;
    let StoreUrl::Sqlite(path) = &bed.url else { unreachable!() };
    let app = TestApp::start_with(&[("storage.database_url", path.to_str().unwrap())]).await;
    assert_eq!(app.get("/v1/heads").await.ok()["champion"], Value::Null);
    app.post("/v1/heads/rollback", &json!({})).await.problem(422);
    let mut hashes = Vec::new();
    for (weights, verdict) in [("one", Some(true)), ("two", Some(true)), ("bad", Some(false))] {
        let head = NewHead {
            weights: weights.into(),
            manifest: json!({ "seed": 1 }),
            verdict: verdict.map(|passes| (json!({ "passes": passes }), passes)),
            actor: "me".into(),
            created_ms: 5,
        };
        hashes.push(bed.store.add_head(head).await.unwrap().to_string());
    }
    let activate = async |at: usize, expected: Value| {
        let body = json!({ "expected_champion": expected });
        app.post(&format!("/v1/heads/{}/activate", hashes[at]), &body).await
    };
    let refused = activate(2, Value::Null).await.problem(409);
    assert_eq!(refused["type"], "/problems/gate-not-passed");
    assert_eq!(activate(0, Value::Null).await.ok()["champion"], json!(hashes[0]));
    let late = activate(1, Value::Null).await.problem(412);
    assert_eq!((&late["type"], &late["current_champion"]), (&json!("/problems/champion-changed"), &json!(hashes[0])));
    activate(1, json!(hashes[0])).await.ok();
    assert_eq!(app.post("/v1/heads/rollback", &json!({})).await.ok()["champion"], json!(hashes[0]));
    let all = app.get("/v1/heads").await.ok();
    assert_eq!(all["heads"].as_array().unwrap().len(), 3);
    assert_eq!(all["events"].as_array().unwrap().len(), 3);
    let one = app.get(&format!("/v1/heads/{}", hashes[2])).await.ok();
    assert_eq!((&one["passed"], &one["bytes"]), (&json!(false), &json!(3)));
    app.get(&format!("/v1/heads/b3:{}", "0".repeat(64))).await.problem(404);
    app.send(Method::GET, "/v1/heads/what", None, &[]).await.problem(422);
    let audit = app.get("/v1/audit").await.ok();
    assert_eq!(audit["audit"][0]["action"], "head.rollback");
}

#[test]
fn files_are_served_by_rules_and_parted_by_task() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("examples.jsonl");
    let out = out.to_str().unwrap();
    let served = ["--min-peak", "1000", "--fraction", "0.25", "--floor", "300", "--out", out];
    let strict = export(folder.path(), &[&[FIXTURE][..], &served].concat());
    assert!(strict.status.success(), "{strict:?}");
    let report: Value = serde_json::from_slice(&strict.stdout).unwrap();
    assert_eq!((&report["examples"], &report["unsuccessful"]), (&json!(0), &json!(2)), "{report}");

    let all = export(folder.path(), &[&[FIXTURE, "--all"][..], &served].concat());
    assert!(all.status.success(), "{all:?}");
    let report: Value = serde_json::from_slice(&all.stdout).unwrap();
    let examples = lines(Path::new(out));
    assert_eq!(json!(examples.len()), report["examples"]);
    insta::assert_json_snapshot!("exported_example", examples[0]);

    let parted = export(folder.path(), &[&[FIXTURE, "--all", "--split", "3,0.5"][..], &served].concat());
    assert!(parted.status.success(), "{parted:?}");
    let sides = ["examples.train.jsonl", "examples.held-out.jsonl"].map(|name| lines(&folder.path().join(name)));
    assert_eq!(sides.iter().map(Vec::len).sum::<usize>(), examples.len());
    let tasks = sides.map(|side| side.iter().map(|one| one["metadata"]["task"].to_string()).collect::<Vec<_>>());
    assert!(tasks[0].iter().all(|task| !tasks[1].contains(task)), "{tasks:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".part")), "{left:?}");

    for wrong in [&["--split", "3,1.5"][..], &["--fraction", "2"], &["--compressor", "llm"]] {
        let refused = export(folder.path(), &[&[FIXTURE, "--out", out][..], wrong].concat());
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}
