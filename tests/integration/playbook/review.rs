//! Changes that wait.

use serde_json::{Value, json};

use super::{SUPPORT, add, apply, contents, get, send};
use crate::app::TestApp;

async fn pending(app: &TestApp, operations: Value) -> String {
    let answer = send(app, operations).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.json()["reasons"].as_array().unwrap().len(), 1);
    answer.json()["pending"].as_str().unwrap().to_owned()
}

async fn decide(app: &TestApp, id: &str, decision: &Value) -> crate::app::Answer {
    app.post(&format!("{SUPPORT}/review/{id}"), decision).await
}

#[tokio::test(flavor = "multi_thread")]
async fn words_wait_for_an_operators_word() {
    let app = TestApp::start_with(&[("playbook.review", "true")]).await;
    let first = pending(&app, json!([add("one")])).await;
    let second = pending(&app, json!([add("two")])).await;
    let playbook = get(&app).await;
    assert_eq!((&playbook["version"], &playbook["pending"], contents(&playbook).len()), (&json!(0), &json!(2), 0));
    let page = app.get(&format!("{SUPPORT}/review?limit=1")).await.ok();
    assert_eq!((&page["review"][0]["id"], &page["review"][0]["actor"]), (&json!(first), &json!("local")));
    assert_eq!(page["review"][0]["operations"], json!([add("one")]));
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = app.get(&format!("{SUPPORT}/review?cursor={cursor}")).await.ok();
    assert_eq!((&page["review"][0]["id"], &page["next_cursor"]), (&json!(second), &Value::Null));

    let app = app.restart().await;
    let accepted = decide(&app, &second, &json!({ "decision": "accept" })).await.ok();
    assert_eq!((&accepted["version"], &accepted["applied"][0]["id"]), (&json!(1), &json!("r-00001")));
    assert_eq!(decide(&app, &first, &json!({ "reject": true })).await.ok(), json!({}));
    assert_eq!(contents(&get(&app).await), ["two"]);
    assert_eq!(get(&app).await["pending"], 0);
    for id in [&first, &second, &"none".to_owned()] {
        decide(&app, id, &json!({ "accept": true })).await.problem(404);
    }
    for wrong in [json!({}), json!({ "accept": true, "reject": true }), json!({ "decision": "perhaps" })] {
        decide(&app, &first, &wrong).await.problem(422);
    }
    // Counting does not wait, nor does the way back.
    apply(&app, json!([{ "op": "tag", "id": "r-00001", "tag": "helpful" }])).await;
    app.post(&format!("{SUPPORT}/revert?to=1"), &json!({})).await.ok();
    pending(&app, json!([{ "op": "tag", "id": "r-00001", "helpful": 1 }, add("three")])).await;
    let audit = app.get("/v1/audit").await.ok();
    let actions: Vec<_> = audit["audit"].as_array().unwrap().iter().map(|one| one["action"].clone()).collect();
    assert_eq!(actions, ["playbook.revert", "playbook.review", "playbook.review"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_longer_applies_waits_on() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("one"), add("two")])).await;
    let own = json!({ "review": true });
    app.send(reqwest::Method::PATCH, SUPPORT, Some(&own), &[]).await.ok();
    let update = pending(&app, json!([{ "op": "update", "id": ids[0], "content": "uno" }])).await;
    let delete = pending(&app, json!([{ "op": "delete", "id": ids[0] }])).await;
    // What is wrong is refused at once, not when it is accepted.
    send(&app, json!([{ "op": "delete", "id": "r-00099" }])).await.problem(422);
    decide(&app, &delete, &json!({ "decision": "accept" })).await.ok();
    let problem = decide(&app, &update, &json!({ "decision": "accept" })).await.problem(409);
    assert_eq!((&problem["type"], &problem["current_version"]), (&json!("/problems/version-conflict"), &json!(2)));
    assert!(problem["detail"].as_str().unwrap().contains(&ids[0]), "{problem}");
    assert_eq!(app.get(&format!("{SUPPORT}/review")).await.ok()["review"][0]["id"], json!(update));
    app.post(&format!("{SUPPORT}/revert?to=1"), &json!({})).await.ok();
    decide(&app, &update, &json!({ "decision": "accept" })).await.ok();
    assert_eq!(contents(&get(&app).await), ["uno", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_made_for_other_words_waits_on() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("one"), add("two"), add("three")])).await;
    let waits = |waits: bool| {
        let (app, own) = (&app, json!({ "review": waits }));
        async move { app.send(reqwest::Method::PATCH, SUPPORT, Some(&own), &[]).await.ok() }
    };
    waits(true).await;
    let update = pending(&app, json!([{ "op": "update", "id": ids[0], "content": "uno" }])).await;
    let merge = pending(&app, json!([{ "op": "merge", "ids": [ids[1], ids[0]] }])).await;
    let delete = pending(&app, json!([{ "op": "delete", "id": ids[0] }])).await;
    let other = pending(&app, json!([{ "op": "delete", "id": ids[2] }])).await;
    waits(false).await;
    // Counters are no words.
    apply(&app, json!([{ "op": "tag", "id": ids[2], "tag": "harmful" }])).await;
    apply(&app, json!([{ "op": "update", "id": ids[0], "content": "a better one" }])).await;
    for id in [&update, &merge, &delete] {
        let problem = decide(&app, id, &json!({ "accept": true })).await.problem(409);
        assert_eq!((&problem["type"], &problem["current_version"]), (&json!("/problems/version-conflict"), &json!(3)));
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("{} has other words", ids[0])) && !detail.contains(&ids[1]), "{problem}");
    }
    decide(&app, &other, &json!({ "accept": true })).await.ok();
    let playbook = get(&app).await;
    assert_eq!((contents(&playbook), &playbook["pending"]), (vec!["a better one", "two"], &json!(3)));
    decide(&app, &merge, &json!({ "reject": true })).await.ok();
    // The words that it was made for are there again.
    apply(&app, json!([{ "op": "update", "id": ids[0], "content": "one" }])).await;
    decide(&app, &update, &json!({ "accept": true })).await.ok();
    decide(&app, &delete, &json!({ "accept": true })).await.problem(409);
    assert_eq!(contents(&get(&app).await), ["uno", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn upkeep_waits_where_words_do() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("Log in first"), add("log IN first!"), add("Guess the password")])).await;
    apply(&app, json!([{ "op": "tag", "id": ids[2], "harmful": 5 }])).await;
    app.send(reqwest::Method::PATCH, SUPPORT, Some(&json!({ "review": true })), &[]).await.ok();
    let mut waiting = vec![];
    for path in ["dedupe", "prune"] {
        let shown = app.post(&format!("{SUPPORT}/{path}"), &json!({})).await;
        assert_eq!(shown.status, 200, "{}", shown.text());
        let answer = app.post(&format!("{SUPPORT}/{path}"), &json!({ "apply": true })).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        assert_eq!(answer.json()["reasons"], json!(["changes of this playbook's words wait for review"]));
        waiting.push(answer.json()["pending"].as_str().unwrap().to_owned());
    }
    let playbook = get(&app).await;
    assert_eq!((&playbook["version"], &playbook["pending"], contents(&playbook).len()), (&json!(2), &json!(2), 3));
    let page = app.get(&format!("{SUPPORT}/review")).await.ok();
    assert_eq!([0, 1].map(|at| &page["review"][at]["source"]["name"]), [&json!("dedupe"), &json!("prune")]);
    for id in &waiting {
        decide(&app, id, &json!({ "accept": true })).await.ok();
    }
    assert_eq!(contents(&get(&app).await).len(), 1);
    // Nothing is left that could wait.
    for path in ["dedupe", "prune"] {
        let answer = app.post(&format!("{SUPPORT}/{path}"), &json!({ "apply": true })).await;
        assert_eq!((answer.status, answer.json().get("pending")), (200, None), "{}", answer.text());
    }
}
