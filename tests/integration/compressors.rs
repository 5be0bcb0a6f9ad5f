//! What callers and operators see of models: waiting for them, their failures, their calls and cost.

use serde_json::{Value, json};

use crate::app::TestApp;
use crate::llm::script::{Script, Step};
use crate::run::tool_run;

/// What the model says of old turns. No rule would.
pub const TOLD: &str = "the kettle was mended by hand";

/// A reply of the form that the shipped guidelines for histories ask for.
pub fn told() -> Step {
    let reply = json!({ "Reasoning": [TOLD], "Variables": [], "To do": [], "Done": ["it began"], "Guardrails": [] });
    Step::says(&reply.to_string())
}

/// A daemon whose chat model is a script and tells old turns.
pub async fn app(script: &Script, values: &[(&str, &str)]) -> TestApp {
    let own = [
        ("llm.base_url", script.base_url.as_str()),
        ("llm.model", "m"),
        ("llm.max_attempts", "1"),
        ("compress.history", "llm"),
        ("compress.t_hist", "64"),
    ];
    TestApp::start_with(&[&own, values].concat()).await
}

fn stateless(wait: bool) -> Value {
    json!({ "messages": tool_run(30, 300), "budget": 4000, "wait": wait })
}

fn warnings(context: &Value) -> Vec<&str> {
    context["warnings"].as_array().unwrap().iter().map(|code| code.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_tells_old_turns_while_the_caller_waits() {
    let script = Script::start([told()]).await;
    let mut app = app(&script, &[]).await;
    let rules = app.post("/v1/compress", &stateless(false)).await.ok();
    assert!(script.requests().is_empty(), "nobody waits for a model");
    let context = app.post("/v1/compress", &stateless(true)).await.ok();
    assert!(context["messages"].to_string().contains(TOLD));
    assert!(!rules["messages"].to_string().contains(TOLD));
    assert_eq!((warnings(&context), &context["epoch"]), (vec![], &json!(0)));
    assert_eq!(context["prefix"], rules["prefix"]);
    assert!(context["tokens"]["total"].as_u64().unwrap() <= 4000);
    let recap = context["pieces"].as_array().unwrap().iter().find(|piece| piece["kind"] == "recap").unwrap();
    assert_eq!(recap["compressor"], "llm:m+rules:0.1.0");
    // What fits as it is needs no model.
    let fits = json!({ "messages": tool_run(2, 40), "budget": 60000, "wait": true });
    assert_eq!(warnings(&app.post("/v1/compress", &fits).await.ok()), Vec::<&str>::new());
    assert_eq!(script.requests().len(), 1);

    let calls = app.get("/v1/model-calls").await.ok();
    let [call] = calls["model_calls"].as_array().unwrap().as_slice() else { panic!("{calls}") };
    let expected = json!({
        "at": call["at"], "namespace": "default", "agent": "", "trajectory_id": null, "job_id": null,
        "purpose": "compress_history", "backend": "remote", "model": "m", "outcome": "ok", "prompt_tokens": 12,
        "cached_tokens": 4, "reply_tokens": 3, "cost_usd_micros": null, "ms": call["ms"], "error": null,
    });
    assert_eq!(call, &expected);
    let usage = app.get("/v1/usage").await.ok();
    let [sum] = usage["usage"].as_array().unwrap().as_slice() else { panic!("{usage}") };
    let numbers = ["model_calls", "model_calls_failed", "prompt_tokens", "reply_tokens", "cost_usd_micros", "unpriced"];
    assert_eq!(numbers.map(|name| sum[name].as_u64().unwrap()), [1, 0, 12, 3, 0, 1]);

    let admin = app.post("/v1/keys", &json!({ "name": "admin", "scope": "admin" })).await.ok();
    app.key = admin["key"].as_str().map(str::to_owned);
    let other = json!({ "name": "other", "scope": "operator", "namespace": "other" });
    let other = app.post("/v1/keys", &other).await.ok();
    let agent = app.post("/v1/keys", &json!({ "name": "agent" })).await.ok();
    app.key = agent["key"].as_str().map(str::to_owned);
    app.get("/v1/model-calls").await.problem(403);
    app.key = other["key"].as_str().map(str::to_owned);
    assert_eq!(app.get("/v1/model-calls").await.ok()["model_calls"], json!([]));
    assert_eq!(app.get("/v1/usage").await.ok()["usage"], json!([]));
    app.get("/v1/model-calls?namespace=default").await.problem(403);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_serve_where_a_model_fails_or_has_no_time() {
    let script = Script::start([Step::error(400, "no"), Step::hang()]).await;
    let app = app(&script, &[("server.request_timeout_ms", "4000")]).await;
    let rules = app.post("/v1/compress", &stateless(false)).await.ok();
    for outcome in ["rejected", "cancelled"] {
        let context = app.post("/v1/compress", &stateless(true)).await.ok();
        assert_eq!(warnings(&context), ["model_failed"], "{outcome}");
        assert_eq!(context["messages"], rules["messages"]);
        let calls = app.get(&format!("/v1/model-calls?outcome={outcome}")).await.ok();
        assert_eq!(calls["model_calls"].as_array().unwrap().len(), 1, "{calls}");
    }
    let first = app.get("/v1/model-calls?limit=1").await.ok();
    assert_eq!(first["model_calls"][0]["outcome"], "cancelled");
    let next = format!("/v1/model-calls?limit=1&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!(app.get(&next).await.ok()["model_calls"][0]["outcome"], "rejected");
    assert_eq!(app.get("/v1/usage").await.ok()["usage"][0]["model_calls_failed"], 2);
    for query in ["cursor=x", "limit=0", "since=yesterday", "model=m"] {
        app.get(&format!("/v1/model-calls?{query}")).await.problem(422);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_waits_for_its_preparation() {
    let script = Script::start([told(), Step::error(400, "no")]).await;
    let app = app(&script, &[]).await;
    for (id, words, warned) in [("told", 300, vec![]), ("failed", 310, vec!["model_failed"])] {
        let path = app.trajectory(&json!({ "id": id, "agent": "coder", "budget": 4000 })).await;
        app.append(&path, &tool_run(30, words)).await;
        let context = app.post(&format!("{path}/compact"), &json!({ "wait": true })).await.ok();
        assert_eq!(warnings(&context), warned);
        assert_eq!(context["epoch"], 1, "the first one tells what the next one covers");
        assert_eq!(context["messages"].to_string().contains(TOLD), id == "told");
        let calls = app.get(&format!("/v1/model-calls?trajectory={id}&agent=coder")).await.ok();
        let [call] = calls["model_calls"].as_array().unwrap().as_slice() else { panic!("{calls}") };
        assert!(call["job_id"].is_string());
    }
    // the job looks once more for what is left
    let empty =
        async { while app.get("/readyz").await.ok()["queue"] != json!({ "ready": 0, "running": 0, "dead": 0 }) {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), empty).await.expect("the job never ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compaction_does_not_wait_for_a_model_that_hangs_or_is_none() {
    let script = Script::start([Step::hang()]).await;
    let slow = app(&script, &[("server.request_timeout_ms", "4000")]).await;
    let alone = TestApp::start().await;
    for (app, code) in [(&slow, "model_failed"), (&alone, "no_model")] {
        let path = app.trajectory(&json!({ "budget": 4000 })).await;
        app.append(&path, &tool_run(30, 300)).await;
        let context = app.post(&format!("{path}/compact"), &json!({ "wait": true })).await.ok();
        assert_eq!(warnings(&context), [code]);
        let hasty = app.post(&format!("{path}/compact"), &json!({ "wait": false })).await.ok();
        assert_eq!(warnings(&hasty), Vec::<&str>::new());
    }
    assert_eq!(warnings(&alone.post("/v1/compress", &stateless(true)).await.ok()), ["no_model"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_a_guideline_are_tried_with_the_model() {
    let read =
        json!({ "Reading": ["all shards moved"], "Result": ["rows were written"], "Notes": ["all shards moved"] });
    let script = Script::start([told(), told(), Step::says(&read.to_string()), Step::error(400, "no")]).await;
    let app = app(&script, &[]).await;
    let path = app.trajectory(&json!({ "id": "t", "budget": 4000 })).await;
    app.append(&path, &tool_run(30, 300)).await;
    let text = "---\nkind: history\nwrite:\n  - {name: Reasoning}\n---\nWrite **Reasoning** about boats.\n";
    let attempt = json!({ "text": text, "trajectory": "t", "compressor": "llm" });
    let trial = app.post("/v1/guidelines/default/history/try", &attempt).await.ok();
    assert_eq!(trial["compressor"], "llm");
    for side in ["champion", "candidate"] {
        assert!(trial[side]["text"].as_str().unwrap().contains(TOLD), "{trial}");
        assert_eq!(trial[side]["failed"], Value::Null);
    }
    let asked = script.requests();
    let about_boats = |request: &crate::llm::script::Request| request.body.to_string().contains("about boats");
    assert_eq!(asked.iter().filter(|request| about_boats(request)).count(), 1);
    assert_eq!(app.get(&format!("{path}/epochs")).await.ok()["epochs"], json!([]));
    assert_eq!(app.get("/v1/model-calls?trajectory=t").await.ok()["model_calls"].as_array().unwrap().len(), 2);

    let text = "---\nkind: observation\nwrite:\n  - {name: Notes}\n---\nWrite **Notes**.\n";
    let attempt = json!({ "text": text, "trajectory": "t", "compressor": "llm", "observation": 5, "hash": null });
    let trial = app.post("/v1/guidelines/default/observation/try", &attempt).await.ok();
    assert_eq!(trial["observation"], 5);
    let sides = [&trial["champion"], &trial["candidate"]];
    let (failed, made): (Vec<&Value>, Vec<&Value>) = sides.into_iter().partition(|side| side["failed"].is_array());
    assert_eq!((failed.len(), made.len()), (1, 1), "{trial}");
    assert!(made[0]["text"].as_str().unwrap().contains("all shards moved"));
    assert!(!failed[0]["text"].as_str().unwrap().is_empty(), "rules serve");

    for (compressor, app) in [("extract", &app), ("off", &app), ("llm", &TestApp::start().await)] {
        let attempt = json!({ "trajectory": "t", "compressor": compressor });
        let problem = app.post("/v1/guidelines/default/history/try", &attempt).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], "/compressor");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_which_compressors_are_ready() {
    let script = Script::start([]).await;
    let app = app(&script, &[]).await;
    let rules = json!({ "name": "rules", "ready": true });
    let model = json!({ "name": "llm:m", "ready": true });
    assert_eq!(app.get("/v1/info").await.ok()["compressors"], json!([rules, model]));
    assert_eq!(app.get("/readyz").await.ok()["models"], json!([model]));
    let alone = TestApp::start().await;
    assert_eq!(alone.get("/v1/info").await.ok()["compressors"], json!([rules]));
    assert_eq!(alone.get("/readyz").await.ok()["models"], json!([]));
}
