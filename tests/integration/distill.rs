//! Distillation: examples of a compressor's work, and heads that are activated.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

#[cfg(feature = "local-models")]
use recapd::store::Store;
use recapd::store::{HeadVerdict, Measured, NewHead, StoreUrl};
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::run::tool_run;
#[cfg(feature = "local-models")]
use crate::run::{desk_run, export_run};
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

fn passes(passes: bool) -> HeadVerdict {
    HeadVerdict { said: json!({ "passes": passes }), passes, against: Measured::Rules }
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
            verdict: verdict.map(passes),
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
    let measured = app.post(&format!("/v1/heads/{}/activate", hashes[1]), &json!({})).await.problem(412);
    assert_eq!(measured["current_champion"], json!(hashes[0]), "it was measured against rules");
    activate(1, json!(hashes[0])).await.ok();
    assert_eq!(app.post("/v1/heads/rollback", &json!({})).await.ok()["champion"], json!(hashes[0]));
    let all = app.get("/v1/heads").await.ok();
    assert_eq!(all["heads"].as_array().unwrap().len(), 3);
    assert_eq!(all["events"].as_array().unwrap().len(), 3);
    let one = app.get(&format!("/v1/heads/{}", hashes[2])).await.ok();
    assert_eq!((&one["passed"], &one["bytes"], &one["measured"]), (&json!(false), &json!(3), &json!("rules")));
    app.get(&format!("/v1/heads/b3:{}", "0".repeat(64))).await.problem(404);
    app.send(Method::GET, "/v1/heads/what", None, &[]).await.problem(422);
    let audit = app.get("/v1/audit").await.ok();
    assert_eq!(audit["audit"][0]["action"], "head.rollback");
}

