//! What is sent, what is answered, what stays.

use reqwest::Method;
use serde_json::{Value, json};

use super::{SUPPORT, add, apply, contents, get, send};
use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_playbook_grows_by_deltas_and_outlives_a_restart() {
    let app = TestApp::start().await;
    app.get(SUPPORT).await.problem(404);
    let operations = json!([
        { "op": "add", "section": "STRATEGIES AND INSIGHTS", "content": "Ask first.\r\nThen act.",
          "evidence": [{ "trajectory": "run-1", "turn": 3 }] },
        { "op": "add", "section": "APIs to use", "content": "show_playlist takes a page_index" },
        { "op": "add", "section": "strategies and insights:", "content": "Ask first.\nThen act." },
    ]);
    let body = json!({ "expected_version": 0, "operations": operations, "source": "by hand" });
    let answer = app.post(&format!("{SUPPORT}/deltas"), &body).await.ok();
    assert_eq!(answer["version"], 1);
    let ids: Vec<&str> = answer["applied"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["shr-00001", "api-00002", "shr-00003"]);
    assert_eq!(answer["duplicates"], json!([["shr-00001", "shr-00003"]]));

    let playbook = get(&app).await;
    assert_eq!(playbook["sections"], json!(["STRATEGIES AND INSIGHTS", "APIs to use"]));
    assert_eq!((&playbook["tokens"], &playbook["budget"]), (&answer["tokens"], &json!(10_000)));
    assert_eq!((&playbook["namespace"], &playbook["pending"]), (&json!("default"), &json!(0)));
    // By section, though it was added last.
    assert_eq!(playbook["bullets"][1]["id"], "shr-00003");
    let first = &playbook["bullets"][0];
    assert_eq!((&first["content"], &first["origin"]), (&json!("Ask first.\nThen act."), &json!("operator")));
    assert_eq!(first["evidence"], json!([{ "trajectory": "run-1", "turn": 3 }]));
    assert_eq!(first["inferred"], json!({ "helpful": 0, "harmful": 0, "neutral": 0 }));
    assert!(first["tokens"].as_u64().unwrap() > 4);

    apply(
        &app,
        json!([
            { "op": "merge", "ids": ["shr-00001", "shr-00003"] },
            { "op": "update", "id": "api-00002", "content": "show_playlist takes page_index from 0" },
            { "op": "tag", "id": "shr-00001", "tag": "helpful", "count": 2 },
            { "op": "tag", "id": "shr-00001", "harmful": 1, "neutral": true },
        ]),
    )
    .await;
    let before = get(&app).await;
    assert_eq!(contents(&before), ["Ask first.\nThen act.", "show_playlist takes page_index from 0"]);
    let counts = |bullet: &Value| ["helpful", "harmful", "neutral"].map(|name| bullet[name].as_u64().unwrap());
    assert_eq!(counts(&before["bullets"][0]), [2, 1, 1]);

    let app = app.restart().await;
    assert_eq!(get(&app).await, before);
    let log = app.get(&format!("{SUPPORT}/deltas?limit=1")).await.ok();
    assert_eq!((&log["deltas"][0]["version"], &log["deltas"][0]["actor"]), (&json!(2), &json!("local")));
    let cursor = log["next_cursor"].as_str().unwrap();
    let log = app.get(&format!("{SUPPORT}/deltas?cursor={cursor}")).await.ok();
    assert_eq!(log["deltas"][0]["source"], json!({ "origin": "operator", "name": "by hand" }));
    assert_eq!((log["deltas"].as_array().unwrap().len(), &log["next_cursor"]), (1, &Value::Null));
    let list = app.get("/v1/playbooks").await.ok();
    assert_eq!((&list["playbooks"][0]["name"], &list["playbooks"][0]["bullets"]), (&json!("support"), &json!(2)));
    assert_eq!((&list["playbooks"][0]["tokens"], &list["next_cursor"]), (&before["tokens"], &Value::Null));
    let metrics = app.get("/metrics").await;
    assert!(metrics.text().contains("recapd_playbook_deltas_total{source=\"delta\"}"), "{}", metrics.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_never_given_again() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("one"), add("two")])).await;
    apply(&app, json!([{ "op": "delete", "id": ids[1] }])).await;
    let next = apply(&app, json!([add("three")])).await;
    assert_eq!((ids[1].as_str(), next[0].as_str()), ("r-00002", "r-00003"));
    app.post(&format!("{SUPPORT}/revert?to=0"), &json!({})).await.ok();
    assert_eq!(apply(&app, json!([add("four")])).await, ["r-00004"]);
    // What was deleted is not there for feedback either.
    app.post(&format!("{SUPPORT}/bullets/{}/feedback", ids[1]), &json!({ "helpful": true })).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_operations_name_their_place_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("one")])).await;
    let wrong = [
        (json!({ "op": "replace", "id": ids[0] }), "/operations/1"),
        (json!({ "op": "add", "section": "Rules", "content": "x", "colour": "red" }), "/operations/1"),
        (json!({ "op": "add", "section": "Rules", "content": "x", "id": "mine-1" }), "/operations/1"),
        (json!({ "op": "add", "section": "Rules", "content": "  " }), "/operations/1/content"),
        (json!({ "op": "add", "section": "Rules", "content": "x".repeat(17_000) }), "/operations/1/content"),
        (json!({ "op": "add", "section": "a bell\u{7}", "content": "x" }), "/operations/1"),
        (
            json!({ "op": "add", "section": "Rules", "content": "x", "evidence": [{ "trajectory": "a b" }] }),
            "/operations/1/evidence",
        ),
        (json!({ "op": "delete", "id": "r-00077" }), "/operations/1"),
        (json!({ "op": "update", "id": ids[0] }), "/operations/1"),
        (json!({ "op": "merge", "ids": [ids[0]] }), "/operations/1"),
        (json!({ "op": "tag", "id": ids[0] }), "/operations/1"),
        (json!({ "op": "tag", "id": ids[0], "tag": "helpful", "count": 5000 }), "/operations/1/count"),
        (json!({ "op": "tag", "id": ids[0], "tag": "helpful", "count": -1 }), "/operations/1/count"),
        (json!({ "op": "revert", "to": 1 }), "/operations/1"),
    ];
    for (operation, pointer) in wrong {
        // A tag before it is two operations of the core: places are those of what was sent.
        let tag = json!({ "op": "tag", "id": ids[0], "helpful": 1, "neutral": 1 });
        let problem = send(&app, json!([tag, operation])).await.problem(422);
        let found = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(found.starts_with(pointer), "{operation}: {problem}");
    }
    let many: Vec<Value> = (0..201).map(|_| json!({ "op": "tag", "id": ids[0], "helpful": 1 })).collect();
    assert_eq!(send(&app, json!(many)).await.problem(422)["errors"][0]["pointer"], "/operations");
    send(&app, json!([])).await.problem(422);
    let long = json!({ "operations": [add("x")], "source": "x".repeat(201) });
    assert_eq!(app.post(&format!("{SUPPORT}/deltas"), &long).await.problem(422)["errors"][0]["pointer"], "/source");
    let field = json!({ "operations": [add("x")], "sauce": "x" });
    assert_eq!(app.post(&format!("{SUPPORT}/deltas"), &field).await.problem(422)["errors"][0]["pointer"], "/sauce");
    let playbook = get(&app).await;
    assert_eq!((&playbook["version"], &playbook["bullets"][0]["helpful"]), (&json!(1), &json!(0)));
    app.post("/v1/playbooks/a%20b/deltas", &json!({ "operations": [add("x")] })).await.problem(422);
    app.get("/v1/playbooks/support?limit=3").await.problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_of_two_writers_hears_of_the_first() {
    let app = TestApp::start().await;
    apply(&app, json!([add("one")])).await;
    let body = |content: &str| json!({ "expected_version": 1, "operations": [add(content)] });
    let path = format!("{SUPPORT}/deltas");
    let (two, three) = (body("two"), body("three"));
    let (first, second) = tokio::join!(app.post(&path, &two), app.post(&path, &three));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let refused = if first.status == 409 { first } else { second };
    let problem = refused.problem(409);
    assert_eq!((&problem["type"], &problem["current_version"]), (&json!("/problems/version-conflict"), &json!(2)));
    assert_eq!(contents(&get(&app).await).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn parallel_feedback_is_all_counted() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("one")])).await;
    let path = format!("{SUPPORT}/bullets/{}/feedback", ids[0]);
    let helpful = json!({ "helpful": true });
    let answers = futures::future::join_all((0..20).map(|_| app.post(&path, &helpful))).await;
    let mut versions: Vec<u64> = answers.iter().map(|answer| answer.ok()["version"].as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=21).collect::<Vec<_>>());
    assert_eq!(get(&app).await["bullets"][0]["helpful"], 20);
    let both = app.post(&path, &json!({ "harmful": 3, "neutral": true, "trajectory": "run" })).await.ok();
    let bullet = &both["bullet"];
    assert_eq!((&bullet["harmful"], &bullet["neutral"], &bullet["helpful"]), (&json!(3), &json!(1), &json!(20)));
    for wrong in [json!({}), json!({ "helpful": false }), json!({ "helpful": 1001 }), json!({ "helpful": "yes" })] {
        app.post(&path, &wrong).await.problem(422);
    }
    app.post(&format!("{SUPPORT}/bullets/none/feedback"), &helpful).await.problem(404);
    app.post("/v1/playbooks/none/bullets/none/feedback", &helpful).await.problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_versions_are_read_compared_and_gone_back_to() {
    let app = TestApp::start().await;
    let ids = apply(&app, json!([add("one"), add("two")])).await;
    let change = json!([
        { "op": "update", "id": ids[0], "content": "uno" },
        { "op": "delete", "id": ids[1] },
        add("three"),
        { "op": "tag", "id": ids[0], "tag": "helpful" },
    ]);
    apply(&app, change).await;
    let first = app.get(&format!("{SUPPORT}?version=1")).await.ok();
    assert_eq!((contents(&first), &first["version"]), (vec!["one", "two"], &json!(1)));
    let diff = app.get(&format!("{SUPPORT}/diff?from=1&to=2")).await.ok();
    assert_eq!(diff["changes"].as_array().unwrap().len(), 3);
    assert_eq!(diff["changes"][0]["before"], json!({ "section": "Rules", "content": "one" }));
    assert_eq!((&diff["changes"][1]["after"], &diff["changes"][2]["before"]), (&Value::Null, &Value::Null));
    let text = diff["text"].as_str().unwrap();
    assert!(text.contains("--- support@1\n+++ support@2\n") && text.contains("\n-[r-00001] one\n"), "{text}");
    assert!(text.contains("\n+[r-00001] uno\n"), "{text}");
    assert_eq!(app.get(&format!("{SUPPORT}/diff")).await.ok(), diff);

    let reverted = app.post(&format!("{SUPPORT}/revert?to=1"), &json!({})).await.ok();
    assert_eq!(reverted["version"], 3);
    let now = get(&app).await;
    assert_eq!(now["bullets"], first["bullets"]);
    assert_eq!(app.get(&format!("{SUPPORT}/diff?from=1&to=3")).await.ok()["text"], "");
    assert_eq!(contents(&app.get(&format!("{SUPPORT}?version=2")).await.ok()), ["uno", "three"]);
    app.post(&format!("{SUPPORT}/revert?to=9"), &json!({})).await.problem(404);
    app.get(&format!("{SUPPORT}?version=9")).await.problem(404);
    app.get(&format!("{SUPPORT}/diff?from=9")).await.problem(404);
    app.post("/v1/playbooks/none/revert?to=0", &json!({})).await.problem(404);
    let audit = app.get("/v1/audit").await.ok();
    assert_eq!(audit["audit"][0]["action"], "playbook.revert");
    let app = app.restart().await;
    assert_eq!(get(&app).await, now);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_go_before_the_configuration() {
    let app = TestApp::start_with(&[("playbook.budget", "700")]).await;
    apply(&app, json!([add("one")])).await;
    assert_eq!((&get(&app).await["budget"], &get(&app).await["review"]), (&json!(700), &json!(false)));
    let patch = |body: Value| {
        let app = &app;
        async move { app.send(Method::PATCH, SUPPORT, Some(&body), &[]).await }
    };
    let head = patch(json!({ "budget": 5000, "review": true })).await.ok();
    assert_eq!((&head["budget"], &head["review"], &head["version"]), (&json!(5000), &json!(true), &json!(1)));
    assert_eq!(get(&app).await["budget"], 5000);
    assert_eq!(patch(json!({ "budget": null })).await.ok()["budget"], 700);
    assert_eq!(get(&app).await["review"], true);
    assert_eq!(patch(json!({ "budget": 3 })).await.problem(422)["errors"][0]["pointer"], "/budget");
    app.send(Method::PATCH, "/v1/playbooks/none", Some(&json!({ "review": true })), &[]).await.problem(404);
}
