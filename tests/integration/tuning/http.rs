//! What may be asked, who may ask, and what becomes of runs that are stopped.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{BAD, GOOD, champion, draft, ended, spec, start, store_runs, until};
use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_refused_with_every_fault() {
    let app = TestApp::start().await;
    let runs = "/v1/tuning-runs";
    app.post(runs, &spec(&json!({ "files": ["/etc/passwd"] }))).await.problem(422);
    app.post(runs, &spec(&json!({ "caps": { "max_euros": 1 } }))).await.problem(422);
    let wrong = spec(&json!({ "guideline": "default/reflect", "candidates": 99, "budget": { "fraction": 0.0 } }));
    let problem = app.post(runs, &wrong).await.problem(422);
    let pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|fault| fault["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/guideline", "/candidates", "/budget/fraction"]);
    let none = format!("b3:{}", "0".repeat(64));
    let problem = app.post(runs, &spec(&json!({ "drafts": [none] }))).await.problem(422);
    assert_eq!(problem["errors"][0]["pointer"], "/drafts/0");
    app.post(runs, &spec(&json!({ "guideline": "nowhere/history" }))).await.problem(404);
    app.post(runs, &spec(&json!({ "evidence": "runner" }))).await.problem(422);
    app.get(&format!("{runs}/none")).await.problem(404);
    app.post(&format!("{runs}/none/cancel"), &json!({})).await.problem(404);
    assert_eq!(app.get(runs).await.ok()["tuning_runs"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_nothing_to_measure_on_says_so() {
    let app = TestApp::start().await;
    let path = start(&app, &spec(&json!({}))).await;
    let run = ended(&app, &path).await;
    assert_eq!(run["state"], "failed", "{run}");
    assert!(run["why"].as_str().unwrap().starts_with("there is no run to measure on: 0 found"), "{run}");
    let problem = app.post(&format!("{path}/cancel"), &json!({})).await.problem(409);
    assert_eq!((&problem["type"], &problem["state"]), (&json!("/problems/tuning-state"), &json!("failed")));
    app.post(&format!("{path}/promote"), &json!({})).await.problem(409);
    // With trajectories it goes on.
    store_runs(&app, 0..1).await;
    app.post(&format!("{path}/resume"), &json!({})).await.ok();
    let run = ended(&app, &path).await;
    assert!(run["why"].as_str().unwrap().starts_with("all 1 tasks are on one side"), "{run}");
    let list = app.get("/v1/tuning-runs?limit=1").await.ok();
    assert_eq!((&list["tuning_runs"][0]["id"], &list["tuning_runs"][0]["candidates"]), (&run["id"], &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_pauses_and_a_larger_one_goes_on() {
    let app = TestApp::start().await;
    champion(&app, BAD).await;
    store_runs(&app, 0..12).await;
    let good = draft(&app, GOOD).await;
    let capped = json!({ "candidates": 0, "drafts": [good], "caps": { "max_seconds": 0.001 } });
    let path = start(&app, &spec(&capped)).await;
    let paused = ended(&app, &path).await;
    assert_eq!((&paused["state"], &paused["why"]), (&json!("paused"), &json!("caps.max_seconds 0.001 is reached")));
    assert_eq!(paused["done"], 1, "one case was done: {paused}");
    assert!(paused["remaining"]["seconds"].as_f64().unwrap() > 0.0, "{paused}");
    app.post(&format!("{path}/resume"), &json!({ "caps": { "max_seconds": 0 } })).await.problem(422);
    app.post(&format!("{path}/resume"), &json!({ "caps": {} })).await.ok();
    let done = ended(&app, &path).await;
    assert_eq!(done["state"], "done", "{done}");
    assert_eq!(done["scores"].as_array().unwrap().len() as u64 + 1, done["total"].as_u64().unwrap());
    app.post(&format!("{path}/resume"), &json!({})).await.problem(409);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_in_work_is_not_resumed_and_one_that_is_cancelled_goes_on_at_once() {
    let app = TestApp::start().await;
    champion(&app, BAD).await;
    store_runs(&app, 0..16).await;
    let good = draft(&app, GOOD).await;
    let path = start(&app, &spec(&json!({ "candidates": 0, "drafts": [good] }))).await;
    until(&app, &path, |run| run["done"].as_u64() >= Some(1)).await;
    let problem = app.post(&format!("{path}/resume"), &json!({})).await.problem(409);
    assert_eq!((&problem["type"], &problem["state"]), (&json!("/problems/tuning-state"), &json!("running")));
    // Its worker is still at a case.
    app.post(&format!("{path}/cancel"), &json!({})).await.ok();
    app.post(&format!("{path}/resume"), &json!({ "caps": { "max_seconds": 0.001 } })).await.ok();
    let paused = ended(&app, &path).await;
    assert_eq!((&paused["state"], &paused["why"]), (&json!("paused"), &json!("caps.max_seconds 0.001 is reached")));
    app.post(&format!("{path}/resume"), &json!({ "caps": {} })).await.ok();
    app.post(&format!("{path}/cancel"), &json!({})).await.ok();
    app.post(&format!("{path}/resume"), &json!({})).await.ok();
    let run = ended(&app, &path).await;
    assert_eq!((&run["state"], &run["done"]), (&json!("done"), &run["total"]), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_loses_nothing_and_repeats_nothing() {
    let app = TestApp::start().await;
    champion(&app, BAD).await;
    store_runs(&app, 0..16).await;
    let good = draft(&app, GOOD).await;
    let path = start(&app, &spec(&json!({ "candidates": 0, "drafts": [good] }))).await;
    let before = until(&app, &path, |run| run["done"].as_u64() >= Some(3)).await;
    let app = app.restart().await;
    let run = ended(&app, &path).await;
    assert_eq!(run["state"], "done", "{run}");
    let key = |score: &Value| format!("{} {}", score["candidate"], score["case"]);
    let keys: Vec<String> = run["scores"].as_array().unwrap().iter().map(key).collect();
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
    assert_eq!(keys.len() as u64 + 1, run["total"].as_u64().unwrap());
    for score in before["scores"].as_array().unwrap() {
        assert!(run["scores"].as_array().unwrap().contains(score), "{score}");
    }
    assert!(run["spent"]["seconds"].as_f64() > before["spent"]["seconds"].as_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_stops_and_another_one_gets_its_turn() {
    let app = TestApp::start().await;
    champion(&app, BAD).await;
    store_runs(&app, 0..16).await;
    let good = draft(&app, GOOD).await;
    let both = json!({ "candidates": 0, "drafts": [good] });
    let paths = [start(&app, &spec(&both)).await, start(&app, &spec(&both)).await];
    let first = until(&app, &paths[0], |run| run["done"].as_u64() >= Some(1)).await;
    assert_eq!(app.get(&paths[1]).await.ok()["state"], "queued", "one at a time: {first}");
    assert_eq!(app.post(&format!("{}/cancel", paths[0]), &json!({})).await.ok()["state"], "cancelled");
    let second = ended(&app, &paths[1]).await;
    assert_eq!((&second["state"], &second["verdict"]["passes"]), (&json!("done"), &json!(true)), "{second}");
    let stopped = app.get(&paths[0]).await.ok();
    assert_eq!((&stopped["state"], &stopped["why"]), (&json!("cancelled"), &json!("cancelled by local")));
    assert!(stopped["done"].as_u64() < stopped["total"].as_u64(), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn guidelines_are_everybodys_so_runs_are_for_keys_that_reach_all() {
    let mut app = TestApp::start().await;
    let key = async |app: &TestApp, scope: &str, namespace: Value| {
        let made = app.post("/v1/keys", &json!({ "name": "k", "scope": scope, "namespace": namespace })).await.ok();
        made["key"].as_str().unwrap().to_owned()
    };
    let admin = key(&app, "admin", Value::Null).await;
    app.key = Some(admin);
    let [agent, blue] = [key(&app, "agent", Value::Null).await, key(&app, "operator", json!("blue")).await];
    let path = start(&app, &spec(&json!({ "cases": { "namespace": "green" } }))).await;
    let of_blue = start(&app, &spec(&json!({ "cases": { "namespace": "blue" } }))).await;
    app.key = None;
    let send = async |key: &str, method: Method, path: &str, body: &Value| {
        app.send(method, path, Some(body), &[("authorization", &format!("Bearer {key}"))]).await
    };
    let none = json!({});
    send(&agent, Method::GET, "/v1/tuning-runs", &none).await.problem(403);
    send(&agent, Method::POST, "/v1/tuning-runs", &spec(&none)).await.problem(403);
    send(&agent, Method::GET, "/v1/pairs", &none).await.problem(403);
    for namespace in ["blue", "green"] {
        let asked = spec(&json!({ "cases": { "namespace": namespace } }));
        send(&blue, Method::POST, "/v1/tuning-runs", &asked).await.problem(403);
    }
    send(&blue, Method::GET, &path, &none).await.problem(404);
    send(&blue, Method::POST, &format!("{of_blue}/cancel"), &none).await.problem(403);
    send(&blue, Method::POST, &format!("{of_blue}/promote"), &none).await.problem(403);
    let seen = send(&blue, Method::GET, "/v1/tuning-runs", &none).await.ok();
    assert_eq!(seen["tuning_runs"].as_array().unwrap().len(), 1, "{seen}");
    send(&blue, Method::GET, &of_blue, &none).await.ok();
    send(&blue, Method::GET, "/v1/pairs?namespace=green", &none).await.problem(403);
}
