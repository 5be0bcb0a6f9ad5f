//! `recapd tune run --runner`: agents bring the evidence, and their success on held-out tasks goes before the gate.

use std::fs;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::{GUIDELINE, champion, draft};
use crate::app::TestApp;
use crate::runner::agent;

/// Drops the line that the agent needs at its end, which none of its actions names.
const FORGETS: &str = "---\nkind: history\ndrop: ['code of the door']\nvariables: [most_tokens]\n---\nWrite at most {{ most_tokens }} tokens.\n";
/// Keeps it.
const REMEMBERS: &str = "---\nkind: history\nkeep: ['code of the door']\nvariables: [most_tokens]\n---\nWrite at most {{ most_tokens }} tokens.\n";

/// A stopped daemon's data under a champion, with a draft and an agent that notes each of its runs.
struct Site {
    folder: tempfile::TempDir,
    command: String,
    draft: String,
}

impl Site {
    /// `None` where there is no Python.
    async fn new(steers: &str, other: &str) -> Option<Self> {
        Self::before(steers, other, "").await
    }

    /// As `new`, with something that a shell does before each run; `FOLDER` stands for the data's.
    async fn before(steers: &str, other: &str, first: &str) -> Option<Self> {
        let app = TestApp::start().await;
        let command = agent(app.folder.path())?;
        let steering = champion(&app, steers).await;
        let draft = draft(&app, other).await;
        // a trial that reaches nearly everybody reaches none of these agents
        let trial = json!({ "hash": draft, "expected_champion": steering, "canary_share": 0.99 });
        app.post(&format!("/v1/guidelines/{GUIDELINE}/activate"), &trial).await.ok();
        let folder = app.stop().await;
        let tasks: Vec<String> =
            (0..14).map(|n| json!({ "id": format!("t{n}"), "task": "Look." }).to_string()).collect();
        fs::write(folder.path().join("tasks.jsonl"), tasks.join("\n")).unwrap();
        let log = folder.path().join("log");
        let first = first.replace("FOLDER", &folder.path().display().to_string());
        let noting =
            format!("{first} echo \"$RECAPD_TASK_ID $RECAPD_ARM\" >> \"{}\"; exec \"$0\" \"$@\"", log.display());
        Some(Self { folder, command: format!("sh -c '{noting}' {command}"), draft })
    }

    fn tune(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.arg("--data").arg(self.folder.path()).args(["tune", "run", "--json"]).args(arguments);
        command
    }

    /// Starts the agents and judges the draft alone.
    fn run(&self, objective: &str) -> Command {
        let judged = ["--candidates", "0", "--draft", &self.draft, "--objective", objective, "--min-peak", "500"];
        let split = ["--seed", "5", "--held-out", "0.6", "--budget", "900"];
        self.with_agent(&[&["--guideline", GUIDELINE][..], &judged, &split].concat())
    }

    fn resume(&self, id: &str) -> Command {
        self.with_agent(&["--resume", id])
    }

    fn with_agent(&self, arguments: &[&str]) -> Command {
        let tasks = self.path("tasks.jsonl");
        self.tune(&[arguments, &["--runner", &self.command, "--tasks", &tasks, "--parallel", "2"]].concat())
    }

