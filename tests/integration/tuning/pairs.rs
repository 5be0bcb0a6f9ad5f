//! Pairs from outside as evidence.

use serde_json::{Value, json};

use super::{BAD, GOOD, champion, draft, ended, spec, start, store_runs, ticket_run};
use crate::app::TestApp;

fn outcome(status: &str) -> Value {
    json!({ "outcome": { "status": status } })
}

fn pair(task: usize, full: &Value, compressed: &str) -> Value {
    let mut side = outcome("success");
    side.as_object_mut().unwrap().extend(full.as_object().unwrap().clone());
    json!({ "task": format!("task {task}"), "full": side, "compressed": outcome(compressed) })
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_are_imported_once_and_listed_and_erased() {
    let app = TestApp::start().await;
    let ids = store_runs(&app, 0..1).await;
    let pairs = [
        pair(0, &json!({ "trajectory": ids[0] }), "failure"),
        pair(1, &json!({ "messages": ticket_run(1) }), "partial"),
    ];
    let answer = app.post("/v1/pairs", &json!({ "pairs": pairs })).await.ok();
    assert_eq!((&answer["imported"], &answer["known"]), (&json!(2), &json!(0)));
    let again = app.post("/v1/pairs", &json!({ "pairs": pairs })).await.ok();
    assert_eq!((&again["imported"], &again["known"]), (&json!(0), &json!(2)));
    let list = app.get("/v1/pairs?limit=1").await.ok();
    let second = &list["pairs"][0];
    assert!(second["full"]["messages"].as_u64() > Some(0) || second["full"]["trajectory"].is_string(), "{list}");
    let next = app.get(&format!("/v1/pairs?limit=1&cursor={}", list["next_cursor"].as_str().unwrap())).await.ok();
    assert_eq!(next["pairs"].as_array().unwrap().len(), 1);
    app.get("/v1/pairs?cursor=nonsense").await.problem(422);
    let id = answer["ids"][1].as_str().unwrap();
    assert_eq!(app.delete(&format!("/v1/pairs/{id}")).await.status, 204);
    app.delete(&format!("/v1/pairs/{id}")).await.problem(404);
    assert_eq!(app.get("/v1/pairs").await.ok()["pairs"].as_array().unwrap().len(), 1);

    let wrong = [
        (pair(0, &json!({}), "failure"), "/pairs/0/full"),
        (pair(0, &json!({ "trajectory": "none" }), "failure"), "/pairs/0/full/trajectory"),
        (pair(0, &json!({ "trajectory": ids[0], "messages": [] }), "failure"), "/pairs/0/full"),
        (pair(0, &json!({ "messages": [{ "content": "no role" }] }), "failure"), "/pairs/0/full/messages"),
    ];
    for (pair, pointer) in wrong {
        let problem = app.post("/v1/pairs", &json!({ "pairs": [pair] })).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    app.post("/v1/pairs", &json!({ "pairs": [] })).await.problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_that_share_a_whole_run_are_one_case() {
    let app = TestApp::start().await;
    champion(&app, BAD).await;
    let ids = store_runs(&app, 0..12).await;
    let twice = ["failure", "partial"].into_iter().flat_map(|status| {
        ids.iter().enumerate().map(move |(task, id)| pair(task, &json!({ "trajectory": id }), status))
    });
    let pairs: Vec<Value> = twice.collect();
    assert_eq!(app.post("/v1/pairs", &json!({ "pairs": pairs })).await.ok()["imported"], 24);
    let good = draft(&app, GOOD).await;
    let path = start(&app, &spec(&json!({ "evidence": "pairs", "candidates": 0, "drafts": [good] }))).await;
    let run = ended(&app, &path).await;
    let cases = &run["cases"];
    assert_eq!(cases["train"].as_u64().unwrap() + cases["held_out"].as_u64().unwrap(), 12, "{run}");
    assert_eq!((&run["verdict"]["cases"], &run["verdict"]["unpaired"]), (&cases["held_out"], &json!(0)), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_that_compression_broke_are_the_cases_of_a_run() {
    let app = TestApp::start().await;
    champion(&app, BAD).await;
    let ids = store_runs(&app, 0..12).await;
    let stored = (0..12).map(|task| pair(task, &json!({ "trajectory": ids[task] }), "failure"));
    let inline = (12..24).map(|task| pair(task, &json!({ "messages": ticket_run(task) }), "failure"));
    let fine = (24..28).map(|task| pair(task, &json!({ "messages": ticket_run(task) }), "success"));
    let pairs: Vec<Value> = stored.chain(inline).chain(fine).collect();
    app.post("/v1/pairs", &json!({ "pairs": pairs })).await.ok();
    let path = start(&app, &spec(&json!({ "evidence": "pairs", "candidates": 4 }))).await;
    let run = ended(&app, &path).await;
    assert_eq!(run["cases"]["tasks"], 24, "{run}");
    assert_eq!((&run["state"], &run["verdict"]["passes"]), (&json!("done"), &json!(true)), "{run}");
}
