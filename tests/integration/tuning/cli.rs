//! `recapd tune run` on files and stored trajectories, and what looks at runs.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection as _;
use tokio::process::Command;

use super::{BAD, GOOD, GUIDELINE, ticket_run};
use crate::app::TestApp;

const RUN: [&str; 12] = [
    "run",
    "--guideline",
    GUIDELINE,
    "--seed",
    "5",
    "--held-out",
    "0.5",
    "--min-peak",
    "500",
    "--fraction",
    "0.4",
    "--floor=400",
];

fn tune(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.env_clear().arg("--data").arg(folder.join("data")).arg("tune").args(arguments);
    command
}

async fn said(folder: &Path, arguments: &[&str]) -> Output {
    tune(folder, arguments).output().await.unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A folder with recorded runs and a configuration whose default set drops what actions use.
fn site(tasks: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("sets/default");
    std::fs::create_dir_all(&set).unwrap();
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    std::fs::write(set.join("history.md"), BAD).unwrap();
    let dir = json!(folder.path().join("sets"));
    std::fs::write(folder.path().join("data/recapd.toml"), format!("[guidelines]\ndir = {dir}\n")).unwrap();
    let runs: Vec<String> = (0..tasks)
        .map(
            |task| json!({ "id": format!("run-{task}"), "task": format!("task {task}"), "messages": ticket_run(task) }),
        )
        .map(|run| run.to_string())
        .collect();
    std::fs::write(folder.path().join("runs.jsonl"), runs.join("\n")).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_files_finds_judges_shows_and_promotes() {
    let folder = site(24);
    let file = folder.path().join("runs.jsonl");
    let arguments = [&RUN[..], &[file.to_str().unwrap(), "--candidates", "4", "--json"]].concat();
    let output = said(folder.path(), &arguments).await;
    assert!(output.status.success(), "{output:?}");
    let run = json_of(&output);
    assert_eq!((&run["state"], &run["verdict"]["passes"]), (&json!("done"), &json!(true)), "{run}");
    assert_eq!(run["replayed"].as_u64().unwrap() + 1, run["total"].as_u64().unwrap(), "{run}");
    let id = run["id"].as_str().unwrap();

    let shown = said(folder.path(), &["show", id]).await;
    let text = String::from_utf8(shown.stdout).unwrap();
    for part in ["done: candidate", "-  - '/^ticket /'", "on held-out tasks", "grounding", "task 1", "tune promote"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let list = json_of(&said(folder.path(), &["list", "--json"]).await);
    assert_eq!(list["tuning_runs"][0]["id"], id);
    let refused = said(folder.path(), &["cancel", id]).await;
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let promoted = said(folder.path(), &["promote", id, "--json"]).await;
    assert_eq!(json_of(&promoted)["champion"], run["winner"], "{promoted:?}");
}

/// How many scores a tuning run has stored; 0 while there is no database or no table.
async fn scores_in(database: &Path) -> i64 {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(database).read_only(true);
    let Ok(mut connection) = sqlx::SqliteConnection::connect_with(&options).await else { return 0 };
    let counted = sqlx::query_scalar("SELECT COUNT(*) FROM tuning_scores").fetch_one(&mut connection).await;
    counted.unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_run_goes_on_where_it_stopped() {
    let folder = site(24);
    let file = folder.path().join("runs.jsonl");
    let arguments = [&RUN[..], &[file.to_str().unwrap(), "--candidates", "2", "--json"]].concat();
    let mut killed = tune(folder.path(), &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let database = folder.path().join("data/recapd.db");
    for _ in 0..3000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if scores_in(&database).await > 2 || killed.try_wait().unwrap().is_some() {
            break;
        }
    }
    killed.kill().await.unwrap();
    killed.wait().await.unwrap();

    let list = json_of(&said(folder.path(), &["list", "--json"]).await);
    let (id, done) = (list["tuning_runs"][0]["id"].as_str().unwrap(), list["tuning_runs"][0]["done"].as_u64().unwrap());
    let output = said(folder.path(), &["run", "--resume", id, "--json"]).await;
    assert!(output.status.success(), "{output:?}");
    let run = json_of(&output);
    let replayed = run["replayed"].as_u64().unwrap();
    // All steps but the proposal are replays, and each was done once by one of the two.
    assert!(replayed + done <= run["total"].as_u64().unwrap() + 1, "{done} before, {replayed} since: {run}");
    assert!(done == 0 || replayed < run["total"].as_u64().unwrap() - 1, "{done} before, {replayed} since");
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_pause_and_files_that_changed_are_refused() {
    let folder = site(12);
    let file = folder.path().join("runs.jsonl");
    let arguments = [&RUN[..], &[file.to_str().unwrap(), "--max-seconds", "0.001", "--json"]].concat();
    let output = said(folder.path(), &arguments).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let run = json_of(&output);
    assert_eq!((&run["state"], &run["replayed"]), (&json!("paused"), &json!(1)), "{run}");
    let id = run["id"].as_str().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.lines().take(1).collect::<String>()).unwrap();
    let output = said(folder.path(), &["run", "--resume", id, "--max-seconds", "600", "--json"]).await;
    let why = json_of(&output)["why"].as_str().unwrap().to_owned();
    assert!(why.contains("must hold the same runs when it goes on"), "{why}");
    std::fs::write(&file, text).unwrap();
    let output = said(folder.path(), &["run", "--resume", id, "--json"]).await;
    assert_eq!(json_of(&output)["state"], "done", "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_use_is_told_before_anything_is_stored() {
    let folder = site(2);
    let file = folder.path().join("runs.jsonl");
    let file = file.to_str().unwrap();
    for arguments in [
        vec!["run", file],
        vec!["run", file, "--guideline", "default/reflect"],
        vec!["run", file, "--guideline", "nowhere/history"],
        vec!["run", file, "--guideline", GUIDELINE, "--held-out", "1"],
        vec!["run", file, "--guideline", GUIDELINE, "--draft", "b3:1"],
        vec!["run", "--resume", "none"],
    ] {
        let output = said(folder.path(), &arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
    let list = json_of(&said(folder.path(), &["list", "--json"]).await);
    assert_eq!(list["tuning_runs"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_daemon_is_asked() {
    let app = TestApp::start().await;
    super::champion(&app, BAD).await;
    super::store_runs(&app, 0..12).await;
    let good = super::draft(&app, GOOD).await;
    let capped = json!({ "candidates": 0, "drafts": [good], "caps": { "max_seconds": 0.001 } });
    let path = super::start(&app, &super::spec(&capped)).await;
    super::ended(&app, &path).await;
    let id = path.rsplit('/').next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let asked = async |arguments: &[&str]| said(folder.path(), &[arguments, &["--url", &app.url]].concat()).await;
    let list = asked(&["list"]).await;
    let text = String::from_utf8(list.stdout).unwrap();
    assert!(text.contains(id) && text.contains("paused"), "{text}");
    let resumed = asked(&["resume", id, "--max-seconds", "600"]).await;
    assert!(resumed.status.success(), "{resumed:?}");
    assert_eq!(super::ended(&app, &path).await["state"], "done");
    let promoted = String::from_utf8(asked(&["promote", id, "--canary", "0.5"]).await.stdout).unwrap();
    assert!(promoted.contains("on trial b3:") && promoted.contains("(0.5)"), "{promoted}");
    let pairs = folder.path().join("pairs.jsonl");
    let side = json!({ "messages": ticket_run(1), "outcome": { "status": "success" } });
    let pair = json!({ "task": "t", "full": side, "compressed": { "outcome": { "status": "failure" } } });
    std::fs::write(&pairs, format!("{pair}\n\n{pair}\n")).unwrap();
    let imported = asked(&["pairs", "import", pairs.to_str().unwrap(), "--json"]).await;
    assert_eq!((&json_of(&imported)["imported"], &json_of(&imported)["known"]), (&json!(1), &json!(1)));
    let list = String::from_utf8(asked(&["pairs", "list"]).await.stdout).unwrap();
    assert!(list.contains("success") && list.contains("failure"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_one_namespace_runs_no_agent_for_another() {
    let folder = site(0);
    let create = ["key", "create", "runner", "--scope", "operator", "--namespace", "blue", "--json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    let made = command.env_clear().arg("--data").arg(folder.path().join("data")).args(create).output().await.unwrap();
    let made = json_of(&made);
    let (tasks, mark) = (folder.path().join("tasks.jsonl"), folder.path().join("ran"));
    std::fs::write(&tasks, "one\n").unwrap();
    let agent = format!("touch '{}'", mark.display());
    let told = ["run", "--guideline", GUIDELINE, "--runner", &agent, "--tasks", tasks.to_str().unwrap()];
    let key = ["--key", made["key"].as_str().unwrap()];
    let refused = said(folder.path(), &[&told[..], &key].concat()).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("say --namespace blue"), "{refused:?}");
    assert!(!mark.exists(), "no agent ran");
    let own = said(folder.path(), &[&told[..], &key, &["--namespace", "blue"]].concat()).await;
    assert!(mark.exists(), "{own:?}");
}
