//! The grounding audit: `recapd tune audit` on trajectories that were made up for it, and live in hindsight.

use std::path::Path;
use std::process::{Command, Output};

use recapd::store::{AuditRow, ChangeError, NewJob};
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::background::{address, counted, until};
use crate::jobs::{claimed, job};
use crate::store::bed::{Bed, on_each_engine};

on_each_engine!(hindsight_names_what_was_lost, law_11_an_audit_goes_with_its_trajectory);

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/trajectories.jsonl");

fn recapd(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.env_clear().arg("--data").arg(folder).args(arguments);
    command.output().unwrap()
}

fn audit(folder: &Path, arguments: &[&str]) -> Output {
    recapd(folder, &[&["tune", "audit", "--min-peak", "1000", "--floor", "300"], arguments].concat())
}

fn lines(text: &[u8]) -> Vec<Value> {
    std::str::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_file_is_one_object_with_the_measures_of_a_replay() {
    let folder = tempfile::tempdir().unwrap();
    let output = audit(folder.path(), &[FIXTURE, "--fraction", "0.3", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let rows = lines(&output.stdout);
    assert_eq!(rows.len(), 1);
    let arguments = ["replay", "--min-peak", "1000", "--floor", "300", FIXTURE, "--fraction", "0.3", "--json"];
    let mut replayed = lines(&recapd(folder.path(), &arguments).stdout).remove(0);
    let mut audited = rows[0].clone();
    let lost = audited.as_object_mut().unwrap().remove("lost").unwrap();
    for row in [&mut replayed, &mut audited] {
        for timed in ["ms_p50", "ms_p99"] {
            row.as_object_mut().unwrap().remove(timed);
        }
    }
    assert_eq!(audited, replayed);
    assert_eq!(lost["all"]["bound"], 4, "{lost}");
    insta::assert_json_snapshot!("audit_breakdown", lost);
}

#[test]
fn each_lost_value_is_a_line_with_place_and_cause() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("lost.jsonl");
    let guidelines = folder.path().join("sets/strict");
    std::fs::create_dir_all(&guidelines).unwrap();
    std::fs::write(guidelines.join("history.md"), "---\ndrop:\n  - order 4142 | customer\n---\n").unwrap();
    std::fs::write(guidelines.join("observation.md"), "---\n---\n").unwrap();
    let sets = folder.path().join("sets");
    std::fs::write(folder.path().join("recapd.toml"), format!("[guidelines]\ndir = {:?}\n", sets.to_str().unwrap()))
        .unwrap();
    let run = ["--fraction", "0.3", "--set", "strict", "--json", "--failures", out.to_str().unwrap()];
    let output = audit(folder.path(), &[&[FIXTURE][..], &run].concat());
    assert!(output.status.success(), "{output:?}");
    let row = lines(&output.stdout).remove(0);
    let lost = lines(&std::fs::read(&out).unwrap());
    assert_eq!(row["lost"]["all"]["bound"].as_u64(), Some(lost.len() as u64));
    for line in &lost {
        let place = &line["place"];
        assert!(place["text"].as_str().unwrap().contains(line["value"].as_str().unwrap()), "{line}");
        assert!(place["original"].as_str().unwrap().starts_with("b3:") && place["line"].is_u64(), "{line}");
        assert!(place["message"].as_u64() < line["step"].as_u64() && line["piece"].is_u64(), "{line}");
        assert!(line["guideline"].as_str().unwrap().starts_with("strict/history@b3:"), "{line}");
        assert!(line["compressor"].as_str().unwrap().starts_with("rules:"), "{line}");
    }
    let rule = json!({ "cause": "rule", "field": "drop", "pattern": "order 4142 | customer" });
    let ruled = lost.iter().find(|line| line["cause"] == rule).unwrap();
    assert_eq!((&ruled["trajectory"], &ruled["value"]), (&json!("lost-lamp"), &json!("4142")));
    assert!(row["lost"]["rules"]["drop: order 4142 | customer"]["bound"].as_u64() >= Some(1), "{row}");
}

#[test]
fn people_get_tables() {
    let folder = tempfile::tempdir().unwrap();
    let output = audit(folder.path(), &[FIXTURE, "--fraction", "0.3"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for said in
        ["2 trajectories audited", "grounding", "lost by", "outweighed", "by kind of text", "lines that lost most"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    let output = audit(folder.path(), &[FIXTURE, "--fraction", "1"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("No value was lost."));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn stored_trajectories_are_audited_under_their_own_guidelines() {
    let folder = tempfile::tempdir().unwrap();
    let imported = recapd(folder.path(), &["import", FIXTURE]);
    assert!(imported.status.success(), "{imported:?}");
    let from_files = lines(&audit(folder.path(), &[FIXTURE, "--fraction", "0.3", "--json"]).stdout).remove(0);
    let output = audit(folder.path(), &["--stored", "--fraction", "0.3", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let stored = lines(&output.stdout).remove(0);
    for measure in ["trajectories", "contexts", "needed", "grounding", "bound", "first", "skipped_small"] {
        assert_eq!(stored[measure], from_files[measure], "{measure}");
    }
    assert_eq!((&stored["data"], &stored["lost"]["all"]), (&json!("stored"), &from_files["lost"]["all"]));
    let none = audit(folder.path(), &["--stored", "--agent", "nobody", "--json"]);
    assert_eq!(lines(&none.stdout)[0]["trajectories"], 0);
}

#[test]
fn messages_of_other_providers_are_audited_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.jsonl");
    let mut messages = vec![json!({ "role": "user", "content": "Find the parcel." })];
    for turn in 0..8 {
        let id = format!("toolu_{turn}");
        let wanted = if turn == 7 { "PX7712".to_owned() } else { format!("page-{turn}") };
        let call = json!({ "type": "tool_use", "id": id, "name": "look", "input": { "what": wanted } });
        messages.push(json!({ "role": "assistant", "content": [{ "type": "text", "text": "I look." }, call] }));
        let text = if turn == 0 { "parcel PX7712 waits in Bruges".to_owned() } else { page(turn) };
        let result = json!({ "type": "tool_result", "tool_use_id": id, "content": text });
        messages.push(json!({ "role": "user", "content": [result] }));
    }
    let run = json!({ "id": "a", "system": "Be brief.", "messages": messages });
    std::fs::write(&file, format!("{run}\n")).unwrap();
    let output = audit(folder.path(), &[file.to_str().unwrap(), "--fraction", "0.4", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let row = lines(&output.stdout).remove(0);
    assert_eq!((&row["trajectories"], &row["contexts"], &row["invalid"]), (&json!(1), &json!(8), &json!(0)), "{row}");
    assert!(row["needed"].as_u64() >= Some(1), "{row}");
}

#[test]
fn bad_uses_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in [&[FIXTURE, "--fraction", "1.5"][..], &[FIXTURE, "--budget", "0"], &[FIXTURE, "--set", "nope"], &[]] {
        assert_eq!(audit(folder.path(), wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(audit(folder.path(), &["nowhere.jsonl"]).status.code(), Some(1));
}

/// A page of ids that nobody asks for.
fn page(turn: usize) -> String {
    let row = |n| format!("parcel P{turn}{n}77 of order {turn}{n}31 left depot D{n}{turn}9 on day {n}\n");
    (0..40).map(row).collect::<Vec<_>>().concat()
}

fn call(turn: usize, wanted: &str) -> Value {
    let function = json!({ "name": "look", "arguments": json!({ "what": wanted }).to_string() });
    json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": format!("c{turn}"), "type": "function", "function": function }] })
}

fn result(turn: usize, text: &str) -> Value {
    json!({ "role": "tool", "tool_call_id": format!("c{turn}"), "content": text })
}

/// Runs an agent that reads a context before each of its actions. The last one uses a value of the first page.
async fn live_run(app: &TestApp, wanted: &str) -> String {
    let path = app.trajectory(&json!({ "model": "gpt-4o", "budget": 2000 })).await;
    let opening = ["system", "user"].map(|role| json!({ "role": role, "content": "Find the parcel." }));
    app.append(&path, &opening).await;
    for turn in 1..9 {
        app.get(&format!("{path}/context")).await.ok();
        let asked = if turn == 8 { wanted.to_owned() } else { format!("page-{turn}") };
        app.append(&path, &[call(turn, &asked), result(turn, &page(turn))]).await;
    }
    app.post(&format!("{path}/outcome"), &json!({ "status": "failure" })).await.ok();
    path
}

async fn audited(app: &TestApp, path: &str) -> Value {
    until("it is looked back on", async || {
        let answer = app.get(&format!("{path}/audit")).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await
}

async fn hindsight_names_what_was_lost(bed: Bed) {
    let app = TestApp::start_with(&[("tuning.audit", "true"), ("storage.database_url", &address(&bed))]).await;
    let path = live_run(&app, "P13977").await;
    let answer = audited(&app, &path).await;
    let audit = &answer["audit"];
    assert_eq!(
        (&audit["contexts"], &audit["messages"], &audit["unread"]),
        (&json!(8), &json!(16), &json!(0)),
        "{audit}"
    );
    assert_eq!((&audit["refused"], &audit["over"]), (&json!(0), &json!(0)), "{audit}");
    let line = audit["line"].as_str().unwrap();
    assert!(line.starts_with("openai/2000/0/"), "{line}");
    let loss = audit["losses"].as_array().unwrap().iter().find(|loss| loss["value"] == "P13977").unwrap();
    assert_eq!((&loss["step"], &loss["place"]["message"], &loss["place"]["line"]), (&json!(16), &json!(3), &json!(40)));
    assert_eq!(loss["cause"]["cause"], "outweighed", "{loss}");
    assert_eq!(audit["lost"]["all"]["bound"].as_u64(), Some(audit["losses"].as_array().unwrap().len() as u64));
    assert!(answer["maker"].is_string() && answer["at"].is_string());
    counted(&app, "recapd_audit_values_total{measure=\"grounding\",result=\"lost\"}").await;
    assert_eq!(app.delete(&path).await.ok()["audits"], 1);
    app.get(&format!("{path}/audit")).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn hindsight_reads_other_providers_messages() {
    let app = TestApp::start_with(&[("tuning.audit", "true")]).await;
    let path = app.trajectory(&json!({ "model": "gpt-4o", "budget": 2000 })).await;
    let append = async |messages: Value| {
        let body = json!({ "format": "anthropic", "messages": messages });
        app.post(&format!("{path}/messages"), &body).await.ok();
    };
    append(json!([{ "role": "user", "content": "Find the parcel." }])).await;
    for turn in 1..9 {
        app.get(&format!("{path}/context?format=anthropic")).await.ok();
        let wanted = if turn == 8 { "P13977".to_owned() } else { format!("page-{turn}") };
        let call = |n: usize| json!({ "type": "tool_use", "id": format!("c{turn}_{n}"), "name": "look", "input": { "what": wanted } });
        let result = |n: usize, text: String| json!({ "type": "tool_result", "tool_use_id": format!("c{turn}_{n}"), "content": text });
        append(json!([
            { "role": "assistant", "content": [{ "type": "text", "text": "I look." }, call(0), call(1)] },
            { "role": "user", "content": [result(0, page(turn)), result(1, "nothing".to_owned())] },
        ]))
        .await;
    }
    app.post(&format!("{path}/outcome"), &json!({ "status": "failure" })).await.ok();
    let audit = audited(&app, &path).await["audit"].clone();
    assert!(audit["line"].as_str().unwrap().starts_with("anthropic/2000/"), "{audit}");
    assert_eq!(
        (&audit["contexts"], &audit["messages"], &audit["invalid"]),
        (&json!(8), &json!(15), &json!(0)),
        "{audit}"
    );
    // the numbers of the messages as they were sent, though each result is a message of its own to the measures
    let loss = audit["losses"].as_array().unwrap().iter().find(|loss| loss["value"] == "P13977").unwrap();
    assert_eq!((&loss["step"], &loss["place"]["message"], &loss["place"]["turn"]), (&json!(15), &json!(2), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_read_or_not_wanted_is_not_audited() {
    let off = TestApp::start().await;
    let path = live_run(&off, "P13977").await;
    assert_eq!(off.get("/v1/jobs").await.ok()["jobs"], json!([]));
    off.get(&format!("{path}/audit")).await.problem(404);
    let on = TestApp::start_with(&[("tuning.audit", "true")]).await;
    let path = on.trajectory(&json!({ "budget": 2000 })).await;
    on.append(
        &path,
        &[json!({ "role": "user", "content": "Hello." }), json!({ "role": "assistant", "content": "Yes?" })],
    )
    .await;
    on.post(&format!("{path}/outcome"), &json!({ "status": "success" })).await.ok();
    until("the job ends", async || on.get("/v1/jobs").await.ok()["jobs"].as_array().unwrap().is_empty().then_some(()))
        .await;
    on.get(&format!("{path}/audit")).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_is_looked_back_on_before_its_end() {
    let app = TestApp::start_with(&[("tuning.audit", "true")]).await;
    let path = app.trajectory(&json!({ "budget": 2000 })).await;
    let message = |n: usize| json!({ "role": if n.is_multiple_of(2) { "user" } else { "assistant" }, "content": format!("words {n}") });
    app.append(&path, &(0..100).map(message).collect::<Vec<_>>()).await;
    assert_eq!(app.get("/v1/jobs").await.ok()["jobs"], json!([]));
    app.append(&path, &(100..130).map(message).collect::<Vec<_>>()).await;
    let jobs = app.get("/v1/jobs").await.ok()["jobs"].clone();
    assert_eq!((jobs.as_array().unwrap().len(), &jobs[0]["kind"]), (1, &json!("audit")), "{jobs}");
}

async fn law_11_an_audit_goes_with_its_trajectory(bed: Bed) {
    bed.trajectory("goes").await;
    let row = |record: &str| AuditRow { maker: "m".to_owned(), record: record.to_owned(), at_ms: 5 };
    for record in ["{\"n\":1}", "{\"n\":2}"] {
        let job = NewJob { trajectory: Some("goes".to_owned()), ..job("work", "goes", 0) };
        bed.store.enqueue_job(job).await.unwrap();
        let (_, lease) = claimed(&bed.store, 1).await;
        bed.store.put_audit("goes", row(record), lease.clone()).await.unwrap();
        assert_eq!(bed.store.audit_of("goes").await.unwrap(), Some(row(record)));
        // the job is done with it, once
        assert!(matches!(bed.store.put_audit("goes", row("{}"), lease).await, Err(ChangeError::LeaseLost)));
        assert_eq!(bed.store.audit_of("goes").await.unwrap(), Some(row(record)));
    }
    assert_eq!(bed.store.delete_trajectory("goes", "me", 9).await.unwrap().audits, 1);
    assert_eq!(bed.store.audit_of("goes").await.unwrap(), None);
}
