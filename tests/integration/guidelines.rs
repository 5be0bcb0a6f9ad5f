//! Guideline sets over HTTP: what they keep and drop, and which ones there are.

use std::path::Path;

use serde_json::{Value, json};

use crate::app::TestApp;
use crate::run::tool_run;

/// A line in the third result that is like its neighbours.
const ORDINARY: &str = "2026-03-03 worker-2 job 99711 wrote 14133 rows to shard 3";

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A daemon with the sets `keeps` and `drops` for that line.
async fn start(dir: &Path) -> TestApp {
    for kind in ["observation", "history"] {
        write(dir, &format!("keeps/{kind}.md"), "---\nkeep: [job 99711]\n---\nKeep it.\n");
        write(dir, &format!("drops/{kind}.md"), "---\ndrop: ['/job 99\\d{3} /']\n---\nDrop it.\n");
    }
    TestApp::start_with(&[("guidelines.dir", dir.to_str().unwrap())]).await
}

fn run(turns: usize) -> Vec<Value> {
    let mut messages = tool_run(turns, 400);
    let result = &mut messages[2 + 2 * 2 + 1]["content"];
    let text = result.as_str().unwrap().to_owned();
    let middle = text.match_indices('\n').nth(20).unwrap().0;
    *result = json!(format!("{}\n{ORDINARY}{}", &text[..middle], &text[middle..]));
    messages
}

async fn read(app: &TestApp, set: &str, turns: usize, budget: u32) -> Value {
    let path = app.trajectory(&json!({ "guideline_set": set })).await;
    app.append(&path, &run(turns)).await;
    app.get(&format!("{path}/context?budget={budget}")).await.ok()
}

fn holds(context: &Value) -> bool {
    context["messages"].to_string().contains("job 99711")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recap_keeps_and_drops_what_its_set_says_and_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path()).await;
    // There is room for the line without a rule in the second budget, not in the first.
    for (budget, held) in
        [(2_500, [("default", false), ("keeps", true)]), (30_000, [("default", true), ("drops", false)])]
    {
        for (set, held) in held {
            let context = read(&app, set, 30, budget).await;
            assert_eq!(holds(&context), held, "{set} {budget}");
            let pieces = context["pieces"].as_array().unwrap();
            let recap = pieces.iter().find(|piece| piece["kind"] == "recap").unwrap();
            assert!(recap["guideline"].as_str().unwrap().starts_with(&format!("{set}/history@b3:")), "{recap}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_cut_keeps_and_drops_what_its_set_says() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path()).await;
    // The last turn alone breaks both budgets; there is room for the line without a rule in the second one.
    for (budget, held) in [(600, [("default", false), ("keeps", true)]), (1_300, [("default", true), ("drops", false)])]
    {
        for (set, held) in held {
            assert_eq!(holds(&read(&app, set, 3, budget).await), held, "{set} {budget}");
            let body = json!({ "messages": run(3), "budget": budget, "guideline_set": set });
            let compressed = app.post("/v1/compress", &body).await.ok();
            assert_eq!(holds(&compressed), held, "/v1/compress {set} {budget}");
            assert_eq!(compressed["warnings"], json!([]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sets_are_listed_and_others_refused() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path()).await;
    let info = app.get("/v1/info").await.ok();
    let sets: Vec<&str> =
        info["guidelines"].as_array().unwrap().iter().map(|set| set["set"].as_str().unwrap()).collect();
    assert_eq!(sets, ["coding", "default", "drops", "keeps", "service"]);
    assert!(info["guidelines"][0]["history"].as_str().unwrap().starts_with("b3:"));
    let compress = json!({ "messages": run(3), "budget": 9000, "guideline_set": "codign" });
    for (path, body) in [("/v1/trajectories", json!({ "guideline_set": "codign" })), ("/v1/compress", compress)] {
        let problem = app.post(path, &body).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], "/guideline_set");
        let said = problem["detail"].as_str().unwrap();
        assert!(said.contains("coding, default, drops, keeps, service"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trajectory_whose_set_is_gone_is_served_under_the_default_one_and_told() {
    let dir = tempfile::tempdir().unwrap();
    let app = start(dir.path()).await;
    let path = app.trajectory(&json!({ "guideline_set": "drops" })).await;
    app.append(&path, &run(30)).await;
    let before = app.get(&format!("{path}/context?budget=4000")).await.ok();
    assert_eq!(before["warnings"], json!([]));
    std::fs::remove_dir_all(dir.path().join("drops")).unwrap();
    let app = app.restart().await;
    let after = app.get(&format!("{path}/context?budget=4000")).await.ok();
    assert_eq!(after["warnings"], json!(["guideline_set_missing"]));
    assert!(after["pieces"].to_string().contains("default/history@b3:"), "{}", after["pieces"]);
    assert!(app.get("/metrics").await.text().contains("recapd_guideline_sets_missing_total"));
}
