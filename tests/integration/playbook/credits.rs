//! What outcomes say of bullets.

use serde_json::{Value, json};

use super::{SUPPORT, add, apply, get};
use crate::app::TestApp;
use crate::run::tool_run;

fn inferred(playbook: &Value, at: usize) -> [u64; 3] {
    ["helpful", "harmful", "neutral"].map(|name| playbook["bullets"][at]["inferred"][name].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_outcome_takes_back_what_an_earlier_one_credited() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("one"), add("two"), add("three")])).await;
    let run = app.trajectory(&json!({ "id": "run", "playbook": "support" })).await;
    let outcome = |status: &str, used: Value| {
        let (app, body) = (&app, json!({ "status": status, "used_bullets": used }));
        let path = format!("{run}/outcome");
        async move { app.post(&path, &body).await.ok() }
    };
    outcome("success", json!([ids[0], ids[1], "gone-00009", "no id!"])).await;
    let playbook = get(&app).await;
    assert_eq!([0, 1, 2].map(|at| inferred(&playbook, at)), [[1, 0, 0], [1, 0, 0], [0, 0, 0]]);
    assert_eq!((&playbook["version"], &playbook["bullets"][0]["helpful"]), (&json!(2), &json!(0)));
    let source = app.get(&format!("{SUPPORT}/deltas?limit=1")).await.ok()["deltas"][0]["source"].clone();
    assert_eq!((&source["trajectory"], &source["labels"]), (&json!("run"), &json!("outcome")));
    // The same again changes nothing.
    outcome("success", json!([ids[1], ids[0]])).await;
    assert_eq!(get(&app).await["version"], 2);
    outcome("failure", json!([ids[1], ids[2]])).await;
    let playbook = get(&app).await;
    assert_eq!([0, 1, 2].map(|at| inferred(&playbook, at)), [[0, 0, 0], [0, 1, 0], [0, 1, 0]]);
    assert_eq!(playbook["version"], 3);
    // What a revert took back is not taken back twice.
    app.post(&format!("{SUPPORT}/revert?to=1"), &json!({})).await.ok();
    outcome("partial", json!([ids[2]])).await;
    let playbook = get(&app).await;
    assert_eq!([0, 1, 2].map(|at| inferred(&playbook, at)), [[0, 0, 0], [0, 0, 0], [0, 0, 1]]);
    outcome("unknown", json!([])).await;
    assert_eq!(inferred(&get(&app).await, 2), [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_without_a_playbook_is_noted_all_the_same() {
    let app = TestApp::start().await;
    for (id, playbook) in [("a", Value::Null), ("b", json!("none")), ("c", json!("no name at all"))] {
        let run = app.trajectory(&json!({ "id": id, "playbook": playbook })).await;
        let outcome = json!({ "status": "success", "used_bullets": ["x-00001"] });
        let noted = app.post(&format!("{run}/outcome"), &outcome).await.ok();
        assert_eq!(noted["outcome"]["used_bullets"], json!(["x-00001"]));
    }
    assert_eq!(app.get("/v1/playbooks").await.ok()["playbooks"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn served_bullets_are_credited() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("Log in before you ask for songs")])).await;
    let run = app.trajectory(&json!({ "id": "run", "playbook": "support", "task": "Play a song" })).await;
    app.append(&run, &tool_run(3, 40)).await;
    let context = app.get(&format!("{run}/context?budget=4000")).await.ok();
    assert!(context["messages"].to_string().contains(&ids[0]), "{context}");
    let late = apply(&app, json!([add("Never served to this run")])).await;
    app.post(&format!("{run}/outcome"), &json!({ "status": "success", "used_bullets": late })).await.ok();
    let playbook = get(&app).await;
    assert_eq!([0, 1].map(|at| inferred(&playbook, at)), [[1, 0, 0], [1, 0, 0]]);
    app.post(&format!("{run}/outcome"), &json!({ "status": "failure" })).await.ok();
    let playbook = get(&app).await;
    assert_eq!([0, 1].map(|at| inferred(&playbook, at)), [[0, 1, 0], [0, 0, 0]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_merged_bullets_were_credited_is_taken_back_from_their_heirs() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("one"), add("two"), add("three")])).await;
    let run = app.trajectory(&json!({ "id": "run", "playbook": "support" })).await;
    let outcome = |status: &str| {
        let (app, body) = (&app, json!({ "status": status, "used_bullets": ids[..2] }));
        let path = format!("{run}/outcome");
        async move { app.post(&path, &body).await.ok() }
    };
    outcome("success").await;
    apply(&app, json!([{ "op": "merge", "ids": [ids[1], ids[0]] }])).await;
    apply(&app, json!([{ "op": "merge", "ids": [ids[2], ids[1]] }])).await;
    let playbook = get(&app).await;
    assert_eq!((inferred(&playbook, 0), &playbook["version"]), ([2, 0, 0], &json!(4)));
    // The same again changes nothing.
    outcome("success").await;
    assert_eq!(get(&app).await["version"], 4);
    outcome("failure").await;
    assert_eq!(inferred(&get(&app).await, 0), [0, 2, 0]);
    outcome("unknown").await;
    assert_eq!(inferred(&get(&app).await, 0), [0, 0, 2]);
    // Merges that were reverted have no heirs.
    app.post(&format!("{SUPPORT}/revert?to=2"), &json!({})).await.ok();
    outcome("failure").await;
    let playbook = get(&app).await;
    assert_eq!([0, 1, 2].map(|at| inferred(&playbook, at)), [[0, 1, 0], [0, 1, 0], [0, 0, 0]]);
}
