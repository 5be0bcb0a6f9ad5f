//! Bullets of the same meaning, with the real sentence encoder.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{SUPPORT, add, apply, get};
use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_in_other_words_is_found_with_an_encoder() {
    let Some(models) = std::env::var_os("RECAPD_TEST_MODELS").map(PathBuf::from) else {
        println!("skipped: RECAPD_TEST_MODELS is not set; `cargo xtask test` sets it");
        return;
    };
    let operations = json!([
        add("Call the login endpoint before requesting the list of playlists, otherwise it is rejected"),
        add("Call the login endpoint before requesting the list of playlists, or else it gets denied"),
        add("Refunds need a supervisor's approval"),
    ]);
    let without = TestApp::start().await;
    apply(&without, operations.clone()).await;
    assert_eq!(without.get(&format!("{SUPPORT}/duplicates")).await.ok()["duplicates"], json!([]));

    let encoder = models.join("minilm").display().to_string();
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
