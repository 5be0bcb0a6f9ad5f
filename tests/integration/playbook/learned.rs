//! What stands of what models learned: review, budget, collapse, a run that is learned from again.

use serde_json::{Value, json};

use super::learning::{asked, ended_run, failed, operation, plain, quiet, reflection, start, teacher};
use super::{SUPPORT, add, apply, contents, get, lessons};
use crate::app::TestApp;
use crate::background::counted;
use crate::background::endpoint::Endpoint;
use crate::llm::script::{Request, Step};

async fn reasons(app: &TestApp) -> Vec<Value> {
    let review = app.get(&format!("{SUPPORT}/review")).await.ok()["review"].clone();
    review.as_array().unwrap().iter().flat_map(|one| one["reasons"].as_array().unwrap().clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_review_words_wait_and_counters_do_not() {
    let tags = json!([{ "id": "r-00001", "tag": "helpful" }]);
    let reply = json!([operation("add", "", "Ask for a return before any refund.")]);
    let endpoint = Endpoint::open(teacher(reflection("Refunds need a return.", &tags), reply)).await;
    let app = start(&endpoint, &[]).await;
    let ids = apply(&app, json!([add("Look up the order first.")])).await;
    app.send(reqwest::Method::PATCH, SUPPORT, Some(&json!({ "review": true })), &[]).await.ok();
    let outcome = json!({ "status": "success", "used_bullets": ids });
    ended_run(&app, &json!({ "playbook": "support" }), "error", &outcome).await;
    quiet(&app).await;
    let playbook = get(&app).await;
    assert_eq!((contents(&playbook).len(), &playbook["bullets"][0]["helpful"]), (1, &json!(1)));
    assert_eq!(reasons(&app).await, ["changes of this playbook's words wait for review"]);
    ended_run(&app, &json!({ "playbook": "support" }), "error", &outcome).await;
    quiet(&app).await;
    assert_eq!(reasons(&app).await.len(), 1, "the lesson waits already");
    assert_eq!(get(&app).await["bullets"][0]["helpful"], 2);
    counted(&app, "recapd_playbook_left_out_total{why=\"twin\"} 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_budget_is_left_out() {
    let reply = json!([
        operation("add", "", &format!("Ask for a return {}", "before any refund and any credit ".repeat(15))),
        operation("add", "", "Say thanks."),
    ]);
    let endpoint = Endpoint::open(teacher(reflection("Refunds need a return.", &json!([])), reply)).await;
    let app = start(&endpoint, &[]).await;
    apply(&app, json!([add("Look up the order first.")])).await;
    app.send(reqwest::Method::PATCH, SUPPORT, Some(&json!({ "budget": 100 })), &[]).await.ok();
    ended_run(&app, &json!({ "playbook": "support" }), "error", &failed()).await;
    quiet(&app).await;
    assert_eq!(contents(&get(&app).await), ["Look up the order first.", "Say thanks."]);
    for why in ["over_budget", "refused"] {
        counted(&app, &format!("recapd_playbook_left_out_total{{why=\"{why}\"}} 1")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn much_at_once_waits() {
    let app_lessons = lessons(8);
    let ids: Vec<String> = (1..=6).map(|n| format!("r-{n:05}")).collect();
    let merged = "Before songs, orders, mails, files, notes or rooms change, read them all twice";
    let merge = json!({ "op": "merge", "section": "", "id": "", "ids": ids, "content": merged });
    let endpoint = Endpoint::open(teacher(reflection("Read all twice.", &json!([])), json!([merge]))).await;
    let app = start(&endpoint, &[]).await;
    apply(&app, json!(app_lessons)).await;
    ended_run(&app, &json!({ "playbook": "support" }), "error", &failed()).await;
    quiet(&app).await;
    assert_eq!(contents(&get(&app).await).len(), 8);
    assert_eq!(reasons(&app).await, ["it would remove 5 of 8 bullets at once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_learned_from_again_counts_once() {
    let rule = |request: &Request| {
        let is_good = request.body.to_string().contains("<outcome>\\nsuccess");
        let tags = json!([{ "id": "r-00001", "tag": if is_good { "helpful" } else { "harmful" } }]);
        match asked(&request.body) {
            "reflection" => Step::says(&reflection("none", &tags).to_string()),
            _ => Step::says(&json!({ "reasoning": "", "operations": [] }).to_string()),
        }
    };
    let endpoint = Endpoint::open(rule).await;
    let app = start(&endpoint, &[]).await;
    let ids = apply(&app, json!([add("Look up the order first.")])).await;
    let outcome = |status: &str| json!({ "status": status, "used_bullets": ids });
    let path = ended_run(&app, &json!({ "playbook": "support" }), "error", &outcome("failure")).await;
    quiet(&app).await;
    let credits =
        |playbook: &Value| (playbook["bullets"][0]["helpful"].clone(), playbook["bullets"][0]["harmful"].clone());
    assert_eq!(credits(&get(&app).await), (json!(0), json!(1)));
    app.post(&format!("{path}/outcome"), &outcome("success")).await.ok();
    quiet(&app).await;
    assert_eq!(credits(&get(&app).await), (json!(1), json!(0)));
    app.post(&format!("{path}/outcome"), &outcome("success")).await.ok();
    quiet(&app).await;
    assert_eq!(credits(&get(&app).await), (json!(1), json!(0)));
    app.delete(&path).await.ok();
    assert_eq!(credits(&get(&app).await), (json!(0), json!(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_of_a_bullet_is_taken_back_where_the_next_look_says_nothing() {
    let rule = |request: &Request| {
        let is_good = request.body.to_string().contains("<outcome>\\nsuccess");
        let tags = if is_good { json!([]) } else { json!([{ "id": "r-00001", "tag": "harmful" }]) };
        let mut reply = reflection("none", &tags);
        reply["correct_approach"] = json!("");
        Step::says(&reply.to_string())
    };
    let endpoint = Endpoint::open(rule).await;
    let app = start(&endpoint, &[]).await;
    let ids = apply(&app, json!([add("Look up the order first.")])).await;
    let outcome = |status: &str| json!({ "status": status, "used_bullets": ids });
    let path = ended_run(&app, &json!({ "playbook": "support" }), "error", &outcome("failure")).await;
    quiet(&app).await;
    assert_eq!(get(&app).await["bullets"][0]["harmful"], 1);
    app.post(&format!("{path}/outcome"), &outcome("success")).await.ok();
    quiet(&app).await;
    assert_eq!(get(&app).await["bullets"][0]["harmful"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_long_feedback_head_and_tail_are_told() {
    let endpoint = Endpoint::open(plain()).await;
    let app = start(&endpoint, &[]).await;
    let feedback = format!("It began well. {} It ended badly.", "The judge says more. ".repeat(3000));
    let outcome = json!({ "status": "failure", "feedback": feedback });
    ended_run(&app, &json!({ "playbook": "support" }), "error: returned items only", &outcome).await;
    quiet(&app).await;
    let body = endpoint.bodies()[0].clone();
    let told = body["messages"][1]["content"].as_str().unwrap();
    assert!(told.contains("It began well.") && told.contains("It ended badly."), "{told}");
    assert!(told.contains("returned items only") && told.len() < 6000, "{} bytes", told.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_is_bounded() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({})).await;
    let refused = [
        (json!({ "feedback": "x".repeat((64 << 10) + 1) }), "/feedback"),
        (json!({ "used_bullets": vec!["r-00001"; 1001] }), "/used_bullets"),
        (json!({ "used_bullets": ["r-00001", "r".repeat(65)] }), "/used_bullets/1"),
    ];
    for (mut outcome, pointer) in refused {
        outcome["status"] = json!("success");
        let problem = app.post(&format!("{path}/outcome"), &outcome).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let most = json!({ "status": "success", "feedback": "x".repeat(64 << 10), "used_bullets": vec!["r"; 1000] });
    app.post(&format!("{path}/outcome"), &most).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bullet_that_did_harm_is_judged_and_goes() {
    let tags = json!([{ "id": "r-00001", "tag": "harmful" }]);
    let reply = json!([operation("delete", "r-00001", "")]);
    let endpoint = Endpoint::open(teacher(reflection("Refunds need a return.", &tags), reply)).await;
    let app = start(&endpoint, &[]).await;
    let ids = apply(&app, json!([add("Refund at once."), add("Look up the order first.")])).await;
    let outcome = json!({ "status": "failure", "used_bullets": ids });
    ended_run(&app, &json!({ "playbook": "support" }), "error", &outcome).await;
    quiet(&app).await;
    assert_eq!(contents(&get(&app).await), ["Look up the order first."]);
    let delta = &app.get(&format!("{SUPPORT}/deltas")).await.ok()["deltas"][0];
    let done: Vec<&Value> = delta["operations"].as_array().unwrap().iter().map(|operation| &operation["op"]).collect();
    assert_eq!(done, ["tag", "delete"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_takes_over_what_the_same_run_says_of_its_bullets() {
    let tags = json!([{ "id": "r-00002", "tag": "helpful" }]);
    let merged = "Look up the order and its items first.";
    let merge =
        json!({ "op": "merge", "section": "", "id": "r-00001", "ids": ["r-00001", "r-00002"], "content": merged });
    let endpoint = Endpoint::open(teacher(reflection("Look first.", &tags), json!([merge]))).await;
    let app = start(&endpoint, &[]).await;
    let ids = apply(&app, json!([add("Look up the order first."), add("Read what was bought.")])).await;
    let outcome = json!({ "status": "partial", "used_bullets": ids });
    ended_run(&app, &json!({ "playbook": "support" }), "error", &outcome).await;
    quiet(&app).await;
    let playbook = get(&app).await;
    assert_eq!((contents(&playbook), &playbook["bullets"][0]["helpful"]), (vec![merged], &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_see_the_one_before_and_end_when_nothing_changes() {
    let rule = |request: &Request| match asked(&request.body) {
        "reflection" => {
            let mut reply = reflection("Refunds need a return.", &json!([]));
            reply["is_complete"] = json!(false);
            Step::says(&reply.to_string())
        }
        _ => Step::says(&json!({ "reasoning": "", "operations": [] }).to_string()),
    };
    let endpoint = Endpoint::open(rule).await;
    let app = start(&endpoint, &[]).await;
    ended_run(&app, &json!({ "playbook": "support" }), "error", &failed()).await;
    quiet(&app).await;
    let bodies = endpoint.bodies();
    assert_eq!(bodies.iter().map(asked).collect::<Vec<_>>(), ["reflection", "reflection", "curation"]);
    assert!(!bodies[0].to_string().contains("<earlier>") && bodies[1].to_string().contains("<earlier>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_from_a_run_goes_with_it() {
    let endpoint = Endpoint::open(plain()).await;
    let app = start(&endpoint, &[]).await;
    let path = ended_run(&app, &json!({ "playbook": "support" }), "error", &failed()).await;
    quiet(&app).await;
    assert_eq!(contents(&get(&app).await).len(), 1);
    app.delete(&path).await.ok();
    assert_eq!(contents(&get(&app).await).len(), 0);
}
