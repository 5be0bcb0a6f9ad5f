//! Tuning runs whose candidates a chat model proposes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::{BAD, champion, ended, spec, start, store_runs};
use crate::app::TestApp;
use crate::background::endpoint::Endpoint;
use crate::llm::script::{Request, Step};

fn schema(body: &Value) -> &str {
    body["response_format"]["json_schema"]["name"].as_str().unwrap()
}

/// The first line that was lost, as the prompt shows it.
fn lost_line(request: &Request) -> &str {
    let (_, full) = request.text().split_once("<full>\n").unwrap();
    full.split_once("] ").unwrap().1.lines().next().unwrap()
}

fn analysis(request: &Request) -> Step {
    Step::says(
        &json!({
            "first_divergence": { "turn": 1, "what": "It cannot name the ticket." }, "category": "missing_value",
            "missing": [{ "fact": "the ticket's number", "quote": lost_line(request) }], "lost_variables": [], "loops": [],
            "remedies": ["Do not drop lines of tickets."], "confidence": 1.0,
        })
        .to_string(),
    )
}

fn proposal(rules: &Value) -> Step {
    Step::says(&json!({ "reasoning": "A rule drops what is needed.", "rules": rules, "body": "" }).to_string())
}

async fn taught(rule: impl Fn(&Request) -> Step + Send + Sync + 'static) -> (TestApp, Endpoint) {
    let endpoint = Endpoint::open(rule).await;
    let values = [("llm.base_url", endpoint.base_url.as_str()), ("llm.model", "m")];
    let app = TestApp::start_with(&values).await;
    champion(&app, BAD).await;
    store_runs(&app, 0..24).await;
    (app, endpoint)
}

