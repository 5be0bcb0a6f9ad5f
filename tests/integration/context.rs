//! The budgeted context over HTTP: the laws that a reader can see.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::TestApp;
use crate::run::{tool_run, tool_turn};

async fn long_run(app: &TestApp) -> String {
    let path = app.trajectory(&json!({ "model": "gpt-4o" })).await;
    app.append(&path, &tool_run(40, 400)).await;
    path
}

fn messages(context: &Value) -> Vec<Value> {
    context["messages"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_run_is_served_as_it_is() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    let sent = tool_run(2, 40);
    app.append(&path, &sent).await;
    let context = app.get(&format!("{path}/context")).await.ok();
    assert_eq!(messages(&context), sent);
    assert_eq!((&context["length"], &context["epoch"], &context["format"]), (&json!(6), &json!(0), &json!("openai")));
    assert_eq!(context["tokens"]["total"], context["tokens"]["full"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_2_budgets_hold_and_a_refusal_names_the_least_that_would_do() {
    let app = TestApp::start().await;
    let path = long_run(&app).await;
    for budget in [1_500, 4_000, 9_000] {
        for format in ["openai", "anthropic", "responses", "text"] {
            let context = app.get(&format!("{path}/context?budget={budget}&format={format}")).await.ok();
            assert!(context["tokens"]["total"].as_u64().unwrap() <= budget, "{budget} {format}");
            assert!(context["tokens"]["full"].as_u64().unwrap() > 10_000);
        }
    }
    let problem = app.get(&format!("{path}/context?budget=50")).await.problem(422);
    assert_eq!(problem["type"], "/problems/budget-too-small");
    let least = problem["minimum_budget"].as_u64().unwrap();
    let context = app.get(&format!("{path}/context?budget={least}")).await.ok();
    assert!(context["tokens"]["total"].as_u64().unwrap() <= least);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_3_results_follow_their_calls() {
    let app = TestApp::start().await;
    let path = long_run(&app).await;
    let context = app.get(&format!("{path}/context?budget=4000")).await.ok();
    let mut open: HashSet<String> = HashSet::new();
    for message in messages(&context) {
        if message["role"] == "tool" {
            assert!(open.remove(message["tool_call_id"].as_str().unwrap()), "a result without its call");
            continue;
        }
        assert!(open.is_empty(), "a call without its result");
        let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
        open.extend(calls.iter().map(|call| call["id"].as_str().unwrap().to_owned()));
    }
    assert!(open.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn law_5_a_context_grows_at_its_end_until_its_epoch_ends() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    app.append(&path, &tool_run(1, 300)).await;
    let (mut before, mut epoch, mut epochs) = (Vec::new(), json!(0), 0);
    for turn in 1..30 {
        app.append(&path, &tool_turn(turn, 300)).await;
        let context = app.get(&format!("{path}/context?budget=6000")).await.ok();
        let now = messages(&context);
        if context["epoch"] == epoch {
            assert_eq!(now[..before.len()], before, "turn {turn}");
        } else {
            assert_eq!(context["prefix"]["changed"], true);
            epochs += 1;
        }
        (before, epoch) = (now, context["epoch"].clone());
    }
    assert!(epochs >= 2, "the run never outgrew its budget");
    let listed = app.get(&format!("{path}/epochs")).await.ok();
    assert_eq!(listed["epochs"].as_array().unwrap().len(), epochs + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_5_a_restart_serves_the_same_bytes() {
    let app = TestApp::start().await;
    let path = long_run(&app).await;
    let queries = ["budget=5000", "budget=3000&format=anthropic", "budget=2500&format=text"];
    let mut before = Vec::new();
    for query in queries {
        before.push(app.get(&format!("{path}/context?{query}")).await);
    }
    let app = app.restart().await;
    for (query, before) in queries.iter().zip(before) {
        let after = app.get(&format!("{path}/context?{query}")).await;
        assert_eq!(after.headers["etag"], before.headers["etag"], "{query}");
        for part in ["messages", "system", "text", "epoch", "pieces"] {
            assert_eq!(after.json()[part], before.json()[part], "{query} {part}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etag_that_still_holds_answers_304() {
    let app = TestApp::start().await;
    let path = long_run(&app).await;
    let first = app.get(&format!("{path}/context?budget=4000")).await;
    let etag = first.headers["etag"].to_str().unwrap().to_owned();
    let header = [("if-none-match", etag.as_str())];
    let url = format!("{path}/context?budget=4000");
    let again = app.send(Method::GET, &url, None, &header).await;
    assert_eq!((again.status, again.bytes.len()), (304, 0));
    assert_eq!(again.headers["etag"], etag);
    let body = json!({ "budget": 4000, "if_none_match": etag });
    assert_eq!(app.post(&format!("{path}/context"), &body).await.status, 304);
    app.append(&path, &tool_turn(99, 50)).await;
    assert_eq!(app.send(Method::GET, &url, None, &header).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn query_and_body_ask_for_the_same() {
    let app = TestApp::start().await;
    let path = long_run(&app).await;
    let got = app.get(&format!("{path}/context?budget=4000&reserve=500&include=facts,recalled")).await.ok();
    let body = json!({ "budget": 4000, "reserve": 500, "include": ["facts", "recalled"] });
    let posted = app.post(&format!("{path}/context"), &body).await.ok();
    assert_eq!(got["messages"], posted["messages"]);
    assert!(got["tokens"]["total"].as_u64().unwrap() <= 3_500);
    app.get(&format!("{path}/context?include=lessons")).await.problem(422);
    app.get(&format!("{path}/context?bugdet=1")).await.problem(422);
    app.get(&format!("{path}/context?budget=0")).await.problem(422);
    app.get(&format!("{path}/context?format=yaml")).await.problem(422);
    app.post(&format!("{path}/context"), &json!({ "wait": true })).await.problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_are_begun_read_and_restored_on_request() {
    let app = TestApp::start().await;
    let path = long_run(&app).await;
    let query = json!({ "budget": 5000 });
    let first = app.post(&format!("{path}/context"), &query).await.ok();
    let compacted = app.post(&format!("{path}/compact"), &query).await.ok();
    assert_eq!(compacted["epoch"], 1);
    let restored = app.post(&format!("{path}/epochs/0/restore"), &query).await.ok();
    assert_eq!(restored["epoch"], 2);
    assert_eq!(restored["messages"], first["messages"]);
    assert_eq!(app.get(&format!("{path}/epochs/2")).await.ok()["record"]["cause"], "restored");
    app.post(&format!("{path}/epochs/9/restore"), &query).await.problem(404);
    assert_eq!(app.get(&path).await.ok()["epoch"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn handles_in_markers_read_the_originals() {
    let app = TestApp::start().await;
    let path = long_run(&app).await;
    let context = app.get(&format!("{path}/context?budget=3000")).await.ok();
    assert_eq!(context["expand_tool"]["function"]["name"], "recapd_expand");
    let id = path.rsplit('/').next().unwrap();
    let omitted = context["omitted"].as_array().unwrap();
    let handles: Vec<&str> = omitted.iter().filter_map(|one| one["expand"].as_str()).collect();
    assert!(!handles.is_empty());
    for handle in handles {
        let original = app.get(&format!("/v1/originals/{handle}?trajectory={id}")).await;
        assert_eq!(original.status, 200, "{handle}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_8_system_and_task_and_pinned_words_stay() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    let mut run = tool_run(3, 60);
    run.push(json!({ "role": "assistant", "content": "The cause is code PELIKAN-77." }));
    run.push(json!({ "role": "user", "content": "Good. Never touch shard 4." }));
    run.extend((10..60).flat_map(|turn| tool_turn(turn, 300)));
    app.append(&path, &run).await;
    app.post(&format!("{path}/messages/8/pin"), &json!({})).await.ok();
    let context = app.get(&format!("{path}/context?budget=4000")).await.ok();
    assert_eq!(messages(&context)[..2], run[..2]);
    let text = context["messages"].to_string();
    assert!(text.contains("The cause is code PELIKAN-77."), "the pinned message is gone");
    assert!(text.contains("Never touch shard 4."), "the user's words are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn compression_without_storing_fits_and_names_no_handles() {
    let app = TestApp::start().await;
    let body = json!({ "messages": tool_run(40, 300), "budget": 3000 });
    let context = app.post("/v1/compress", &body).await.ok();
    assert!(context["tokens"]["total"].as_u64().unwrap() <= 3_000);
    assert!(context.get("trajectory_id").is_none() && context.get("expand_tool").is_none());
    assert!(app.get("/v1/trajectories").await.ok()["trajectories"].as_array().unwrap().is_empty());
    app.post("/v1/compress", &json!({ "messages": [] })).await.problem(422);
    app.post("/v1/compress", &json!({ "messages": tool_run(1, 9), "budget": 1 })).await.problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn anthropic_messages_go_in_and_come_out() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({ "model": "claude-sonnet-4-5" })).await;
    let messages = json!([
        { "role": "user", "content": "What is in a.txt?" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "t1", "name": "read", "input": { "path": "a.txt" } }] },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t1", "content": "42" }] },
    ]);
    let body = json!({ "format": "anthropic", "system": "Be brief.", "messages": messages });
    assert_eq!(app.post(&format!("{path}/messages"), &body).await.ok()["length"], 4);
    let context = app.get(&format!("{path}/context?format=anthropic")).await.ok();
    assert_eq!(context["messages"].as_array().unwrap()[1..], messages.as_array().unwrap()[1..]);
    assert!(context["messages"][0].to_string().contains("What is in a.txt?"));
    assert!(context["system"].to_string().contains("Be brief."));
    let openai = app.get(&format!("{path}/context?format=openai")).await.ok();
    assert_eq!(openai["messages"][3]["role"], "tool");
    let wrong = json!({ "system": "x", "messages": [] });
    app.post(&format!("{path}/messages"), &wrong).await.problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_served_whole_cost_what_they_cost_in_full() {
    let app = TestApp::start().await;
    let tools = json!([{ "type": "function", "function": { "name": "read", "description": "Reads a file." } }]);
    let policy = json!({ "compress": { "observation": "off" } });
    let path = app.trajectory(&json!({ "tools": tools, "policy": policy })).await;
    app.append(&path, &[json!({ "role": "system", "content": "Be brief." })]).await;
    app.append(&path, &[json!({ "role": "user", "content": "Read the files." })]).await;
    for turn in 1..5 {
        app.get(&format!("{path}/context?budget=100000")).await.ok();
        app.append(&path, &tool_turn(turn, 40)).await;
    }
    let metrics = &app.get(&path).await.ok()["metrics"];
    assert_eq!(metrics["full"]["steps"], 4);
    assert_eq!(metrics["served"], metrics["full"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_are_summed_in_full_and_as_served() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    app.append(&path, &tool_run(1, 400)).await;
    for turn in 1..20 {
        app.get(&format!("{path}/context?budget=3000")).await.ok();
        app.append(&path, &tool_turn(turn, 400)).await;
    }
    let metrics = &app.get(&path).await.ok()["metrics"];
    assert_eq!((&metrics["full"]["steps"], &metrics["served"]["steps"]), (&json!(20), &json!(19)));
    assert!(metrics["served"]["peak_tokens"].as_u64().unwrap() <= 3_000);
    assert!(metrics["full"]["peak_tokens"].as_u64().unwrap() > 3_000);
    assert!(metrics["served"]["dependency"].as_f64() < metrics["full"]["dependency"].as_f64());
}
