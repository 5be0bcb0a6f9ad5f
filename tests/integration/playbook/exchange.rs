//! Files taken and written.

use serde_json::{Value, json};

use super::{SUPPORT, add, apply, contents, get, lessons, send};
use crate::app::{Answer, TestApp};

const ACE: &str = "## STRATEGIES AND INSIGHTS\n[shr-00001] helpful=3 harmful=1 :: Log in before you ask for songs\n\
                   [shr-00002] Read every page\n\n## APIs TO USE\n[api-00007] helpful=2 harmful=0 :: show_playlist\n";

async fn import(app: &TestApp, format: &str, text: &str) -> Answer {
    app.post(&format!("{SUPPORT}/import"), &json!({ "format": format, "text": text })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_in_and_goes_out_as_it_was() {
    let app = TestApp::start().await;
    let report = import(&app, "ace", ACE).await.ok();
    assert_eq!((&report["imported"], &report["version"]), (&json!(3), &json!(1)));
    assert_eq!((&report["renamed"], &report["skipped"], &report["duplicates"]), (&json!([]), &json!([]), &json!([])));
    let playbook = get(&app).await;
    let first = &playbook["bullets"][0];
    assert_eq!((&first["id"], &first["helpful"], &first["harmful"]), (&json!("shr-00001"), &json!(3), &json!(1)));
    assert_eq!(first["origin"], "import");
    // The same again changes nothing.
    let again = import(&app, "ace", ACE).await.ok();
    assert_eq!((&again["imported"], &again["version"]), (&json!(0), &json!(1)));
    assert_eq!(again["skipped"], json!(["shr-00001", "shr-00002", "api-00007"]));
    // Ids of files are not given again.
    assert_eq!(apply(&app, json!([add("new")])).await, ["r-00008"]);
    apply(&app, json!([{ "op": "delete", "id": "r-00008" }])).await;
    for format in ["ace", "kayba", "markdown"] {
        let written = app.get(&format!("{SUPPORT}/export?format={format}")).await;
        let shown = app.get(&format!("{SUPPORT}?format={format}")).await;
        assert_eq!((written.status, written.text()), (200, shown.text()));
        let kind = if format == "kayba" { "application/json" } else { "text/plain; charset=utf-8" };
        assert_eq!(written.headers["content-type"], kind);
        let other = format!("/v1/playbooks/of-{format}");
        let body = json!({ "format": format, "text": written.text() });
        app.post(&format!("{other}/import"), &body).await.ok();
        let same = app.get(&other).await.ok();
        for (bullet, copy) in playbook["bullets"].as_array().unwrap().iter().zip(same["bullets"].as_array().unwrap()) {
            for field in ["id", "section", "content", "helpful", "harmful", "neutral"] {
                assert_eq!(bullet[field], copy[field], "{format}");
            }
        }
    }
    let excerpt = app.get(&format!("{SUPPORT}?format=ace&budget=30&query=read%20every%20page")).await;
    assert!(
        excerpt.text().contains("Read every page") && !excerpt.text().contains("show_playlist"),
        "{}",
        excerpt.text()
    );
    let audit = app.get("/v1/audit").await.ok();
    assert!(audit["audit"].as_array().unwrap().iter().any(|entry| entry["action"] == "playbook.import"));
}

#[tokio::test(flavor = "multi_thread")]
async fn taken_ids_are_renamed_and_equal_words_reported() {
    let app = TestApp::start().await;
    import(&app, "ace", ACE).await.ok();
    let other = "## STRATEGIES AND INSIGHTS\n[shr-00002] Other words\n[shr-00009] read EVERY page\n";
    let report = import(&app, "ace", other).await.ok();
    assert_eq!(report["renamed"][0][0], "shr-00002");
    let new = report["renamed"][0][1].as_str().unwrap();
    assert_eq!(report["duplicates"], json!([["shr-00002", "shr-00009"]]));
    let playbook = get(&app).await;
    let words = |id: &str| {
        let bullets = playbook["bullets"].as_array().unwrap();
        bullets.iter().find(|bullet| bullet["id"] == id).map(|bullet| bullet["content"].clone())
    };
    assert_eq!((words("shr-00002"), words(new)), (Some(json!("Read every page")), Some(json!("Other words"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_taken_whole_and_then_nothing_is_added_until_it_fits() {
    let app = TestApp::start_with(&[("playbook.budget", "300"), ("playbook.review", "true")]).await;
    let lines: Vec<String> = lessons(30).iter().map(|one| format!("- {}", one["content"].as_str().unwrap())).collect();
    // Not even review holds it up.
    let report = import(&app, "markdown", &format!("## Rules\n{}\n", lines.join("\n"))).await.ok();
    let over = report["over_budget_tokens"].as_u64().unwrap();
    let playbook = get(&app).await;
    assert_eq!((contents(&playbook).len(), &playbook["over_budget_tokens"]), (30, &json!(over)));
    assert_eq!(playbook["tokens"], 300 + over);
    app.send(reqwest::Method::PATCH, SUPPORT, Some(&json!({ "review": false })), &[]).await.ok();
    let problem = send(&app, json!([add("one more")])).await.problem(422);
    assert_eq!(problem["type"], "/problems/playbook-over-budget");
    let gone = problem["would_have_to_go"].as_array().unwrap().clone();
    assert!(gone.len() > 5, "{problem}");
    // It may always become smaller, a little at a time.
    for bullet in &gone {
        apply(&app, json!([{ "op": "delete", "id": bullet["id"] }])).await;
    }
    assert_eq!(apply(&app, json!([add("one more")])).await.len(), 1);
    assert_eq!(get(&app).await["over_budget_tokens"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_taken_names_its_line() {
    let app = TestApp::start().await;
    let wrong: [(&str, &str, &str); 4] = [
        ("word", "x", "/format"),
        ("kayba", "{", "/text"),
        ("ace", "", "/text"),
        ("markdown", "# Title only\n", "/text"),
    ];
    for (format, text, pointer) in wrong {
        let problem = import(&app, format, text).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let broken = import(&app, "ace", "## A\n[a-1] one\n[a-2]\n").await.problem(422);
    assert!(broken["errors"][0]["detail"].as_str().unwrap().starts_with("line 3:"), "{broken}");
    app.get(SUPPORT).await.problem(404);
    app.get(&format!("{SUPPORT}/export")).await.problem(404);
    import(&app, "ace", ACE).await.ok();
    app.get(&format!("{SUPPORT}/export?format=word")).await.problem(422);
    assert_eq!(app.get(&format!("{SUPPORT}?format=word")).await.problem(422)["errors"][0]["pointer"], "format");
    assert_eq!(app.get(&format!("{SUPPORT}?format=json")).await.ok()["version"], Value::from(1));
}
