//! What passes the gate and what does not.

use serde_json::{Value, json};

use super::{BAD, GOOD, GUIDELINE, champion, draft, ended, spec, start, store_runs};
use crate::app::TestApp;

/// A daemon with a champion that drops what later actions use.
async fn site() -> (TestApp, String) {
    let app = TestApp::start().await;
    let champion = champion(&app, BAD).await;
    store_runs(&app, 0..24).await;
    (app, champion)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_improvement_is_found_passes_and_is_promoted() {
    let (app, bad) = site().await;
    let path = start(&app, &spec(&json!({ "candidates": 4 }))).await;
    let run = ended(&app, &path).await;
    assert_eq!((&run["state"], &run["champion"]), (&json!("done"), &json!(bad)), "{run}");
    let verdict = &run["verdict"];
    assert_eq!((&verdict["passes"], &verdict["missing"]), (&json!(true), &json!(0)), "{verdict}");
    assert!(verdict["bound"]["interval"][0].as_f64().unwrap() > 0.0, "{verdict}");
    assert_eq!(run["done"], run["total"]);
    let winner = run["candidates"].as_array().unwrap().iter().find(|one| one["status"] == "winner").unwrap();
    assert_eq!((&winner["hash"], &winner["proposer"]), (&run["winner"], &json!("rules")));
    assert!(winner["diff"].as_str().unwrap().contains("\n-  - '/^ticket /'"), "{winner}");
    assert!(winner["train"]["bound"].as_f64() > run["champion_train"]["bound"].as_f64());

    // It is a draft: nothing steers by it yet.
    let state = app.get(&format!("/v1/guidelines/{GUIDELINE}")).await.ok();
    assert_eq!((&state["champion"], &state["drafts"][0]), (&json!(bad), &run["winner"]));
    let version = format!("/v1/guidelines/{GUIDELINE}/versions/{}", run["winner"].as_str().unwrap());
    assert_eq!(app.get(&version).await.ok()["origin"], "tuning");

    let promote = format!("{path}/promote");
    let wrong = json!({ "expected_champion": run["winner"] });
    app.post(&promote, &wrong).await.problem(412);
    let trial = app.post(&promote, &json!({ "canary_share": 0.2 })).await.ok();
    assert_eq!((&trial["champion"], &trial["canary"]["hash"]), (&json!(bad), &run["winner"]));
    assert_eq!(app.post(&promote, &json!({})).await.ok()["champion"], run["winner"]);
    // The champion is another one by now.
    let problem = app.post(&promote, &json!({})).await.problem(412);
    assert_eq!(problem["current_champion"], run["winner"]);
    let audit = app.get("/v1/audit").await.ok();
    let actions: Vec<&Value> = audit["audit"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    for action in ["tuning.start", "tuning.promote", "guideline.activate"] {
        assert!(actions.contains(&&json!(action)), "{actions:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_candidate_is_refused() {
    let (app, bad) = site().await;
    let remark = draft(&app, &BAD.replace("drop:", "# a remark\ndrop:")).await;
    let path = start(&app, &spec(&json!({ "candidates": 0, "drafts": [remark] }))).await;
    let run = ended(&app, &path).await;
    assert_eq!((&run["state"], &run["winner"]), (&json!("done"), &Value::Null), "{run}");
    let verdict = &run["verdict"];
    assert_eq!((&verdict["passes"], &verdict["bound"]["by"]), (&json!(false), &json!(0.0)), "{verdict}");
    assert!(run["why"].as_str().unwrap().contains("a tie keeps the champion"), "{run}");
    let problem = app.post(&format!("{path}/promote"), &json!({})).await.problem(409);
    assert_eq!(problem["type"], "/problems/gate-not-passed");
    assert_eq!(app.get(&format!("/v1/guidelines/{GUIDELINE}")).await.ok()["champion"], bad);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_with_a_training_value_never_comes_before_the_gate() {
    let (app, _) = site().await;
    let values: Vec<String> = (0..24).map(|task| format!("'TK-{:05}'", task * 7_919 % 90_000 + 10_000)).collect();
    let leak = GOOD.replace("variables:", &format!("keep: [{}]\nvariables:", values.join(", ")));
    let hashes = [draft(&app, &leak).await, draft(&app, GOOD).await];
    let path = start(&app, &spec(&json!({ "candidates": 0, "drafts": hashes }))).await;
    let run = ended(&app, &path).await;
    assert_eq!(run["candidates"][0]["status"], "leak", "{run}");
    assert_eq!(run["candidates"][0]["diff"], "");
    assert!(!run["candidates"][0].to_string().contains("TK-"), "{run}");
    assert_eq!((&run["candidates"][1]["status"], &run["winner"]), (&json!("winner"), &json!(hashes[1])), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn observation_guidelines_are_tuned_beside_an_unchanged_history() {
    let (app, _) = site().await;
    let observation = json!({ "guideline": "default/observation", "candidates": 3 });
    let path = start(&app, &spec(&observation)).await;
    let run = ended(&app, &path).await;
    assert_eq!(run["state"], "done", "{run}");
    assert_ne!(run["verdict"]["passes"], true, "nothing is to be won there: {run}");
}