    /// Waits for the end of a run, with a mark for its agents from when the last of the champion has started.
    async fn changed_for_the_verdict(&self, mut running: Child, mark: &str) -> Output {
        for _ in 0..6_000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if self.started("compressed") >= 14 || running.try_wait().unwrap().is_some() {
                break;
            }
        }
        fs::write(self.path(mark), "").unwrap();
        running.wait_with_output().await.unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// How often agents were started on an arm.
    fn started(&self, arm: &str) -> usize {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().filter(|line| line.ends_with(arm)).count()
    }
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agents_solve_passes_the_gate() {
    let Some(site) = Site::new(FORGETS, REMEMBERS).await else { return };
    let output = site.run("utility").output().await.unwrap();
    let run = json_of(&output);
    let held_out = run["cases"]["held_out"].as_u64().unwrap();
    assert_eq!(run["agents"]["pairs"], 14, "{run}");
    let success = &run["verdict"]["success"];
    assert_eq!((&success["gained"], &success["lost"]), (&json!(held_out), &json!(0)), "{run}");
    assert_eq!(run["verdict"]["passes"], true, "{}", run["verdict"]);
    assert!(run["why"].as_str().unwrap().contains("more tasks solved"), "{}", run["why"]);
    assert_eq!(run["winner"], site.draft);
    let held_out = usize::try_from(held_out).unwrap();
    assert_eq!([site.started("full"), site.started("compressed")], [14, 14 + held_out], "champions run once");
    let of_held_out = |score: &&Value| score["side"] == "held_out";
    for score in run["scores"].as_array().unwrap().iter().filter(of_held_out) {
        assert_eq!(score["score"]["success"], !score["candidate"].is_null(), "{score}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agents_need_and_no_action_names_is_not_given_for_tokens() {
    let Some(site) = Site::new(REMEMBERS, FORGETS).await else { return };
    let output = site.run("compression").output().await.unwrap();
    let run = json_of(&output);
    let verdict = &run["verdict"];
    assert_eq!((&verdict["passes"], &verdict["success"]["gained"]), (&json!(false), &json!(0)), "{run}");
    assert_eq!(verdict["success"]["lost"], run["cases"]["held_out"], "{verdict}");
    assert!(verdict["reason"].as_str().unwrap().contains("success is surely lower"), "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verdict_that_was_cut_off_runs_no_agent_twice() {
    let Some(site) = Site::new(FORGETS, REMEMBERS).await else { return };
    let mut killed = site.run("utility").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    for _ in 0..6_000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if site.started("compressed") > 16 || killed.try_wait().unwrap().is_some() {
            break;
        }
    }
    killed.kill().await.unwrap();
    killed.wait().await.unwrap();
    let before = site.started("compressed");
    let listed = Command::new(env!("CARGO_BIN_EXE_recapd"))
        .env_clear()
        .args(["--data", &site.folder.path().display().to_string(), "tune", "list", "--json"])
        .output()
        .await
        .unwrap();
    let id = json_of(&listed)["tuning_runs"][0]["id"].as_str().unwrap().to_owned();

    let file = site.path("tasks.jsonl");
    let tasks = fs::read_to_string(&file).unwrap();
    fs::write(&file, tasks.replacen("Look.", "Look well.", 1)).unwrap();
    for mut other in [site.resume(&id), site.tune(&["--resume", &id])] {
        let refused = other.output().await.unwrap();
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
    fs::write(&file, tasks).unwrap();
    assert_eq!(site.started("compressed"), before);

    let output = site.resume(&id).output().await.unwrap();
    let run = json_of(&output);
    assert_eq!((&run["state"], &run["verdict"]["passes"]), (&json!("done"), &json!(true)), "{run}");
    let held_out = usize::try_from(run["cases"]["held_out"].as_u64().unwrap()).unwrap();
    let after = site.started("compressed");
    // the two that worked when it was killed are run again
    assert!(after <= 14 + held_out + 2, "{before} before, {after} at the end, {held_out} held out");
    assert_eq!(site.started("full"), 14);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cap_on_time_pauses_while_agents_work() {
    let slow = "test -e \"FOLDER/slow\" && sleep 5;";
    let Some(site) = Site::before(FORGETS, REMEMBERS, slow).await else { return };
    let mut command = site.run("utility");
    let running = command.args(["--max-seconds", "10"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = site.changed_for_the_verdict(running, "slow").await;
    let run = json_of(&output);
    assert_eq!((&run["state"], &run["stage"]), (&json!("paused"), &json!("judge")), "{run}");
    assert!(run["why"].as_str().unwrap().contains("max_seconds"), "{run}");
    let held_out = usize::try_from(run["cases"]["held_out"].as_u64().unwrap()).unwrap();
    assert!(site.started("compressed") < 14 + held_out, "agents were stopped half-way");
    fs::remove_file(site.path("slow")).unwrap();
    let id = run["id"].as_str().unwrap();
    let output = site.resume(id).args(["--max-seconds", "600"]).output().await.unwrap();
    assert_eq!(json_of(&output)["verdict"]["passes"], true, "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_say_nothing_are_no_verdict() {
    let broken = "test -e \"FOLDER/broken\" && exit 1;";
    let Some(site) = Site::before(FORGETS, REMEMBERS, broken).await else { return };
    let running = site.run("utility").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = site.changed_for_the_verdict(running, "broken").await;
    let run = json_of(&output);
    assert_eq!((&run["state"], &run["verdict"]), (&json!("failed"), &Value::Null), "{run}");
    assert!(run["why"].as_str().unwrap().contains("read no context"), "{run}");
    fs::remove_file(site.path("broken")).unwrap();
    let output = site.resume(run["id"].as_str().unwrap()).output().await.unwrap();
    assert_eq!(json_of(&output)["verdict"]["passes"], true, "what says nothing is run again: {output:?}");
}