fn by_model(more: &Value) -> Value {
    let mut asked = json!({ "proposer": "llm", "candidates": 2 });
    asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec(&asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_of_a_proposal_whose_body_cannot_stand_are_judged() {
    let (app, endpoint) = taught(|request| {
        if schema(&request.body) == "analysis" {
            return analysis(request);
        }
        let rules = json!([{ "change": "remove", "list": "drop", "pattern": "/^ticket /" }]);
        Step::says(&json!({ "reasoning": "So.", "rules": rules, "body": "Use {{ tokens }}." }).to_string())
    })
    .await;
    let run = ended(&app, &start(&app, &by_model(&json!({ "candidates": 1 }))).await).await;
    assert_eq!(run["verdict"]["passes"], true, "{run}");
    let note = run["candidates"][0]["note"].as_str().unwrap();
    assert!(note.starts_with("So. (its rules alone"), "{note}");
    assert!(count(&endpoint, "proposal") > 1, "the model is told what is wrong with the body first");
}

fn count(endpoint: &Endpoint, name: &str) -> usize {
    endpoint.bodies().iter().filter(|body| schema(body) == name).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_improvement_that_a_model_proposes_passes_the_gate() {
    let (app, endpoint) = taught(|request| match schema(&request.body) {
        "analysis" => analysis(request),
        _ if request.text().contains("<earlier>") => {
            let line = json!([{ "change": "add", "list": "keep", "pattern": "TK-12345" }]);
            proposal(&line)
        }
        _ => proposal(&json!([{ "change": "remove", "list": "drop", "pattern": "/^ticket /" }])),
    })
    .await;
    let path = start(&app, &by_model(&json!({}))).await;
    let run = ended(&app, &path).await;
    assert_eq!((&run["state"], &run["verdict"]["passes"]), (&json!("done"), &json!(true)), "{run}");
    let candidates = run["candidates"].as_array().unwrap();
    assert_eq!((&candidates[0]["status"], &candidates[0]["proposer"]), (&json!("winner"), &json!("llm")));
    assert_eq!(candidates[0]["note"], "A rule drops what is needed.");
    let train = run["cases"]["train"].as_u64().unwrap();
    assert_eq!(count(&endpoint, "analysis") as u64, train, "each training task is analysed once");
    assert!(run["spent"]["tokens"].as_u64().unwrap() >= 15 * (train + 2), "{run}");
    let calls = app.get("/v1/model-calls?purpose=analyse&limit=200").await.ok();
    assert_eq!(calls["model_calls"].as_array().unwrap().len() as u64, train, "{calls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_pauses_between_analyses_and_none_is_asked_for_twice() {
    let (app, endpoint) = taught(|request| match schema(&request.body) {
        "analysis" => analysis(request),
        _ => proposal(&json!([{ "change": "remove", "list": "drop", "pattern": "/^ticket /" }])),
    })
    .await;
    let path = start(&app, &by_model(&json!({ "candidates": 1, "caps": { "max_tokens": 40 } }))).await;
    let paused = ended(&app, &path).await;
    assert_eq!((&paused["state"], &paused["stage"]), (&json!("paused"), &json!("propose")), "{paused}");
    assert_eq!(count(&endpoint, "analysis"), 3, "15 tokens each");
    app.post(&format!("{path}/resume"), &json!({ "caps": {} })).await.ok();
    let run = ended(&app, &path).await;
    assert_eq!(run["state"], "done", "{run}");
    assert_eq!(count(&endpoint, "analysis") as u64, run["cases"]["train"].as_u64().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_proposal_is_kept_and_none_is_asked_for_twice() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let (app, endpoint) = taught(move |request| match schema(&request.body) {
        "analysis" => analysis(request),
        _ if !request.text().contains("<earlier>") => {
            proposal(&json!([{ "change": "remove", "list": "drop", "pattern": "/^ticket /" }]))
        }
        _ if down.load(Ordering::SeqCst) => Step::error(503, "not now"),
        _ => proposal(&json!([{ "change": "add", "list": "drop", "pattern": "/^shelf /" }])),
    })
    .await;
    let path = start(&app, &by_model(&json!({}))).await;
    let paused = ended(&app, &path).await;
    assert_eq!((&paused["state"], &paused["stage"]), (&json!("paused"), &json!("propose")), "{paused}");
    assert!(paused["why"].as_str().unwrap().starts_with("the models cannot be asked"), "{paused}");
    let (train, asked) = (paused["cases"]["train"].as_u64().unwrap(), count(&endpoint, "proposal"));
    assert!(paused["spent"]["tokens"].as_u64().unwrap() >= 15 * (train + 1), "{paused}");
    is_down.store(false, Ordering::SeqCst);
    let app = app.restart().await;
    app.post(&format!("{path}/resume"), &json!({})).await.ok();
    let run = ended(&app, &path).await;
    assert_eq!((&run["state"], &run["candidates"][0]["status"]), (&json!("done"), &json!("winner")), "{run}");
    assert_eq!(run["candidates"].as_array().unwrap().len(), 2, "{run}");
    assert_eq!(count(&endpoint, "proposal"), asked + 1, "the first one is known");
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_compress_in_replays_are_in_the_ledger_and_under_the_caps() {
    let endpoint = Endpoint::open(|_| Step::says("plum")).await;
    let values = [
        ("llm.base_url", endpoint.base_url.as_str()),
        ("llm.model", "m"),
        ("compress.history", "llm"),
        ("compress.t_hist", "300"),
    ];
    let app = TestApp::start_with(&values).await;
    champion(&app, BAD).await;
    store_runs(&app, 0..12).await;
    let path = start(&app, &spec(&json!({ "caps": { "max_tokens": 20 } }))).await;
    let run = ended(&app, &path).await;
    assert_eq!(run["why"], "caps.max_tokens 20 is reached", "{run}");
    let calls = app.get("/v1/model-calls?purpose=compress_history&limit=200").await.ok();
    let calls = calls["model_calls"].as_array().unwrap().len();
    assert_eq!((calls, run["spent"]["tokens"].as_u64()), (endpoint.answered(), Some(15 * calls as u64)), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_a_training_value_leave_no_candidate_and_no_trace() {
    let value = Arc::new(OnceLock::new());
    let known = Arc::clone(&value);
    let (app, endpoint) = taught(move |request| {
        let lost = || request.text().split_once("<lost>\n").unwrap().1.split(':').next().unwrap().to_owned();
        match schema(&request.body) {
            "analysis" if lost() == *known.get_or_init(lost) => analysis(request),
            "analysis" => Step::says("It was lost."),
            _ => proposal(&json!([{ "change": "add", "list": "keep", "pattern": known.get() }])),
        }
    })
    .await;
    let run = ended(&app, &start(&app, &by_model(&json!({}))).await).await;
    assert_eq!(run["state"], "done", "{run}");
    assert!(run["why"].as_str().unwrap().contains("no candidate is left"), "{run}");
    for candidate in run["candidates"].as_array().unwrap() {
        assert_eq!((&candidate["status"], &candidate["diff"]), (&json!("invalid"), &json!("")), "{candidate}");
    }
    assert!(count(&endpoint, "analysis") > 2);
    let value = value.get().unwrap();
    assert!(value.starts_with("TK-") && !run.to_string().contains(value));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_chat_model_there_is_nobody_to_propose() {
    let app = TestApp::start().await;
    champion(&app, BAD).await;
    store_runs(&app, 0..12).await;
    let run = ended(&app, &start(&app, &by_model(&json!({}))).await).await;
    assert_eq!(run["state"], "failed", "{run}");
    assert!(run["why"].as_str().unwrap().starts_with("there is no chat model to propose"), "{run}");
}
