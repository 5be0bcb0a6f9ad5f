//! Budgets, collapses, duplicates, pruning, excerpts.

use serde_json::{Value, json};

use super::{SUPPORT, add, apply, contents, get, lessons, send};
use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn what_would_make_it_larger_than_its_budget_is_refused() {
    let app = TestApp::start_with(&[("playbook.budget", "400")]).await;
    let ids = apply(&app, json!(lessons(20))).await;
    let before = get(&app).await;
    let harmful = json!([{ "op": "tag", "id": ids[4], "tag": "harmful", "count": 3 }]);
    apply(&app, harmful).await;
    let room = 400 - before["tokens"].as_u64().unwrap();
    let large = "something that is quite new ".repeat(usize::try_from(room).unwrap() / 4);
    let problem = send(&app, json!([add(&large)])).await.problem(422);
    assert_eq!(problem["type"], "/problems/playbook-over-budget");
    assert!(problem["over_by_tokens"].as_u64().unwrap() > 0);
    assert_eq!(problem["would_have_to_go"][0]["id"], json!(ids[4]));
    assert!(problem["would_have_to_go"][0]["tokens"].as_u64().unwrap() > 5);
    assert_eq!(get(&app).await["bullets"].as_array().unwrap().len(), 20);
    // What has to go may go in the same delta; counting is never refused.
    let gone = problem["would_have_to_go"].as_array().unwrap().iter();
    let mut operations: Vec<Value> = gone.map(|bullet| json!({ "op": "delete", "id": bullet["id"] })).collect();
    operations.push(add(&large));
    let body = json!({ "operations": operations, "allow_collapse": true });
    let tokens = app.post(&format!("{SUPPORT}/deltas"), &body).await.ok()["tokens"].as_u64().unwrap();
    assert!(tokens <= 400, "{tokens}");
}

#[tokio::test(flavor = "multi_thread")]
async fn much_of_it_goes_at_once_only_on_purpose() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!(lessons(20))).await;
    let deletions =
        |count: usize| -> Vec<Value> { ids.iter().take(count).map(|id| json!({ "op": "delete", "id": id })).collect() };
    let problem = send(&app, json!(deletions(7))).await.problem(422);
    assert_eq!(problem["type"], "/problems/playbook-collapse");
    assert_eq!((&problem["removed"], &problem["bullets"]), (&json!(7), &json!(20)));
    let all = json!([{ "op": "merge", "ids": ids, "content": "Be careful" }]);
    send(&app, all).await.problem(422);
    assert_eq!(get(&app).await["version"], 1);
    let body = json!({ "operations": deletions(7), "allow_collapse": true });
    app.post(&format!("{SUPPORT}/deltas"), &body).await.ok();
    assert_eq!(get(&app).await["bullets"].as_array().unwrap().len(), 13);
    let metrics = app.get("/metrics").await;
    assert!(metrics.text().contains("recapd_playbook_refusals_total{why=\"collapse\"}"), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_are_proposed_and_merged_on_demand() {
    let app = TestApp::start().await;
    let mut operations = lessons(5);
    operations.extend([add("Always log in before you ask for songs"), add("always LOG IN before you ask for songs!")]);
    let ids = apply(&app, json!(operations)).await;
    apply(&app, json!([{ "op": "tag", "id": ids[6], "helpful": 2 }, { "op": "tag", "id": ids[5], "helpful": 1 }]))
        .await;
    let found = app.get(&format!("{SUPPORT}/duplicates")).await.ok()["duplicates"].clone();
    assert_eq!(found, json!([{ "ids": [ids[5], ids[6]], "how": "normalised", "score": 1.0 }]));
    let shown = app.post(&format!("{SUPPORT}/dedupe"), &json!({})).await.ok();
    assert_eq!((&shown["duplicates"], &shown["merged"], shown.get("version")), (&found, &json!(0), None));
    let merged = app.post(&format!("{SUPPORT}/dedupe"), &json!({ "apply": true, "at_least": 0.99 })).await.ok();
    assert_eq!(merged, json!({ "duplicates": found, "version": 3, "merged": 1 }));
    let bullets = get(&app).await["bullets"].clone();
    assert_eq!((bullets.as_array().unwrap().len(), &bullets[5]["helpful"]), (6, &json!(3)));
    let again = app.post(&format!("{SUPPORT}/dedupe"), &json!({ "apply": true })).await.ok();
    assert_eq!(again, json!({ "duplicates": [], "merged": 0 }));
    app.post(&format!("{SUPPORT}/dedupe"), &json!({ "at_least": 2 })).await.problem(422);
    app.post(&format!("{SUPPORT}/revert?to=2"), &json!({})).await.ok();
    assert_eq!(get(&app).await["bullets"].as_array().unwrap().len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_harm_is_pruned_on_demand() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!(lessons(6))).await;
    let said = json!([
        { "op": "tag", "id": ids[1], "harmful": 6 },
        { "op": "tag", "id": ids[2], "harmful": 3 },
        { "op": "tag", "id": ids[3], "harmful": 2, "helpful": 9 },
    ]);
    apply(&app, said).await;
    let shown = app.post(&format!("{SUPPORT}/prune"), &json!({ "apply": false })).await.ok();
    let candidates = shown["candidates"].as_array().unwrap();
    let named: Vec<_> = candidates.iter().map(|one| (one["id"].clone(), one["rule"].clone())).collect();
    let expected = [(json!(ids[1]), json!("helpful-share")), (json!(ids[2]), json!("harmful-surplus"))];
    assert_eq!(named, expected);
    assert!(candidates[0]["bound"].as_f64().unwrap() < 0.4);
    assert_eq!((&shown["deleted"], shown.get("version")), (&json!(0), None));
    let pruned = app.post(&format!("{SUPPORT}/prune"), &json!({ "apply": true })).await.ok();
    assert_eq!(
        (&pruned["deleted"], &pruned["version"], &pruned["candidates"]),
        (&json!(2), &json!(3), &shown["candidates"])
    );
    assert_eq!(contents(&get(&app).await).len(), 4);
    let audit = app.get("/v1/audit").await.ok();
    assert_eq!(audit["audit"][0]["action"], "playbook.prune");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_excerpt_fits_and_bears_on_the_query() {
    let app = TestApp::start().await;
    let mut operations = lessons(40);
    operations.push(add("Refunds over 200 EUR need a supervisor's approval"));
    let ids = apply(&app, json!(operations)).await;
    let excerpt = app.get(&format!("{SUPPORT}?budget=120&query=approve%20the%20refund%20of%20200%20EUR")).await.ok();
    let text = excerpt["text"].as_str().unwrap();
    assert!(text.contains(&format!("[{}] Refunds over", ids[40])), "{text}");
    assert!(excerpt["tokens"].as_u64().unwrap() <= 120);
    let shown = excerpt["bullets"].as_array().unwrap();
    assert!((2..40).contains(&shown.len()), "{}", shown.len());
    assert!(shown.iter().all(|bullet| text.contains(bullet["content"].as_str().unwrap())));
    let whole = app.get(&format!("{SUPPORT}?budget=100000")).await.ok();
    assert_eq!((&whole["tokens"], whole["bullets"].as_array().unwrap().len()), (&get(&app).await["tokens"], 41));
    app.get(&format!("{SUPPORT}?query=x")).await.problem(422);
}
