//! A trajectory that is deleted takes along what was learned from it (law 11).

use serde_json::{Value, json};

use super::{SUPPORT, add, apply, contents, get};
use crate::app::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn law_11_no_other_run_shows_what_came_from_a_deleted_one() {
    let app = TestApp::start().await;
    let run = app.trajectory(&json!({ "id": "run", "playbook": "support" })).await;
    let lesson = json!({ "operations": [add("the secret 4711")], "source": { "name": "notes", "trajectory": "run" } });
    app.post(&format!("{SUPPORT}/deltas"), &lesson).await.ok();
    apply(&app, json!([add("stays")])).await;
    let other = app.trajectory(&json!({ "id": "other", "playbook": "support", "budget": 2000 })).await;
    let said = json!({ "messages": [{ "role": "user", "content": "Look for it." }] });
    app.post(&format!("{other}/messages"), &said).await.ok();
    let context = async |app: &TestApp| app.get(&format!("{other}/context")).await.ok();
    assert!(context(&app).await.to_string().contains("4711"));
    let report = app.delete(&run).await.ok();
    assert_eq!(report["playbook_excerpts"], 1);
    let epochs = app.get(&format!("{other}/epochs/0")).await;
    assert!(!epochs.text().contains("4711"), "{}", epochs.text());
    let app = app.restart().await;
    let after = context(&app).await;
    assert_eq!(after["epoch"], 1);
    assert!(!after.to_string().contains("4711") && after.to_string().contains("stays"), "{after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_11_what_came_from_a_deleted_run_goes() {
    let app = TestApp::start().await;
    let run = app.trajectory(&json!({ "id": "run", "playbook": "support" })).await;
    let ids = apply(&app, json!([add("stays")])).await;
    let learned =
        |content: &str| json!({ "operations": [add(content)], "source": { "name": "notes", "trajectory": "run" } });
    app.post(&format!("{SUPPORT}/deltas"), &learned("the secret 4711")).await.ok();
    let feedback = json!({ "harmful": 2, "trajectory": "run" });
    app.post(&format!("{SUPPORT}/bullets/{}/feedback", ids[0]), &feedback).await.ok();
    app.post(&format!("{run}/outcome"), &json!({ "status": "success", "used_bullets": ids })).await.ok();
    app.send(reqwest::Method::PATCH, SUPPORT, Some(&json!({ "review": true })), &[]).await.ok();
    let waits = app.post(&format!("{SUPPORT}/deltas"), &learned("the waiting secret 4712")).await;
    assert_eq!(waits.status, 202);
    assert_eq!(get(&app).await["bullets"][0]["harmful"], 2);

    let report = app.delete(&run).await.ok();
    assert_eq!((&report["playbook_operations"], &report["reviews"]), (&json!(3), &json!(1)));
    assert_eq!(report.get("playbooks"), None);
    let playbook = get(&app).await;
    assert_eq!((contents(&playbook), &playbook["pending"]), (vec!["stays"], &json!(0)));
    let bullet = &playbook["bullets"][0];
    assert_eq!((&bullet["harmful"], &bullet["inferred"]["helpful"]), (&json!(0), &json!(0)));
    let log = app.get(&format!("{SUPPORT}/deltas")).await.ok();
    let newest = &log["deltas"][0];
    assert_eq!((&newest["version"], &newest["operations"]), (&playbook["version"], &json!([])));
    let all = format!("{playbook}{log}{}", app.get(&format!("{SUPPORT}/review")).await.text());
    assert!(!all.contains("4711") && !all.contains("4712") && !all.contains("\"run\""), "{all}");
    // The id of the bullet that went stays taken.
    app.send(reqwest::Method::PATCH, SUPPORT, Some(&json!({ "review": Value::Null })), &[]).await.ok();
    assert_eq!(apply(&app, json!([add("new")])).await, ["r-00003"]);
    let app = app.restart().await;
    assert_eq!(contents(&get(&app).await), ["stays", "new"]);
}
