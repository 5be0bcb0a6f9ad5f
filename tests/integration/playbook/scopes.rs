//! Who may do what, and in which namespace.

use reqwest::Method;
use serde_json::{Value, json};

use super::{SUPPORT, add};
use crate::app::{Answer, TestApp};

async fn key(app: &TestApp, scope: &str, namespace: Value) -> String {
    let made = app.post("/v1/keys", &json!({ "name": scope, "scope": scope, "namespace": namespace })).await.ok();
    made["key"].as_str().unwrap().to_owned()
}

async fn send(app: &TestApp, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
    app.send(method, path, body, &[("authorization", &format!("Bearer {key}"))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_change_and_count_operators_decide() {
    let mut app = TestApp::start().await;
    let admin = key(&app, "admin", Value::Null).await;
    app.key = Some(admin.clone());
    let agent = key(&app, "agent", json!("default")).await;
    app.key = None;
    let delta = json!({ "operations": [add("one")] });
    let made = send(&app, &agent, Method::POST, &format!("{SUPPORT}/deltas"), Some(&delta)).await.ok();
    let id = made["applied"][0]["id"].as_str().unwrap().to_owned();
    let seen = send(&app, &agent, Method::GET, SUPPORT, None).await.ok();
    assert_eq!(seen["bullets"][0]["origin"], "agent");
    let feedback = format!("{SUPPORT}/bullets/{id}/feedback");
    send(&app, &agent, Method::POST, &feedback, Some(&json!({ "helpful": true }))).await.ok();
    for read in ["", "/deltas", "/diff", "/review", "/duplicates"] {
        send(&app, &agent, Method::GET, &format!("{SUPPORT}{read}"), None).await.ok();
    }
    for (path, body) in [("/dedupe", json!({})), ("/prune", json!({ "apply": false }))] {
        send(&app, &agent, Method::POST, &format!("{SUPPORT}{path}"), Some(&body)).await.ok();
    }
    let forbidden = [
        (Method::PATCH, "", json!({ "review": true })),
        (Method::POST, "/revert?to=0", json!({})),
        (Method::GET, "/export", json!({})),
        (Method::POST, "/import", json!({ "format": "ace", "text": "[a-1] one" })),
        (Method::POST, "/review/x", json!({ "accept": true })),
        (Method::POST, "/dedupe", json!({ "apply": true })),
        (Method::POST, "/prune", json!({ "apply": true })),
    ];
    for (method, path, body) in forbidden {
        send(&app, &agent, method, &format!("{SUPPORT}{path}"), Some(&body)).await.problem(403);
    }
    // An operator's words over an agent's are the operator's.
    let update = json!({ "operations": [{ "op": "update", "id": id, "content": "uno" }] });
    send(&app, &admin, Method::POST, &format!("{SUPPORT}/deltas"), Some(&update)).await.ok();
    let seen = send(&app, &agent, Method::GET, SUPPORT, None).await.ok();
    assert_eq!(seen["bullets"][0]["origin"], "operator");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_keeps_its_playbooks_to_itself() {
    let mut app = TestApp::start().await;
    let admin = key(&app, "admin", Value::Null).await;
    app.key = Some(admin.clone());
    let blue = key(&app, "operator", json!("blue")).await;
    app.key = None;
    let delta = |content: &str| json!({ "operations": [add(content)] });
    let deltas = format!("{SUPPORT}/deltas");
    send(&app, &blue, Method::POST, &deltas, Some(&delta("of blue"))).await.ok();
    send(&app, &admin, Method::POST, &deltas, Some(&delta("of default"))).await.ok();
    let seen = send(&app, &blue, Method::GET, SUPPORT, None).await.ok();
    assert_eq!((&seen["namespace"], &seen["bullets"][0]["content"]), (&json!("blue"), &json!("of blue")));
    let named = send(&app, &admin, Method::GET, &format!("{SUPPORT}?namespace=blue"), None).await.ok();
    assert_eq!(named, seen);
    send(&app, &blue, Method::GET, &format!("{SUPPORT}?namespace=default"), None).await.problem(404);
    send(&app, &blue, Method::POST, &format!("{deltas}?namespace=default"), Some(&delta("x"))).await.problem(404);
    let list = |key: String, query: &'static str| {
        let app = &app;
        async move {
            let list = send(app, &key, Method::GET, &format!("/v1/playbooks{query}"), None).await.ok();
            let names = list["playbooks"].as_array().unwrap().iter().map(|one| one["namespace"].clone());
            names.collect::<Vec<_>>()
        }
    };
    assert_eq!(list(admin, "").await, ["blue", "default"]);
    assert_eq!(list(blue.clone(), "").await, ["blue"]);
    assert!(list(blue, "?namespace=default").await.is_empty());
}