/// Writes runs as a file, each of a task of its own.
#[cfg(feature = "local-models")]
fn written(folder: &Path, kind: &str, runs: impl Iterator<Item = Vec<Value>>) -> String {
    let lines = runs.enumerate().map(|(n, messages)| {
        json!({ "id": format!("run-{n}"), "task": format!("{kind}-{n}"), "messages": messages }).to_string()
    });
    let path = folder.join(format!("{kind}.jsonl"));
    std::fs::write(&path, lines.collect::<Vec<_>>().join("\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

#[cfg(feature = "local-models")]
fn train(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.env_clear().arg("--data").arg(folder.join("data")).args(["distill", "train"]);
    command.args(["--min-peak", "1000", "--split", "1,0.4", "--seed", "5"]).args(arguments).output().unwrap()
}

#[test]
#[cfg(feature = "local-models")]
fn a_head_is_trained_from_files_taken_up_again_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let runs = written(folder.path(), "task", (0..10).map(export_run));
    let out = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (whole, broken) = (out("whole"), out("broken"));
    let first = train(folder.path(), &["--json", &runs, "--out", &whole, "--epochs", "3"]);
    let report: Value = serde_json::from_slice(&first.stdout).unwrap_or_else(|_| panic!("{first:?}"));
    assert_eq!(report["curve"].as_array().unwrap().len(), 3, "{report}");
    assert!(report["train_examples"].as_u64().unwrap() > 200, "{report}");
    assert!(report["held_out_examples"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(first.status.success(), report["verdict"]["passes"] == json!(true));
    assert!(report["verdict"]["cases"].as_u64().unwrap() > 0, "{report}");
    let measured = &report["measures"][1]["candidate"];
    assert!(measured["contexts"].as_u64().unwrap() > 0, "{report}");

    // the same course on a folder that holds what the first one stood at: nothing is left to train, and the head is the same
    std::fs::create_dir(&broken).unwrap();
    std::fs::copy(format!("{whole}/checkpoint.bin"), format!("{broken}/checkpoint.bin")).unwrap();
    let again = train(folder.path(), &["--json", &runs, "--out", &broken, "--epochs", "3"]);
    let second: Value = serde_json::from_slice(&again.stdout).unwrap_or_else(|_| panic!("{again:?}"));
    assert_eq!((&second["head"], &second["curve"]), (&report["head"], &report["curve"]));
    let heads = [&whole, &broken].map(|folder| std::fs::read(format!("{folder}/head.json")).unwrap());
    assert_eq!(heads[0], heads[1]);

    let losses = |head: &[&str]| {
        let lost = out("lost.jsonl");
        let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
        let asked = ["tune", "audit", &runs, "--min-peak", "1000", "--fraction", "0.25", "--floor", "300"];
        let told = command.env_clear().args(asked).args(["--failures", &lost]).args(head).output().unwrap();
        (told.status.code(), std::fs::read_to_string(&lost).unwrap_or_default())
    };
    assert!(!losses(&[]).1.contains("extract:head@"));
    let (code, heard) = losses(&["--head", &format!("{whole}/head.json")]);
    assert!(code == Some(0) && heard.contains("extract:head@"), "{code:?} {heard}");
    assert_eq!(losses(&["--head", &runs]).0, Some(2), "no head");

    let few = train(folder.path(), &[FIXTURE, "--out", &out("few"), "--epochs", "201"]);
    assert_eq!(few.status.code(), Some(2), "{few:?}");
}

/// The heads in the data folder of a training, with how they came to be.
#[cfg(feature = "local-models")]
async fn manifests(folder: &Path) -> Vec<Value> {
    let store = Store::open(&StoreUrl::Sqlite(folder.join("data/recapd.db"))).await.unwrap();
    let heads = store.heads().await.unwrap();
    store.close().await;
    heads.into_iter().map(|head| head.manifest).collect()
}

#[tokio::test]
#[cfg(feature = "local-models")]
async fn what_a_head_does_elsewhere_is_told_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (runs, other) =
        (written(folder.path(), "task", (0..16).map(export_run)), written(folder.path(), "desk", (0..5).map(desk_run)));
    let out = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (alone, beside) = (out("alone"), out("beside"));
    let own = [&runs, "--epochs", "2", "--out"];
    let first = train(folder.path(), &[&["--json"], &own[..], &[&alone]].concat());
    assert!(manifests(folder.path()).await[0].get("elsewhere").is_none());
    let looked = ["--elsewhere", &other, "--elsewhere", &runs];
    let second = train(folder.path(), &[&own[..], &[&beside], &looked].concat());
    assert_eq!(first.status.code(), second.status.code(), "{second:?}");
    let reports = [&alone, &beside].map(|folder| std::fs::read(format!("{folder}/report.json")).unwrap());
    let reports = reports.map(|report| serde_json::from_slice::<Value>(&report).unwrap());
    assert_eq!(reports[0], serde_json::from_slice::<Value>(&first.stdout).unwrap());
    for same in ["head", "curve", "verdict", "measures", "familiar", "train_examples", "held_out_examples"] {
        assert_eq!(reports[0][same], reports[1][same], "{same}");
    }
    let heads = [&alone, &beside].map(|folder| std::fs::read(format!("{folder}/head.json")).unwrap());
    assert_eq!(heads[0], heads[1]);
    assert!(reports[0].get("elsewhere").is_none(), "{}", reports[0]);

    let found = &reports[1]["elsewhere"];
    assert_eq!((&found["runs"], &found["tasks"], &found["unserved"]), (&json!(5), &json!(5), &json!(0)), "{found}");
    assert_eq!((&found["known"], &found["measured"]), (&json!(16), &json!("rules")), "the training's tasks: {found}");
    assert_eq!(&manifests(folder.path()).await[0]["elsewhere"], found);
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    let asked = ["replay", &other, "--json", "--min-peak", "1000", "--head", &format!("{beside}/head.json")];
    let replayed = command.env_clear().args(asked).output().unwrap();
    let rows: Vec<Value> =
        String::from_utf8(replayed.stdout).unwrap().lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert_eq!(rows.len(), found["measures"].as_array().unwrap().len());
    for (row, at) in rows.iter().zip(found["measures"].as_array().unwrap()) {
        assert_eq!(at["budget"]["fraction"], row["fraction"]);
        for measure in ["trajectories", "contexts", "grounding", "bound", "first", "billed", "over", "invalid"] {
            assert_eq!(at["candidate"][measure], row[measure], "{measure}");
        }
        let change = &at["bound"];
        assert_eq!((&change["tasks"], &at["cases"], &at["missing"]), (&json!(5), &json!(5), &json!(0)), "{at}");
        assert!(change["interval"][0].as_f64() <= change["by"].as_f64(), "{at}");
        assert!(at["harms"].is_array() && at["candidate_faults"] == json!(0), "{at}");
    }

    // on its own kind the head is heard, on the other one rules are
    assert_eq!(reports[1]["familiar"], true, "{}", reports[1]);
    let head: Value = serde_json::from_slice(&heads[0]).unwrap();
    let kinds: f64 = (7..14).filter_map(|at| head["familiar"]["means"][at].as_f64()).sum();
    assert!(
        (kinds - 1.0).abs() < 1e-4,
        "each value is of one kind, and no plan without values is learned from: {kinds}"
    );
    for at in reports[1]["measures"].as_array().unwrap() {
        assert!(at["planned"].as_u64().unwrap() > 0 && at["heard"] == at["planned"], "{at}");
        assert_ne!(at["champion"], at["candidate"], "{at}");
    }
    for at in found["measures"].as_array().unwrap() {
        assert!(at["planned"].as_u64().unwrap() > 0 && at["heard"] == json!(0), "{at}");
        assert_eq!(at["champion"], at["candidate"], "{at}");
    }

    let text = String::from_utf8(second.stdout).unwrap();
    let (judged, told) = text.split_once("ELSEWHERE, told and not judged: 5 runs of 5 tasks").unwrap();
    assert!(judged.contains("beside rules: ") && judged.contains(" epochs, 100 %.\n"), "{text}");
    assert!(told.contains("16 runs are left out: the training's runs have their tasks"), "{text}");
    assert!(told.contains("The head had a word in 0 of ") && told.contains(" epochs, 0 %."), "{text}");
    assert_eq!(told.lines().filter(|line| line.contains("change")).count(), 2, "{text}");
    let missing = train(folder.path(), &[&own[..], &[&out("none"), "--elsewhere", "/none"]].concat());
    assert_eq!((missing.status.code(), Path::new(&out("none")).exists()), (Some(1), false), "{missing:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "local-models")]
async fn the_daemon_trains_a_head_and_serves_it_once_it_may() {
    let bed = Bed::sqlite().await;
    let StoreUrl::Sqlite(path) = &bed.url else { unreachable!() };
    let values = [("storage.database_url", path.to_str().unwrap()), ("compress.history", "extract")];
    let app = TestApp::start_with(&values).await;
    for task in 0..6 {
        let path = app.trajectory(&json!({ "agent": "desk", "metadata": { "task_id": format!("task-{task}") } })).await;
        app.append(&path, &tool_run(12, 160)).await;
    }
    let asked = json!({ "kind": "train", "cases": { "agent": "desk", "min_peak": 1000 }, "seed": 3, "epochs": 2,
        "split": { "seed": 1, "held_out": 0.4 } });
    let id = app.post("/v1/distillations", &asked).await.ok()["id"].as_str().unwrap().to_owned();
    let done = over(&app, &id).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["report"]["curve"].as_array().unwrap().len(), 2, "{done}");
    let hash = done["head"].as_str().unwrap();
    let head = app.get(&format!("/v1/heads/{hash}")).await.ok();
    assert_eq!(head["verdict"], done["report"]["verdict"]);
    assert_eq!(head["manifest"]["course"]["seed"], 3, "{head}");
    assert_eq!(head["passed"], false, "it keeps no more than rules where no action uses anything: {head}");
    let nobody = json!({ "expected_champion": null });
    app.post(&format!("/v1/heads/{hash}/activate"), &nobody).await.problem(409);

    // the same weights, let pass
    let row = bed.store.head_weights(&hash.parse().unwrap()).await.unwrap().unwrap();
    let passed =
        NewHead { weights: row, manifest: json!({}), verdict: Some(passes(true)), actor: "me".into(), created_ms: 5 };
    bed.store.add_head(passed).await.unwrap();
    let served = async || {
        let path = app.trajectory(&json!({})).await;
        app.append(&path, &tool_run(20, 300)).await;
        app.get(&format!("{path}/context?budget=2500")).await.ok().to_string()
    };
    assert!(!served().await.contains("extract:head@"));
    app.post(&format!("/v1/heads/{hash}/activate"), &nobody).await.ok();
    let handle = hash.get(..11).unwrap();
    assert!(served().await.contains(&format!("extract:head@{handle}")));
    let counted = app.get("/metrics").await.text().to_owned();
    assert!(counted.contains("recapd_head_epochs_total{word=\"asked\"} 1"), "a head of few tasks is asked: {counted}");
    // rules serve what examples are of, whatever scores: the same course comes to the same head, and its verdict stands
    let id = app.post("/v1/distillations", &asked).await.ok()["id"].as_str().unwrap().to_owned();
    let repeated = over(&app, &id).await;
    assert_eq!((&repeated["head"], &repeated["report"]["measured"]), (&json!(hash), &json!(hash)), "{repeated}");
    let kept = app.get(&format!("/v1/heads/{hash}")).await.ok();
    assert_eq!((&kept["passed"], &kept["measured"]), (&json!(true), &json!("rules")), "{kept}");
    app.post("/v1/heads/rollback", &json!({})).await.ok();
    assert!(!served().await.contains("extract:head@"));
}

/// Asks for a training of the runs of six tasks, and returns its id.
#[cfg(feature = "local-models")]
async fn asked_to_train(app: &TestApp, epochs: u32) -> String {
    let asked = json!({ "kind": "train", "cases": { "min_peak": 1000 }, "seed": 3, "epochs": epochs,
        "split": { "seed": 1, "held_out": 0.4 } });
    app.post("/v1/distillations", &asked).await.ok()["id"].as_str().unwrap().to_owned()
}

#[cfg(feature = "local-models")]
async fn six_tasks(app: &TestApp) {
    for task in 0..6 {
        let path = app.trajectory(&json!({ "metadata": { "task_id": format!("task-{task}") } })).await;
        app.append(&path, &tool_run(12, 160)).await;
    }
}

/// Waits for the first curve that a training shows of at least so many epochs, and returns how many there are.
#[cfg(feature = "local-models")]
async fn curve_of(app: &TestApp, id: &str, least: usize) -> usize {
    for _ in 0..4_000 {
        let row = app.get(&format!("/v1/distillations/{id}")).await.ok();
        let curve = row["report"]["curve"].as_array().map_or(0, Vec::len);
        if curve >= least {
            return curve;
        }
        assert!(["queued", "running"].contains(&row["state"].as_str().unwrap()), "{row}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    panic!("distillation {id} shows no curve");
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "local-models")]
async fn a_training_that_the_daemon_stopped_in_goes_on_and_ends_as_one_that_was_not() {
    let app = TestApp::start().await;
    six_tasks(&app).await;
    let whole = over(&app, &asked_to_train(&app, 40).await).await;
    assert_eq!(whole["state"], "done", "{whole}");

    let id = asked_to_train(&app, 40).await;
    let before = curve_of(&app, &id, 2).await;
    // what comes later is none of the run's cases
    let late = app.trajectory(&json!({ "metadata": { "task_id": "task-9" } })).await;
    app.append(&late, &tool_run(12, 160)).await;
    let app = app.restart().await;
    let row = app.get(&format!("/v1/distillations/{id}")).await.ok();
    assert!(["queued", "running"].contains(&row["state"].as_str().unwrap()), "{row}");
    let stood = row["report"]["curve"].as_array().map_or(before, Vec::len);
    assert!(curve_of(&app, &id, 1).await >= stood, "it goes on where it stood");
    let done = over(&app, &id).await;
    assert_eq!((&done["state"], &done["head"]), (&json!("done"), &whole["head"]), "{done}");
    assert_eq!(done["report"]["curve"], whole["report"]["curve"]);
    assert_eq!(done["report"]["runs"], 6);
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "local-models")]
async fn a_training_ends_soon_after_it_is_given_up() {
    let app = TestApp::start().await;
    six_tasks(&app).await;
    let id = asked_to_train(&app, 40).await;
    curve_of(&app, &id, 1).await;
    let given_up = app.post(&format!("/v1/distillations/{id}/cancel"), &json!({})).await.ok();
    assert_eq!(given_up["state"], "cancelled", "{given_up}");
    for _ in 0..200 {
        if app.get("/v1/jobs").await.ok()["jobs"].as_array().unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the job is still there: {}", app.get("/v1/jobs").await.ok());
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(feature = "local-models")]
async fn a_run_that_cannot_be_served_is_left_out_of_a_training_and_told() {
    let app = TestApp::start().await;
    six_tasks(&app).await;
    let path = app.trajectory(&json!({ "metadata": { "task_id": "task-7" } })).await;
    app.append(&path, &tool_run(4, 6_000)).await;
    let app = app.restart_with(&[("limits.max_message_bytes", "10000")]).await;
    let done = over(&app, &asked_to_train(&app, 1).await).await;
    assert_eq!((&done["state"], &done["report"]["unserved"]), (&json!("done"), &json!(1)), "{done}");
    let head = app.get(&format!("/v1/heads/{}", done["head"].as_str().unwrap())).await.ok();
    assert_eq!((&head["manifest"]["unserved"], &head["measured"]), (&json!(1), &json!("rules")), "{head}");

    let small = json!({ "kind": "train", "cases": { "min_peak": 900_000 } });
    let id = app.post("/v1/distillations", &small).await.ok()["id"].as_str().unwrap().to_owned();
    let failed = over(&app, &id).await;
    assert!(failed["error"].as_str().unwrap().starts_with("0 examples"), "{failed}");
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

    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.env_clear().env("RECAPD_LIMITS__MAX_MESSAGE_BYTES", "1024").arg("--data").arg(folder.path());
    let small = folder.path().join("small.jsonl");
    command.args(["distill", "export", "--json", FIXTURE, "--all", "--min-peak", "1000", "--out"]).arg(&small);
    let none = command.output().unwrap();
    let told: Value = serde_json::from_slice(&none.stdout).unwrap_or_else(|_| panic!("{none:?}"));
    assert_eq!((none.status.code(), &told["unreadable"]), (Some(1), &json!(2)), "{none:?}");

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
