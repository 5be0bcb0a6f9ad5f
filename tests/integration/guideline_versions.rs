//! Guidelines that operators own: drafts, trials, activation, rollback, and files that change while the daemon runs.

use std::path::Path;

use recap_core::trajectory::OriginalHash;
use recapd::app::{App, open_data};
use recapd::pipeline::guidelines::{Activation, Draft};
use recapd::pipeline::keys::Caller;
use recapd::world::World;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{TestApp, config};
use crate::run::tool_run;

const HISTORY: &str = "/v1/guidelines/default/history";
const KEEPS: &str = "---\nkind: history\nkeep: ['/job \\d+ wrote 1\\d+ rows/']\n---\nKeep the jobs.\n";

async fn put(app: &TestApp, path: &str, text: &str) -> Value {
    let body = json!({ "text": text, "note": "a trial" });
    app.send(Method::PUT, path, Some(&body), &[]).await.ok()
}

async fn champion(app: &TestApp, path: &str) -> Value {
    app.get(path).await.ok()["champion"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_saved_compared_activated_and_rolled_back() {
    let app = TestApp::start().await;
    let shipped = champion(&app, HISTORY).await;
    let body = json!({ "text": KEEPS, "note": "a trial" });
    let made = app.send(Method::PUT, HISTORY, Some(&body), &[]).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let hash = made.json()["hash"].clone();
    assert_eq!(hash, OriginalHash::of(KEEPS).to_string());
    assert_eq!(app.send(Method::PUT, HISTORY, Some(&body), &[]).await.status, 200);
    let list = app.get("/v1/guidelines").await.ok();
    assert_eq!(list["faults"], json!([]));
    let ours = list["guidelines"].as_array().unwrap().iter().find(|one| one["drafts"] == json!([hash])).unwrap();
    assert_eq!((&ours["set"], &ours["kind"], &ours["champion"]), (&json!("default"), &json!("history"), &shipped));

    let diff = app.get(&format!("{HISTORY}/diff?to={}", hash.as_str().unwrap())).await.ok();
    assert!(diff["diff"].as_str().unwrap().contains("\n+Keep the jobs.\n"), "{diff}");
    let versions = app.get(&format!("{HISTORY}/versions")).await.ok();
    let origins: Vec<_> = versions["versions"].as_array().unwrap().iter().map(|one| one["origin"].clone()).collect();
    assert_eq!(origins, ["api", "shipped"]);
    let one = app.get(&format!("{HISTORY}/versions/{}", hash.as_str().unwrap())).await.ok();
    assert_eq!((one["text"].as_str(), one["note"].as_str()), (Some(KEEPS), Some("a trial")));

    let path = app.trajectory(&json!({})).await;
    app.append(&path, &tool_run(30, 400)).await;
    let read = format!("{path}/context?budget=2500");
    let before = app.get(&read).await.ok();
    assert_eq!(app.get(&read).await.ok()["epoch"], 0);
    let stale = json!({ "hash": hash, "expected_champion": hash });
    let problem = app.post(&format!("{HISTORY}/activate"), &stale).await.problem(412);
    assert_eq!((&problem["type"], &problem["current_champion"]), (&json!("/problems/champion-changed"), &shipped));
    let now =
        app.post(&format!("{HISTORY}/activate"), &json!({ "hash": hash, "expected_champion": shipped })).await.ok();
    assert_eq!((&now["champion"], &now["drafts"]), (&hash, &json!([])));
    // The change begins a new epoch, which names what made it.
    let after = app.get(&read).await.ok();
    assert_eq!(after["epoch"], 1);
    assert_ne!(before["messages"], after["messages"]);
    let label = format!("default/history@{}", &hash.as_str().unwrap()[..11]);
    assert!(after["pieces"].to_string().contains(&label), "{}", after["pieces"]);
    let sets = app.get("/v1/info").await.ok()["guidelines"].clone();
    assert_eq!(sets[1]["history"], hash);

    // It holds after a restart.
    let app = app.restart().await;
    assert_eq!(champion(&app, HISTORY).await, hash);
    assert_eq!(app.get(&read).await.ok()["epoch"], 1);
    let back = app.post(&format!("{HISTORY}/rollback"), &json!({})).await.ok();
    assert_eq!(back["champion"], shipped);
    assert_eq!(app.get(&read).await.ok()["epoch"], 2);
    let events = app.get(HISTORY).await.ok()["events"].clone();
    assert_eq!((&events[0]["action"], &events[1]["action"]), (&json!("rollback"), &json!("activate")));
    assert_eq!((&events[1]["from"], &events[1]["to"]), (&shipped, &hash));
    assert_eq!(app.post(&format!("{HISTORY}/rollback"), &json!({})).await.problem(422)["status"], 422);
    let audit = app.get("/v1/audit").await.ok();
    let actions: Vec<_> =
        audit["audit"].as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["guideline.rollback", "guideline.activate", "guideline.draft"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_steers_its_share_and_is_promoted() {
    let app = TestApp::start().await;
    let shipped = champion(&app, HISTORY).await;
    let hash = put(&app, HISTORY, KEEPS).await["hash"].clone();
    let activate = |share: Value| json!({ "hash": hash, "expected_champion": shipped, "canary_share": share });
    for share in [json!(0), json!(1.5), json!(-0.1)] {
        let problem = app.post(&format!("{HISTORY}/activate"), &activate(share)).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], "/canary_share");
    }
    let own = json!({ "hash": shipped, "expected_champion": shipped, "canary_share": 0.5 });
    app.post(&format!("{HISTORY}/activate"), &own).await.problem(422);
    let on_trial = app.post(&format!("{HISTORY}/activate"), &activate(json!(0.5))).await.ok();
    assert_eq!(on_trial["canary"], json!({ "hash": hash, "share": 0.5 }));
    assert_eq!((&on_trial["champion"], &on_trial["drafts"]), (&shipped, &json!([hash])));
    let mut tried = 0;
    for n in 0..20 {
        let path = app.trajectory(&json!({ "id": format!("t{n}") })).await;
        app.append(&path, &tool_run(12, 400)).await;
        let pieces = app.get(&format!("{path}/context?budget=2500")).await.ok()["pieces"].to_string();
        tried += u32::from(pieces.contains(&hash.as_str().unwrap()[..11]));
    }
    assert!((4..=16).contains(&tried), "{tried}");
    let now = app.post(&format!("{HISTORY}/activate"), &activate(Value::Null)).await.ok();
    assert_eq!((&now["champion"], now.get("canary")), (&hash, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_ends_with_a_rollback() {
    let app = TestApp::start().await;
    let shipped = champion(&app, HISTORY).await;
    let hash = put(&app, HISTORY, KEEPS).await["hash"].clone();
    let body = json!({ "hash": hash, "expected_champion": shipped, "canary_share": 1 });
    app.post(&format!("{HISTORY}/activate"), &body).await.ok();
    let back = app.post(&format!("{HISTORY}/rollback"), &json!({})).await.ok();
    assert_eq!((&back["champion"], back.get("canary")), (&shipped, None));
    assert_eq!(back["drafts"], json!([hash]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_guideline_is_refused_with_its_place() {
    let app = TestApp::start().await;
    let cases = [
        ("---\nkep: [x]\n---\n", "line 2, column 1: unknown field `kep`"),
        ("---\nkind: observation\n---\n", "kind: it is `observation`"),
        ("Fill {{ turns }}.", "variables: the body places `turns`"),
        ("---\nwrite: [{name: A}, {name: A}]\n---\n", "write: `a` stands twice"),
        ("Use the key AKIAABCDEFGHIJKLMNOP.", "line 1 holds an AWS access key"),
        ("---\ncaps: {list_items: -1}\n---\n", "caps.list_items"),
    ];
    for (text, words) in cases {
        let problem = app.send(Method::PUT, HISTORY, Some(&json!({ "text": text })), &[]).await.problem(422);
        let fault = &problem["errors"][0];
        assert_eq!(fault["pointer"], "/text");
        assert!(fault["detail"].as_str().unwrap().contains(words), "{fault}");
    }
    let large = json!({ "text": "x".repeat(300_000) });
    let problem = app.send(Method::PUT, HISTORY, Some(&large), &[]).await.problem(422);
    assert!(problem["detail"].as_str().unwrap().contains("at most 262144 bytes"));
    for path in ["/v1/guidelines/default/histroy", "/v1/guidelines/Default/history"] {
        app.send(Method::PUT, path, Some(&json!({ "text": "x" })), &[]).await.problem(404);
        app.get(path).await.problem(404);
    }
    app.get("/v1/guidelines/ours/history").await.problem(404);
    let none = OriginalHash::of("none").to_string();
    app.get(&format!("{HISTORY}/versions/{none}")).await.problem(404);
    app.get(&format!("{HISTORY}/versions/abc")).await.problem(422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_set_begins_with_its_first_activation() {
    let app = TestApp::start().await;
    let path = "/v1/guidelines/ours/history";
    let hash = put(&app, path, KEEPS).await["hash"].clone();
    assert_eq!(app.get(path).await.ok()["champion"], Value::Null);
    app.post("/v1/trajectories", &json!({ "guideline_set": "ours" })).await.problem(422);
    app.post(&format!("{path}/activate"), &json!({ "hash": hash })).await.ok();
    let trajectory = app.trajectory(&json!({ "guideline_set": "ours" })).await;
    app.append(&trajectory, &tool_run(12, 400)).await;
    let pieces = app.get(&format!("{trajectory}/context?budget=2500")).await.ok()["pieces"].to_string();
    assert!(pieces.contains("ours/history@b3:"), "{pieces}");
    // Kinds for other models are kept and activated in the same way.
    let path = "/v1/guidelines/ours/reflect";
    let text = "---\nkind: reflect\nvariables: [outcome]\n---\nIt ended with {{ outcome }}.\n";
    let hash = put(&app, path, text).await["hash"].clone();
    let now = app.post(&format!("{path}/activate"), &json!({ "hash": hash, "expected_champion": null })).await.ok();
    assert_eq!(now["champion"], hash);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_tried_beside_the_champion() {
    let app = TestApp::start().await;
    let path = app.trajectory(&json!({ "id": "t", "budget": 3000 })).await;
    app.append(&path, &tool_run(20, 400)).await;
    let epochs = app.get(&format!("{path}/epochs")).await.ok();
    let attempt = json!({ "text": KEEPS, "trajectory": "t" });
    let trial = app.post(&format!("{HISTORY}/try"), &attempt).await.ok();
    assert_eq!((&trial["compressor"], &trial["budget"]), (&json!("rules"), &json!(3000)));
    for (side, label) in [("champion", "default/history@"), ("candidate", "default/history@")] {
        let side = &trial[side];
        assert!(side["guideline"].as_str().unwrap().starts_with(label), "{side}");
        assert_eq!(side["turns"][0], 1);
        let (text, facts) = (side["text"].as_str().unwrap(), &side["facts"]);
        assert!(side["tokens"].as_u64().unwrap() < side["full_tokens"].as_u64().unwrap());
        assert!(facts["kept"].as_u64().unwrap() > 0 && facts["lost"].as_u64().unwrap() > 0, "{facts}");
        let values = |name: &str| facts[name].as_array().unwrap().clone();
        assert!(values("kept_values").iter().all(|value| text.contains(value.as_str().unwrap())));
        assert!(values("lost_values").iter().all(|value| !text.contains(value.as_str().unwrap())));
        assert!(values("lost_values").len() <= 50);
    }
    assert_ne!(trial["champion"]["text"], trial["candidate"]["text"]);
    // Nothing is stored of it.
    assert_eq!(app.get(&format!("{path}/epochs")).await.ok(), epochs);
    assert_eq!(app.get(HISTORY).await.ok()["drafts"], json!([]));

    let part = json!({ "text": KEEPS, "trajectory": "t", "turns": [5, 12], "budget": 1500 });
    let part = app.post(&format!("{HISTORY}/try"), &part).await.ok();
    assert_eq!(part["candidate"]["turns"][0], 5);
    let fits = json!({ "trajectory": "t", "turns": [5, 5], "budget": 60000 });
    let fits = app.post(&format!("{HISTORY}/try"), &fits).await.ok();
    assert_eq!((&fits["candidate"]["turns"], &fits["candidate"]["text"]), (&Value::Null, &json!("")));
    for (turns, pointer) in [(json!([0, 3]), "/turns"), (json!([4, 3]), "/turns"), (json!([1, 99]), "/turns")] {
        let body = json!({ "trajectory": "t", "turns": turns });
        let problem = app.post(&format!("{HISTORY}/try"), &body).await.problem(422);
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }

    let observation = "/v1/guidelines/default/observation";
    let text = "---\ndrop: [shard 3]\n---\nDrop a shard.\n";
    let body = json!({ "text": text, "trajectory": "t", "observation": 5 });
    let trial = app.post(&format!("{observation}/try"), &body).await.ok();
    assert_eq!(trial["observation"], 5);
    assert!(!trial["candidate"]["text"].as_str().unwrap().contains("shard 3"), "{trial}");
    assert!(trial["champion"]["tokens"].as_u64() <= trial["budget"].as_u64());
    let largest = app.post(&format!("{observation}/try"), &json!({ "trajectory": "t" })).await.ok();
    assert_eq!(largest["champion"]["text"], largest["candidate"]["text"]);
    app.post(&format!("{observation}/try"), &json!({ "trajectory": "t", "observation": 0 })).await.problem(422);
    app.post(&format!("{observation}/try"), &json!({ "trajectory": "none" })).await.problem(404);
    app.post("/v1/guidelines/default/reflect/try", &json!({ "trajectory": "t", "text": "x" })).await.problem(422);
}

fn write(dir: &Path, path: &str, text: &str) {
    let path = dir.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

async fn start(folder: &Path, dir: &Path) -> App {
    let values = [("guidelines.dir", dir.to_str().unwrap()), ("guidelines.watch_ms", "0")];
    let config = config(folder, &values);
    let data = open_data(&config, folder).await.unwrap();
    App::start(config, data, World::real()).await.unwrap()
}

async fn steers(app: &App, text: Option<&str>) {
    let state = app.pipeline().guideline("coding", "history").await.unwrap();
    let set = app.pipeline().guidelines().for_trajectory(Some("coding"), "t").unwrap();
    assert_eq!(state.champion, Some(set.history.hash));
    match text {
        Some(text) => assert_eq!(set.history.hash, OriginalHash::of(text)),
        None => assert!(set.history.guideline.body.contains("coding agent")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_change_are_taken_up_and_wrong_ones_reported() {
    let (folder, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let app = start(folder.path(), dir.path()).await;
    let faults = |app: &App| app.pipeline().guidelines().faults();
    steers(&app, None).await;
    write(dir.path(), "coding/history.md", "One.");
    write(dir.path(), "fresh/observation.md", "Fresh.");
    app.pipeline().watch_guidelines().await.unwrap();
    steers(&app, Some("One.")).await;
    assert!(app.pipeline().guidelines().get(Some("fresh")).is_some());

    write(dir.path(), "coding/history.md", "---\nkep: [x]\n---\n");
    app.pipeline().watch_guidelines().await.unwrap();
    steers(&app, Some("One.")).await;
    let [fault] = faults(&app).try_into().unwrap();
    assert!(fault.contains("history.md: line 2, column 1: unknown field `kep`"), "{fault}");
    app.pipeline().watch_guidelines().await.unwrap();
    assert_eq!(faults(&app), [fault]);

    write(dir.path(), "coding/history.md", "Two.");
    app.pipeline().watch_guidelines().await.unwrap();
    steers(&app, Some("Two.")).await;
    assert!(faults(&app).is_empty());
    let events = app.pipeline().guideline_events("coding", "history").await.unwrap();
    assert!(events.iter().all(|event| event.action == "file"));
    assert_eq!(events.len(), 2);

    // What an operator activates goes before the file, until the file is edited again.
    let caller = Caller::local();
    let draft = Draft { text: "Three.".to_owned(), note: None, origin: "api" };
    let (draft, _) = app.pipeline().draft_guideline(&caller, "coding", "history", draft).await.unwrap();
    let activation =
        Activation { hash: draft.hash, expected_champion: Some(OriginalHash::of("Two.")), canary_share: None };
    app.pipeline().activate_guideline(&caller, "coding", "history", activation).await.unwrap();
    app.pipeline().watch_guidelines().await.unwrap();
    steers(&app, Some("Three.")).await;
    app.close().await.unwrap();
    drop(app);
    let app = start(folder.path(), dir.path()).await;
    steers(&app, Some("Three.")).await;
    write(dir.path(), "coding/history.md", "Four.");
    app.pipeline().watch_guidelines().await.unwrap();
    steers(&app, Some("Four.")).await;

    std::fs::remove_file(dir.path().join("coding/history.md")).unwrap();
    std::fs::remove_dir_all(dir.path().join("fresh")).unwrap();
    app.pipeline().watch_guidelines().await.unwrap();
    steers(&app, None).await;
    assert!(app.pipeline().guidelines().get(Some("fresh")).is_none());
    // A folder that cannot be read changes nothing.
    write(dir.path(), "coding/history.md", "Five.");
    app.pipeline().watch_guidelines().await.unwrap();
    std::fs::remove_dir_all(dir.path()).unwrap();
    app.pipeline().watch_guidelines().await.unwrap();
    steers(&app, Some("Five.")).await;
    assert_eq!(faults(&app).len(), 1);
    app.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_operators_of_all_namespaces_change_guidelines() {
    let mut app = TestApp::start().await;
    let mut keys = Vec::new();
    for body in [
        json!({ "name": "root", "scope": "admin" }),
        json!({ "name": "agent", "scope": "agent" }),
        json!({ "name": "one", "scope": "operator", "namespace": "one" }),
    ] {
        let made = app.post("/v1/keys", &body).await.ok();
        keys.push(made["key"].as_str().unwrap().to_owned());
        app.key = keys.first().cloned();
    }
    let body = json!({ "text": KEEPS });
    for key in keys.drain(1..) {
        app.key = Some(key);
        app.get("/v1/guidelines").await.ok();
        app.send(Method::PUT, HISTORY, Some(&body), &[]).await.problem(403);
        app.post(&format!("{HISTORY}/rollback"), &json!({})).await.problem(403);
    }
    app.key = keys.pop();
    put(&app, HISTORY, KEEPS).await;
}
