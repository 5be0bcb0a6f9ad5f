//! Bullets of the same meaning, with the real sentence encoder.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{SUPPORT, add, apply, get, lessons};
use crate::app::TestApp;
use crate::background::until;

/// What bears on the task and shares no word with it.
const RIGHT: &str = "Refunds for damaged goods need a supervisor's approval first";
const TASK: &str = "My cash should come back: the parcel arrived broken";

fn encoder() -> Option<String> {
    let Some(models) = std::env::var_os("RECAPD_TEST_MODELS").map(PathBuf::from) else {
        println!("skipped: RECAPD_TEST_MODELS is not set; `cargo xtask test` sets it");
        return None;
    };
    Some(models.join("minilm").display().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_in_other_words_is_found_with_an_encoder() {
    let Some(encoder) = encoder() else { return };
    let operations = json!([
        add("Call the login endpoint before requesting the list of playlists, otherwise it is rejected"),
        add("Call the login endpoint before requesting the list of playlists, or else it gets denied"),
        add("Refunds need a supervisor's approval"),
    ]);
    let without = TestApp::start().await;
    apply(&without, operations.clone()).await;
    assert_eq!(without.get(&format!("{SUPPORT}/duplicates")).await.ok()["duplicates"], json!([]));

    let app = TestApp::start_with(&[("models.encoder", encoder.as_str())]).await;
    let ids = apply(&app, operations).await;
    let found = app.get(&format!("{SUPPORT}/duplicates")).await.ok()["duplicates"].clone();
    assert_eq!((&found[0]["ids"], &found[0]["how"]), (&json!([ids[0], ids[1]]), &json!("embedding")), "{found}");
    assert!(found[0]["score"].as_f64().unwrap() >= 0.9);
    assert_eq!(found.get(1), None);
    let merged = app.post(&format!("{SUPPORT}/dedupe"), &json!({ "apply": true })).await.ok();
    assert_eq!((&merged["merged"], merged["version"] == Value::Null), (&json!(1), false));
    assert_eq!(get(&app).await["bullets"].as_array().unwrap().len(), 2);
}

/// Forty lessons on other things, then the right one; and a trajectory with the task. Returns its path and the right id.
async fn task_with_lessons(app: &TestApp) -> (String, String) {
    let ids = apply(app, [lessons(40), vec![add(RIGHT)]].concat().into()).await;
    let path = app.trajectory(&json!({ "id": "t", "playbook": "support" })).await;
    app.append(&path, &[json!({ "role": "user", "content": TASK })]).await;
    (path, ids.last().unwrap().clone())
}

fn piece(context: &Value) -> &Value {
    context["pieces"].as_array().unwrap().iter().find(|piece| piece["kind"] == "playbook").unwrap()
}

fn chooser(context: &Value) -> &str {
    piece(context)["compressor"].as_str().unwrap().split('+').next().unwrap()
}

fn shows(context: &Value, id: &str) -> bool {
    piece(context)["bullets"].as_array().unwrap().iter().any(|shown| shown == id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paraphrase_finds_its_bullet_once_there_are_points() {
    let Some(encoder) = encoder() else { return };
    let app = TestApp::start_with(&[("context.budget", "1500")]).await;
    let (path, right) = task_with_lessons(&app).await;
    let excerpt = format!("{SUPPORT}?budget=120&query={}", TASK.replace(' ', "%20"));
    let by_words = app.get(&format!("{path}/context")).await.ok();
    assert_eq!((chooser(&by_words), shows(&by_words, &right)), ("words", false), "{by_words}");
    let shown = app.get(&excerpt).await.ok();
    assert_eq!((&shown["chosen_by"], shown["text"].as_str().unwrap().contains(RIGHT)), (&json!("words"), false));

    // the epoch keeps what it shows; the next one has points, as soon as they are there
    let app = app.restart_with(&[("models.encoder", &encoder)]).await;
    let context = app.get(&format!("{path}/context")).await.ok();
    assert_eq!(context["messages"], by_words["messages"]);
    let by_points = until("an excerpt by points", async || {
        let context = app.post(&format!("{path}/compact"), &json!({})).await.ok();
        (chooser(&context) != "words").then_some(context)
    })
    .await;
    assert!(chooser(&by_points).starts_with("embeddings:minilm@"), "{by_points}");
    assert!(shows(&by_points, &right), "{by_points}");
    let shown = app.get(&excerpt).await.ok();
    assert_eq!(shown["chosen_by"], chooser(&by_points));
    assert!(shown["text"].as_str().unwrap().contains(RIGHT), "{shown}");
    assert!(shown["tokens"].as_u64().unwrap() <= 120);

    let app = app.restart().await;
    let context = app.get(&format!("{path}/context")).await.ok();
    assert_eq!((&context["messages"], piece(&context)), (&by_points["messages"], piece(&by_points)));
    let whole = app.get(&format!("{SUPPORT}?budget=9000&query=parcel")).await.ok();
    assert_eq!(whole["chosen_by"], "whole");
}

/// A folder whose first file nobody writes: the encoder waits for it for ever.
#[cfg(unix)]
fn stuck_encoder(folder: &Path) -> PathBuf {
    let fifo = folder.join("tokenizer.json");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    fifo
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn law_6_nothing_waits_for_an_encoder_that_is_stuck() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = stuck_encoder(folder.path());
    let encoder = folder.path().display().to_string();
    let app = TestApp::start_with(&[("context.budget", "1500"), ("models.encoder", &encoder)]).await;
    // each of these would hang if it waited
    let (path, right) = task_with_lessons(&app).await;
    let context = app.get(&format!("{path}/context")).await.ok();
    assert_eq!((chooser(&context), shows(&context, &right)), ("words", false), "{context}");
    let said = json!({ "role": "assistant", "content": "I look at the order." });
    app.append(&path, &[said, json!({ "role": "user", "content": "Do." })]).await;
    assert_eq!(chooser(&app.post(&format!("{path}/compact"), &json!({})).await.ok()), "words");
    // stopping waits for no encoder either
    let app = app.restart().await;
    assert_eq!(chooser(&app.get(&format!("{path}/context")).await.ok()), "words");
    drop(app);
    // lets the threads end that wait
    std::fs::write(fifo, "{}").unwrap();
}
