//! What operators see and do.

use recapd::store::{NewJob, StoreUrl};
use serde_json::{Value, json};

use super::{claimed, job};
use crate::app::TestApp;
use crate::store::bed::Bed;

fn keys(list: &Value) -> Vec<&str> {
    list["jobs"].as_array().unwrap().iter().map(|job| job["key"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_jobs_and_retry_dead_ones() {
    let bed = Bed::sqlite().await;
    let StoreUrl::Sqlite(path) = &bed.url else { unreachable!() };
    let mut app = TestApp::start_with(&[("storage.database_url", path.to_str().unwrap())]).await;
    for (n, namespace) in (0..).zip(["red", "blue", "blue"]) {
        let new = NewJob { namespace: namespace.into(), ..job("work", &format!("{namespace} {n}"), n) };
        bed.store.enqueue_job(new).await.unwrap();
    }
    let (dead, lease) = claimed(&bed.store, 10).await;
    bed.store.fail_job(lease, "no use", None, 11).await.unwrap();

    let page = app.get("/v1/jobs?limit=2").await.ok();
    assert_eq!(keys(&page), ["blue 2", "blue 1"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(keys(&app.get(&format!("/v1/jobs?limit=2&cursor={cursor}")).await.ok()), ["red 0"]);
    assert_eq!(keys(&app.get("/v1/jobs?namespace=blue&state=ready&kind=work").await.ok()).len(), 2);
    let found = app.get("/v1/jobs?state=dead").await.ok();
    assert_eq!(found["jobs"][0]["last_error"], "no use");
    assert_eq!(app.get("/readyz").await.ok()["queue"], json!({ "ready": 2, "running": 0, "dead": 1 }));
    for query in ["state=done", "cursor=x", "limit=0"] {
        app.get(&format!("/v1/jobs?{query}")).await.problem(422);
    }

    let admin = app.post("/v1/keys", &json!({ "name": "admin", "scope": "admin" })).await.ok();
    app.key = admin["key"].as_str().map(str::to_owned);
    let blue = json!({ "name": "blue", "scope": "operator", "namespace": "blue" });
    let blue = app.post("/v1/keys", &blue).await.ok();
    let agent = app.post("/v1/keys", &json!({ "name": "agent" })).await.ok();
    let retry = format!("/v1/jobs/{}/retry", dead.id);
    app.key = agent["key"].as_str().map(str::to_owned);
    app.get("/v1/jobs").await.problem(403);
    app.post(&retry, &json!({})).await.problem(403);
    app.key = blue["key"].as_str().map(str::to_owned);
    assert_eq!(keys(&app.get("/v1/jobs").await.ok()), ["blue 2", "blue 1"]);
    app.get("/v1/jobs?namespace=red").await.problem(403);
    app.post(&retry, &json!({})).await.problem(404);
    app.key = admin["key"].as_str().map(str::to_owned);
    let retried = app.post(&retry, &json!({})).await.ok();
    assert_eq!((&retried["state"], &retried["attempts"]), (&json!("ready"), &json!(0)));
    assert_eq!(app.get("/v1/audit").await.ok()["audit"][0]["action"], "job.retry");
}
