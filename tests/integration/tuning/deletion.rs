//! What tuning runs know of a trajectory goes with it (law 11).

use serde_json::{Value, json};

use super::{BAD, GOOD, champion, draft, ended, spec, start, store_runs};
use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn law_11_tuning_runs_forget_a_trajectory() {
    let app = TestApp::start().await;
    champion(&app, BAD).await;
    let ids = store_runs(&app, 0..12).await;
    let outcome = json!({ "status": "success" });
    let pair = json!({ "task": "task 3", "full": { "trajectory": ids[3], "outcome": outcome },
        "compressed": { "trajectory": ids[4], "outcome": outcome } });
    app.post("/v1/pairs", &json!({ "pairs": [pair] })).await.ok();
    let good = draft(&app, GOOD).await;
    // A capped run still holds its evidence.
    let capped = json!({ "candidates": 0, "drafts": [good], "caps": { "max_seconds": 0.001 } });
    let paused = start(&app, &spec(&capped)).await;
    ended(&app, &paused).await;
    let path = start(&app, &spec(&json!({ "candidates": 0, "drafts": [good] }))).await;
    let run = ended(&app, &path).await;
    assert_eq!(run["state"], "done", "{run}");

    let of =
        |run: &Value, id: &str| run["scores"].as_array().unwrap().iter().filter(|score| score["case"] == id).count();
    let id = ids.iter().find(|id| of(&run, id) > 0).unwrap();
    let report = app.delete(&format!("/v1/trajectories/{id}")).await.ok();
    assert_eq!(report["tuning_cases"], 2, "{report}");
    assert!(report["tuning_scores"].as_u64() >= Some(2), "{report}");
    for path in [&path, &paused] {
        let run = app.get(path).await.ok();
        assert_eq!(of(&run, id), 0);
        assert!(!run.to_string().contains(id.as_str()), "{run}");
    }
    assert_eq!(app.delete(&format!("/v1/trajectories/{}", ids[4])).await.ok()["pairs"], u64::from(&ids[4] != id));

    // What is left goes on.
    app.post(&format!("{paused}/resume"), &json!({ "caps": {} })).await.ok();
    let run = ended(&app, &paused).await;
    assert_eq!(run["state"], "done", "{run}");
    assert!(run["cases"]["train"].as_u64().unwrap() + run["cases"]["held_out"].as_u64().unwrap() <= 11, "{run}");
}
