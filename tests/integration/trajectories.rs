//! Records, messages, forks, pins, deletion.

use reqwest::Method;
use serde_json::json;

use crate::app::TestApp;
use crate::run::{tool_run, tool_turn};

#[tokio::test(flavor = "multi_thread")]
async fn law_1_messages_come_back_byte_identical_and_in_order() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    let sent = [
        r#"{"role": "system",   "content": "caf\u00e9 ☕"}"#,
        r#"{"content":"1.0e2 \/ 😀","role":"user","x-own":{"b":1.50,"a":[ ]}}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\" : 1 }"}}]}"#,
        r#"{"role":"tool","tool_call_id":"a","content":"line\r\nline\u0000"}"#,
    ];
    let body = format!(r#"{{"messages":[{}]}}"#, sent.join(" ,\n"));
    let report = app.post_raw(&format!("{path}/messages"), body).await.ok();
    assert_eq!((report["appended"].as_u64(), report["length"].as_u64()), (Some(4), Some(4)));
    assert_eq!(app.messages(&path).await, sent);
    let app = app.restart().await;
    assert_eq!(app.messages(&path).await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_1_originals_are_read_by_hash_and_handle() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({ "id": "run:1" })).await;
    let text = "first line\nsecond line with grüße\nthird";
    app.append(&path, &[json!({ "role": "user", "content": text })]).await;
    let hash = format!("b3:{}", blake3::hash(text.as_bytes()).to_hex());
    assert_eq!(app.get(&format!("/v1/originals/{hash}")).await.text(), text);
    let handle = &hash[..11];
    assert_eq!(app.get(&format!("/v1/originals/{handle}?trajectory=run:1")).await.text(), text);
    let part = app.get(&format!("/v1/originals/{handle}?trajectory=run:1&range=2-2")).await;
    assert_eq!(part.text(), "second line with grüße\n");
    app.get(&format!("/v1/originals/{handle}")).await.problem(422);
    app.get(&format!("/v1/originals/b3:{}", "0".repeat(64))).await.problem(404);
    app.get("/v1/originals/b3:00000000?trajectory=run:1").await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_made_read_changed_and_listed() {
    let app = TestApp::start().await;
    let tools = json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }]);
    let fields = json!({ "id": "a.b:c-1", "agent": "tester", "task": "Mend it", "model": "gpt-4o", "tools": tools,
        "budget": 9000, "policy": { "context": { "low_mark": 0.4 }, "observations_role": "tool" }, "metadata": { "k": [1] } });
    let made = app.post("/v1/trajectories", &fields).await;
    assert_eq!(made.status, 201);
    assert_eq!(made.headers["location"], "/v1/trajectories/a.b:c-1");
    app.post("/v1/trajectories", &fields).await.problem(409);
    let patched = app
        .send(Method::PATCH, "/v1/trajectories/a.b:c-1", Some(&json!({ "budget": null, "metadata": { "k": 2 } })), &[])
        .await
        .ok();
    assert_eq!((patched["budget"].is_null(), &patched["metadata"]), (true, &json!({ "k": 2 })));
    assert_eq!(patched["tools"], tools);
    app.post("/v1/trajectories/a.b:c-1/outcome", &json!({ "status": "success", "score": 1.0 })).await.ok();
    let record = app.get("/v1/trajectories/a.b:c-1").await.ok();
    assert_eq!((&record["outcome"]["status"], &record["length"]), (&json!("success"), &json!(0)));
    for filter in ["agent=tester", "outcome=success", "q=MEND", "namespace=default", "since=2020-01-01T00:00:00Z"] {
        let listed = app.get(&format!("/v1/trajectories?{filter}")).await.ok();
        assert_eq!(listed["trajectories"].as_array().unwrap().len(), 1, "{filter}");
    }
    for filter in ["agent=other", "outcome=failure", "until=2020-01-01T00:00:00Z"] {
        let listed = app.get(&format!("/v1/trajectories?{filter}")).await.ok();
        assert!(listed["trajectories"].as_array().unwrap().is_empty(), "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_read_page_by_page() {
    let app = TestApp::start().await;
    for n in 0..5 {
        app.trajectory(&json!({ "id": format!("t{n}") })).await;
    }
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = app.get(&format!("/v1/trajectories{query}")).await.ok();
        let ids = page["trajectories"].as_array().unwrap().iter();
        seen.extend(ids.map(|record| record["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        query = format!("?limit=2&cursor={cursor}");
    }
    seen.sort();
    assert_eq!(seen, ["t0", "t1", "t2", "t3", "t4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_with_its_key_appends_once() {
    let app = TestApp::start().await;
    let path = format!("{}/messages", app.trajectory(&json!({})).await);
    let body = json!({ "messages": [{ "role": "user", "content": "hello" }] });
    let key = [("idempotency-key", "k-1")];
    let first = app.send(Method::POST, &path, Some(&body), &key).await.ok();
    let again = app.send(Method::POST, &path, Some(&body), &key).await.ok();
    assert_eq!(first, again);
    let other = json!({ "messages": [{ "role": "user", "content": "bye" }] });
    let problem = app.send(Method::POST, &path, Some(&other), &key).await.problem(422);
    assert_eq!(problem["type"], "/problems/idempotency-mismatch");
    assert_eq!(app.get(&path).await.ok()["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expected_length_that_differs_is_refused_with_the_length() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    app.append(&path, &tool_run(1, 20)).await;
    let body = json!({ "messages": tool_turn(1, 20), "expected_length": 2 });
    let problem = app.post(&format!("{path}/messages"), &body).await.problem(409);
    assert_eq!((&problem["type"], &problem["current_length"]), (&json!("/problems/length-conflict"), &json!(4)));
    let body = json!({ "messages": tool_turn(1, 20), "expected_length": 4 });
    assert_eq!(app.post(&format!("{path}/messages"), &body).await.ok()["length"], 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_appends_of_one_trajectory_stay_whole() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    let appends = (0..20).map(|turn| {
        let (app, path) = (&app, &path);
        async move { app.append(path, &tool_turn(turn, 10)).await }
    });
    futures::future::join_all(appends).await;
    let messages = app.messages(&path).await;
    assert_eq!(messages.len(), 40);
    for pair in messages.chunks(2) {
        let call: serde_json::Value = serde_json::from_str(&pair[0]).unwrap();
        let result: serde_json::Value = serde_json::from_str(&pair[1]).unwrap();
        assert_eq!(call["tool_calls"][0]["id"], result["tool_call_id"]);
    }
    let record = app.get(&path).await.ok();
    assert_eq!((&record["length"], &record["metrics"]["full"]["steps"]), (&json!(40), &json!(20)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_shares_the_first_messages_and_nothing_after() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({ "agent": "a" })).await;
    app.append(&path, &tool_run(4, 40)).await;
    let fork = app.post(&format!("{path}/fork"), &json!({ "length": 6, "id": "fork" })).await;
    assert_eq!(fork.status, 201, "{}", fork.text());
    app.append("/v1/trajectories/fork", &tool_turn(9, 40)).await;
    let (old, new) = (app.messages(&path).await, app.messages("/v1/trajectories/fork").await);
    assert_eq!((old.len(), new.len()), (10, 8));
    assert_eq!(old[..6], new[..6]);
    app.post(&format!("{path}/fork"), &json!({ "length": 99 })).await.problem(422);
    app.post(&format!("{path}/fork"), &json!({ "length": 1, "id": "fork" })).await.problem(409);
    app.delete(&path).await.ok();
    assert_eq!(app.messages("/v1/trajectories/fork").await, new);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_deletion_leaves_nothing() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({ "id": "gone" })).await;
    app.append(&path, &[json!({ "role": "user", "content": "a zanzibar secret" })]).await;
    app.get(&format!("{path}/context")).await.ok();
    assert_eq!(app.get("/v1/search?q=zanzibar").await.ok()["search"].as_array().unwrap().len(), 1);
    let report = app.delete(&path).await.ok();
    assert_eq!((&report["messages"], &report["originals"], &report["epochs"]), (&json!(1), &json!(1), &json!(1)));
    for left in [path.clone(), format!("{path}/context"), format!("{path}/messages"), format!("{path}/epochs")] {
        app.get(&left).await.problem(404);
    }
    app.delete(&path).await.problem(404);
    let hash = blake3::hash(b"a zanzibar secret").to_hex();
    app.get(&format!("/v1/originals/b3:{hash}")).await.problem(404);
    assert!(app.get("/v1/search?q=zanzibar").await.ok()["search"].as_array().unwrap().is_empty());
    let audit = app.get("/v1/audit").await.ok();
    assert_eq!(audit["audit"][0]["action"], "trajectory.delete");
    app.trajectory(&json!({ "id": "gone" })).await;
    assert_eq!(app.get(&path).await.ok()["length"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_pinned_and_unpinned() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    app.append(&path, &tool_run(1, 20)).await;
    assert_eq!(app.post(&format!("{path}/messages/3/pin"), &json!({})).await.ok()["pinned"], true);
    assert_eq!(app.delete(&format!("{path}/messages/3/pin")).await.ok()["pinned"], false);
    app.post(&format!("{path}/messages/4/pin"), &json!({})).await.problem(404);
    app.post(&format!("{path}/messages/x/pin"), &json!({})).await.problem(422);
}
