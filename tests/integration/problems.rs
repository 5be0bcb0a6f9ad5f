//! Malformed requests and the problem documents that answer them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

/// The document without what changes from run to run.
fn told(answer: &Answer, status: u16) -> Value {
    let mut problem = answer.problem(status);
    problem["instance"] = json!("[id]");
    problem
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_cannot_be_read_or_meant() {
    let app = TestApp::start().await;
    let path = format!("{}/messages", app.trajectory(&json!({ "id": "t" })).await);
    let deep = format!(r#"{{"messages":[{{"role":"user","content":{}1{}}}]}}"#, "[".repeat(100), "]".repeat(100));
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("no JSON", b"{".to_vec(), 400),
        ("nothing", b"".to_vec(), 400),
        ("no UTF-8", b"{\"messages\":[\"\xff\"]}".to_vec(), 400),
        ("two values", b"{\"messages\":[]} {}".to_vec(), 400),
        ("a list", b"[]".to_vec(), 422),
        ("no messages", b"{}".to_vec(), 422),
        ("an unknown field", b"{\"messages\":[],\"mesages\":[]}".to_vec(), 422),
        ("a wrong type", b"{\"messages\":[],\"expected_length\":\"3\"}".to_vec(), 422),
        ("an unknown format", b"{\"messages\":[],\"format\":\"yaml\"}".to_vec(), 422),
        ("too deep", deep.into_bytes(), 422),
        ("faults in three messages", br#"{"messages":[{"role":"wizard","content":"a"},{"content":"b"},{"role":"user","content":"c"},{"role":"tool","content":"d"}]}"#.to_vec(), 422),
        ("a lone surrogate", br#"{"messages":[{"role":"user","content":"\ud800"}]}"#.to_vec(), 422),
    ];
    let mut documents = serde_json::Map::new();
    for (name, body, status) in cases {
        let answer = app.post_raw(&path, body).await;
        documents.insert(name.to_owned(), told(&answer, status));
    }
    assert_eq!(app.get(&path).await.ok()["messages"], json!([]), "something was stored");
    insta::assert_json_snapshot!(documents);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_lead_nowhere() {
    let app = TestApp::start_with(&[("limits.max_body_bytes", "2000")]).await;
    app.trajectory(&json!({ "id": "t" })).await;
    let mut documents = serde_json::Map::new();
    let mut note = |name: &str, answer: &Answer, status| {
        documents.insert(name.to_owned(), told(answer, status));
    };
    note("no such path", &app.get("/v1/nothing").await, 404);
    note("a later stage", &app.get("/v1/later").await, 404);
    note("no such method", &app.send(Method::PUT, "/v1/trajectories/t", None, &[]).await, 405);
    note("no such trajectory", &app.get("/v1/trajectories/x/context").await, 404);
    note("too large", &app.post_raw("/v1/trajectories", vec![b' '; 3000]).await, 413);
    let plain = app.client.post(format!("{}/v1/trajectories", app.url)).header("content-type", "text/plain").body("{}");
    note("no JSON type", &Answer::of(plain.send().await.unwrap()).await, 415);
    note("a wrong id", &app.post("/v1/trajectories", &json!({ "id": "a b" })).await, 422);
    note(
        "a wrong policy",
        &app.post(
            "/v1/trajectories",
            &json!({ "policy": { "context": { "low_mark": 0.95 }, "compress": { "history": "llm" } } }),
        )
        .await,
        422,
    );
    note("an unknown policy", &app.post("/v1/trajectories", &json!({ "policy": { "colour": 1 } })).await, 422);
    note("a wrong limit", &app.get("/v1/trajectories?limit=1000").await, 422);
    note("a wrong cursor", &app.get("/v1/trajectories?cursor=x").await, 422);
    note("a wrong time", &app.get("/v1/trajectories?since=yesterday").await, 422);
    note("an unknown parameter", &app.get("/v1/trajectories?colour=red").await, 422);
    note("no search", &app.get("/v1/search").await, 422);
    note("a wrong expression", &app.get("/v1/search?regex=(").await, 422);
    note("no such problem", &app.get("/problems/nothing").await, 404);
    insta::assert_json_snapshot!(documents);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_length_is_cut_off_at_the_limit() {
    let app = TestApp::start_with(&[("limits.max_body_bytes", "2000")]).await;
    let chunks = (0..3).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1000]));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
    let request =
        app.client.post(format!("{}/v1/trajectories", app.url)).header("content-type", "application/json").body(body);
    Answer::of(request.send().await.unwrap()).await.problem(413);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_has_a_page_and_every_answer_its_id() {
    let app = TestApp::start().await;
    for code in recapd::http::Code::ALL {
        let page = app.get(&format!("/problems/{}", code.slug())).await.ok();
        assert_eq!(page["status"], code.status().as_u16());
        assert!(page["explanation"].as_str().unwrap().len() > 20);
    }
    let answer = app.send(Method::GET, "/healthz", None, &[("x-request-id", "mine-1")]).await;
    assert_eq!(answer.headers["x-request-id"], "mine-1");
    let answer = app.send(Method::GET, "/healthz", None, &[("x-request-id", "not mine")]).await;
    assert_ne!(answer.headers["x-request-id"], "not mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_answer() {
    let app = TestApp::start().await;
    assert_eq!(app.get("/healthz").await.ok()["status"], "ok");
    assert_eq!(app.get("/readyz").await.ok()["store"]["engine"], "SQLite");
    assert_eq!(app.get("/v1/info").await.ok()["compressors"][0], json!({ "name": "rules", "ready": true }));
    assert_eq!(app.get("/openapi.json").await.ok()["openapi"], "3.1.0");
    let path = app.trajectory(&json!({ "agent": "counted" })).await;
    let tokens = app.append(&path, &[json!({ "role": "user", "content": "hello" })]).await["tokens"].clone();
    app.get(&format!("{path}/context")).await.ok();
    let usage = &app.get("/v1/usage").await.ok()["usage"][0];
    assert_eq!((&usage["agent"], &usage["tokens_in"], &usage["reads"]), (&json!("counted"), &tokens, &json!(1)));
    let metrics = app.get("/metrics").await;
    assert!(metrics.text().contains("recapd_messages_appended_total"), "{}", metrics.text());
}
