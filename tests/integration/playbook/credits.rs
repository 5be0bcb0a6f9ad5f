//! What outcomes say of bullets.

use recapd::app::{App, open_data};
use recapd::pipeline::keys::Caller;
use recapd::store::{EpochRow, NewTrajectory, Outcome, OutcomeStatus, PlaybookKey};
use recapd::world::World;
use serde_json::{Value, json};

use super::{SUPPORT, add, apply, get};
use crate::app::{TestApp, config};

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
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &[]);
    let data = open_data(&config, folder.path()).await.unwrap();
    let app = App::start(config, data, World::real()).await.unwrap();
    let (pipeline, caller) = (app.pipeline(), Caller::local());
    let key = PlaybookKey { namespace: "default".into(), name: "support".into() };
    let content = |text: &str| recap_core::playbook::Operation::Add {
        id: None,
        section: "Rules".into(),
        content: text.into(),
        origin: None,
        evidence: vec![],
    };
    let request = recapd::pipeline::playbook::DeltaRequest {
        expected_version: None,
        operations: vec![content("served"), content("not served")],
        source: None,
        trajectory: None,
        removals: recapd::pipeline::playbook::Removals::Few,
    };
    pipeline.apply_delta(&caller, key.clone(), request).await.unwrap();
    let new = NewTrajectory { id: "run".into(), playbook: Some("support".into()), ..NewTrajectory::default() };
    pipeline.create_trajectory(&caller, new).await.unwrap();
    let record = json!({ "sections": [{ "kind": "playbook", "bullets": ["r-00001"] }] }).to_string();
    let epoch = EpochRow { line: "l".into(), n: 0, record, created_ms: 1 };
    pipeline.store().put_epoch("run", epoch).await.unwrap();
    let outcome = Outcome { status: OutcomeStatus::Success, score: None, feedback: None, used_bullets: vec![] };
    pipeline.note_outcome(&caller, "run", outcome).await.unwrap();
    let shelved = pipeline.playbook_for("default", "support").await.unwrap().unwrap();
    let counts: Vec<u64> =
        shelved.playbook.bullets.iter().map(|bullet| bullet.credits.inferred_helpful.count()).collect();
    assert_eq!((counts, shelved.playbook.version), (vec![1, 0], 2));
    assert!(pipeline.playbook_for("other", "support").await.unwrap().is_none());
    app.close().await.unwrap();
}
