//! Keys, scopes, namespaces, and the Host header.

use reqwest::Method;
use serde_json::json;

use crate::app::TestApp;

const FIXED: &str = "a-long-static-key";

async fn with_key_file() -> (TestApp, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{FIXED}\n")).unwrap();
    let mut app = TestApp::start_with(&[("auth.key_file", file.path().to_str().unwrap())]).await;
    app.key = Some(FIXED.to_owned());
    (app, file)
}

async fn key_for(app: &TestApp, fields: serde_json::Value) -> String {
    let made = app.post("/v1/keys", &fields).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_nothing_but_health_answers() {
    let (mut app, _file) = with_key_file().await;
    app.get("/v1/trajectories").await.ok();
    app.key = None;
    let refused = app.get("/v1/trajectories").await;
    assert_eq!(refused.problem(401)["type"], "/problems/key-needed");
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    for path in ["/v1/info", "/metrics", "/v1/audit", "/v1/search?q=x"] {
        app.get(path).await.problem(401);
    }
    for path in ["/healthz", "/readyz", "/openapi.json", "/problems/key-needed"] {
        app.get(path).await.ok();
    }
    app.key = Some("wrong".to_owned());
    app.get("/v1/trajectories").await.problem(401);
    let basic = [("authorization", "Basic YTpi")];
    app.key = None;
    app.send(Method::GET, "/v1/trajectories", None, &basic).await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_reaches_its_namespace_only() {
    let (mut app, _file) = with_key_file().await;
    let key = key_for(&app, json!({ "name": "red team", "namespace": "red" })).await;
    let words = json!({ "role": "user", "content": "the word is xylophone" });
    for namespace in ["red", "blue"] {
        let path = app.trajectory(&json!({ "id": namespace, "namespace": namespace })).await;
        app.append(&path, std::slice::from_ref(&words)).await;
    }
    app.append("/v1/trajectories/blue", &[json!({ "role": "user", "content": "blue only" })]).await;
    app.key = Some(key);
    app.get("/v1/trajectories/red/context").await.ok();
    let body = json!({ "messages": [words] });
    for path in ["", "/context", "/messages", "/epochs", "/epochs/0", "/events"] {
        app.get(&format!("/v1/trajectories/blue{path}")).await.problem(404);
    }
    for path in ["/messages", "/messages/0/pin", "/compact", "/epochs/0/restore"] {
        let body = if path == "/messages" { body.clone() } else { json!({}) };
        app.post(&format!("/v1/trajectories/blue{path}"), &body).await.problem(404);
    }
    app.post("/v1/trajectories/blue/fork", &json!({ "length": 1 })).await.problem(404);
    app.post("/v1/trajectories/blue/outcome", &json!({ "status": "success" })).await.problem(404);
    app.send(Method::PATCH, "/v1/trajectories/blue", Some(&json!({ "budget": 9 })), &[]).await.problem(404);
    app.delete("/v1/trajectories/blue").await.problem(404);
    app.post("/v1/trajectories", &json!({ "namespace": "blue" })).await.problem(403);
    let listed = app.get("/v1/trajectories").await.ok();
    assert_eq!(listed["trajectories"].as_array().unwrap().len(), 1);
    let found = app.get("/v1/search?q=xylophone").await.ok();
    assert_eq!(found["search"].as_array().unwrap().len(), 1);
    assert_eq!(found["search"][0]["trajectory_id"], "red");
    let shared = format!("/v1/originals/b3:{}", blake3::hash(b"the word is xylophone").to_hex());
    assert_eq!(app.get(&shared).await.status, 200);
    let theirs = format!("/v1/originals/b3:{}", blake3::hash(b"blue only").to_hex());
    app.get(&theirs).await.problem(404);
    let made = app.post("/v1/trajectories", &json!({ "id": "new" })).await.json();
    assert_eq!(made["namespace"], "red");
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_hold_and_revoked_keys_end() {
    let (mut app, _file) = with_key_file().await;
    let agent = key_for(&app, json!({ "name": "a" })).await;
    let operator = key_for(&app, json!({ "name": "o", "scope": "operator" })).await;
    let listed = app.get("/v1/keys").await;
    assert!(!listed.text().contains(&agent), "a key's text was kept");
    let id = listed.json()["keys"][0]["id"].as_str().unwrap().to_owned();
    app.key = Some(agent.clone());
    app.get("/v1/trajectories").await.ok();
    for path in ["/v1/audit", "/v1/usage", "/metrics", "/v1/keys"] {
        app.get(path).await.problem(403);
    }
    app.key = Some(operator);
    app.get("/v1/audit").await.ok();
    app.post("/v1/keys", &json!({ "name": "x" })).await.problem(403);
    app.key = Some(FIXED.to_owned());
    assert_eq!(app.delete(&format!("/v1/keys/{id}")).await.status, 204);
    app.delete(&format!("/v1/keys/{id}")).await.problem(404);
    app.key = Some(agent);
    app.get("/v1/trajectories").await.problem(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_the_host_must_be_local() {
    let app = TestApp::start().await;
    app.get("/v1/trajectories").await.ok();
    let answer = app.send(Method::GET, "/v1/trajectories", None, &[("host", "evil.example")]).await;
    assert_eq!(answer.problem(421)["type"], "/problems/foreign-host");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_key_ends_keyless_access_until_it_is_revoked() {
    let mut app = TestApp::start().await;
    let made = app.post("/v1/keys", &json!({ "name": "first", "scope": "admin" })).await.ok();
    app.get("/v1/trajectories").await.problem(401);
    app.key = Some(made["key"].as_str().unwrap().to_owned());
    app.get("/v1/trajectories").await.ok();
    app.key = None;
    let mut app = app.restart().await;
    app.get("/v1/trajectories").await.problem(401);
    app.key = Some(made["key"].as_str().unwrap().to_owned());
    assert_eq!(app.delete(&format!("/v1/keys/{}", made["id"].as_str().unwrap())).await.status, 204);
    app.key = None;
    app.get("/v1/trajectories").await.ok();
}
