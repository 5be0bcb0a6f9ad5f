//! The real process: signals, kills, two at once, its command line.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::app::{Answer, client};
use crate::llm::script::{Script, Step};
use crate::run::{tool_run, tool_turn};

fn recapd(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.arg("--data").arg(folder).env_clear();
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    recapd(folder).args(arguments).output().unwrap()
}

/// A daemon that is killed when it is dropped.
pub struct Daemon {
    child: Child,
    pub url: String,
}

impl Daemon {
    pub fn start(folder: &Path) -> Self {
        let mut command = recapd(folder);
        command.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        Self { child, url }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub async fn ended(&mut self) -> i32 {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the daemon does not stop");
    }

    pub async fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let request = client().post(format!("{}{path}", self.url)).json(body).send().await.ok()?;
        let answer = request.error_for_status().ok()?;
        answer.json().await.ok()
    }

    pub async fn get(&self, path: &str) -> Answer {
        Answer::of(client().get(format!("{}{path}", self.url)).send().await.unwrap()).await
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().unwrap();
        }
    }
}

/// Appends turns until the daemon is gone and returns how many messages it acknowledged. Tells each time.
async fn append_for_ever(url: String, agent: usize, acknowledged: &Semaphore) -> (String, u64) {
    let client = client();
    let id = format!("agent-{agent}");
    let made = client.post(format!("{url}/v1/trajectories")).json(&json!({ "id": id })).send().await;
    made.unwrap().error_for_status().unwrap();
    let mut length = 0;
    for turn in 0.. {
        let body = json!({ "messages": tool_turn(turn, 80), "expected_length": length });
        let sent = client.post(format!("{url}/v1/trajectories/{id}/messages")).json(&body).send().await;
        let Ok(answer) = sent else { break };
        if !answer.status().is_success() {
            break;
        }
        let Ok(report) = answer.json::<Value>().await else {
            break;
        };
        length = report["length"].as_u64().unwrap();
        acknowledged.add_permits(1);
    }
    (id, length)
}

/// Loads a daemon, ends it with a signal, starts another one, and looks for what was acknowledged.
async fn law_1_after(signal: &str, code: i32) {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(folder.path());
    let acknowledged = Semaphore::new(0);
    let agents: Vec<_> = (0..8).map(|agent| append_for_ever(daemon.url.clone(), agent, &acknowledged)).collect();
    let load = futures::future::join_all(agents);
    let end = async {
        acknowledged.acquire_many(200).await.unwrap().forget();
        daemon.signal(signal);
        daemon.ended().await
    };
    let (agents, ended) = futures::future::join(load, end).await;
    assert_eq!(ended, code);
    let daemon = Daemon::start(folder.path());
    for (id, length) in agents {
        let stored = daemon.get(&format!("/v1/trajectories/{id}")).await.ok()["length"].as_u64().unwrap();
        // One append may have been stored without its answer getting out.
        assert!(stored == length || stored == length + 2, "{id}: {length} acknowledged, {stored} stored");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_1_sigterm_under_load_loses_nothing_acknowledged() {
    law_1_after("TERM", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn law_1_a_kill_under_load_loses_nothing_acknowledged() {
    law_1_after("KILL", -1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn law_5_a_kill_between_reads_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::start(folder.path());
    daemon.post("/v1/trajectories", &json!({ "id": "t" })).await.unwrap();
    daemon.post("/v1/trajectories/t/messages", &json!({ "messages": tool_run(30, 300) })).await.unwrap();
    let before = daemon.get("/v1/trajectories/t/context?budget=5000").await;
    daemon.signal("KILL");
    daemon.ended().await;
    let daemon = Daemon::start(folder.path());
    let after = daemon.get("/v1/trajectories/t/context?budget=5000").await;
    assert_eq!(after.headers["etag"], before.headers["etag"]);
    assert_eq!(after.json()["messages"], before.json()["messages"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_do_not_share_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let _daemon = Daemon::start(folder.path());
    let second = run(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another recapd uses"), "{second:?}");
}

#[test]
fn bad_uses_and_bad_configurations_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["serve", "--colour"]).status.code(), Some(2));
    let open = run(folder.path(), &["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(open.status.code(), Some(2), "{open:?}");
    std::fs::write(folder.path().join("recapd.toml"), "[compress]\nhistory = \"llm\"\n").unwrap();
    let checked = run(folder.path(), &["config", "check"]);
    assert_eq!(checked.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&checked.stderr).contains("compress.history"), "{checked:?}");
}

#[test]
fn what_is_imported_is_exported_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let files = folder.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let message = r#"{"role":"user",  "content":"caf\u00e9"}"#;
    std::fs::write(files.join("a.json"), format!("[{message}]")).unwrap();
    std::fs::write(files.join("b.json"), format!(r#"{{"id":"b","system":"s","messages":[{message}]}}"#)).unwrap();
    let lines = format!(
        "{{\"id\":\"c\",\"messages\":[{message}]}}\n\nnonsense\n{{\"id\":\"d\",\"messages\":[{{\"role\":\"wizard\"}}]}}\n{{\"id\":\"e\",\"messages\":[{message}]}}\n"
    );
    let mut gz = flate2::write::GzEncoder::new(
        std::fs::File::create(files.join("c.jsonl.gz")).unwrap(),
        flate2::Compression::fast(),
    );
    gz.write_all(lines.as_bytes()).unwrap();
    gz.finish().unwrap();
    std::fs::write(files.join("f.jsonl"), format!("{message}\n{message}\n")).unwrap();
    let imported = run(&data, &["--json", "import", files.to_str().unwrap()]);
    assert_eq!(imported.status.code(), Some(1), "{imported:?}");
    let report: Value = serde_json::from_slice(&imported.stdout).unwrap();
    assert_eq!((&report["trajectories"], &report["messages"]), (&json!(5), &json!(7)), "{report}");
    let places: Vec<&str> =
        report["skipped"].as_array().unwrap().iter().map(|one| one["place"].as_str().unwrap()).collect();
    assert!(places[0].ends_with("c.jsonl.gz:3") && places[1].ends_with("c.jsonl.gz:4"), "{places:?}");
    let exported = run(&data, &["export"]);
    let text = String::from_utf8(exported.stdout).unwrap();
    assert_eq!(text.lines().count(), 5);
    assert_eq!(text.matches(message).count(), 6, "{text}");
    let packed = folder.path().join("out.jsonl.gz");
    assert!(run(&data, &["export", "--out", packed.to_str().unwrap()]).status.success());
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(&packed).unwrap()).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, text);
    let again = run(&data, &["--json", "import", files.join("b.json").to_str().unwrap()]);
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert!(report["skipped"][0]["reason"].as_str().unwrap().contains("exists"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_daemon_refuses_is_skipped_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("recapd.toml"), "[limits]\nmax_message_bytes = 2000\n").unwrap();
    let daemon = Daemon::start(&data);
    let mut messages: Vec<Value> = (0..600).map(|n| json!({ "role": "user", "content": format!("{n}") })).collect();
    messages.push(json!({ "role": "user", "content": "x".repeat(3000) }));
    let good = json!([{ "role": "user", "content": "hello" }]);
    let lines = [
        json!({ "id": "half", "messages": messages }),
        json!({ "id": "no/id", "messages": good }),
        json!({ "id": "tools", "messages": good, "tools": "none" }),
        json!({ "id": "good", "messages": good }),
    ];
    let file = folder.path().join("runs.jsonl");
    std::fs::write(&file, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let arguments = ["--json", "import", file.to_str().unwrap()];
    let skipped = |output: &Output| {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["trajectories"], 1, "{report}");
        let places = report["skipped"].as_array().unwrap().iter();
        places.map(|one| one["place"].as_str().unwrap().rsplit(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (there, url) = (folder.path().join("there"), daemon.url.clone());
    let sent = run(&there, &[&arguments[..], &["--url", &url]].concat());
    assert_eq!(skipped(&sent), ["1", "2", "3"]);
    let listed = daemon.get("/v1/trajectories").await.ok();
    assert_eq!(listed["trajectories"].as_array().unwrap().len(), 1);
    std::fs::create_dir(&there).unwrap();
    std::fs::copy(data.join("recapd.toml"), there.join("recapd.toml")).unwrap();
    assert_eq!(skipped(&run(&there, &arguments)), ["1", "2", "3"]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_export_to_a_full_disk_fails() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder.path().join("full.gz");
    std::os::unix::fs::symlink("/dev/full", &full).unwrap();
    let exported = run(&folder.path().join("data"), &["export", "--out", full.to_str().unwrap()]);
    assert_eq!(exported.status.code(), Some(1), "{exported:?}");
}

#[test]
fn commands_work_on_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("run.json");
    std::fs::write(&file, json!({ "id": "r", "messages": tool_run(30, 300) }).to_string()).unwrap();
    let file = file.to_str().unwrap();
    assert!(run(&data, &["import", file]).status.success());
    let context = run(&data, &["context", "r", "--budget", "3000", "--json"]);
    let context: Value = serde_json::from_slice(&context.stdout).unwrap();
    assert!(context["tokens"]["total"].as_u64().unwrap() <= 3000);
    let compressed = run(&data, &["compress", file, "--budget", "3000", "--json"]);
    let compressed: Value = serde_json::from_slice(&compressed.stdout).unwrap();
    assert!(compressed["tokens"]["total"].as_u64().unwrap() <= 3000);
    assert_eq!(run(&data, &["compress", file, "--budget", "5"]).status.code(), Some(1));
    let checked = run(&data, &["db", "check"]);
    assert!(checked.status.success(), "{checked:?}");
    let copy = folder.path().join("copy.db");
    assert!(run(&data, &["db", "backup", copy.to_str().unwrap()]).status.success());
    assert!(copy.is_file());
    assert!(run(&data, &["db", "vacuum"]).status.success());
    assert!(run(&data, &["db", "migrate"]).status.success());
    let key = run(&data, &["key", "create", "ci", "--scope", "operator", "--json"]);
    let key: Value = serde_json::from_slice(&key.stdout).unwrap();
    assert!(run(&data, &["key", "list"]).status.success());
    assert!(run(&data, &["key", "revoke", key["id"].as_str().unwrap()]).status.success());
    assert_eq!(run(&data, &["key", "revoke", "nobody"]).status.code(), Some(1));
    let shown = run(&data, &["config", "show", "--json"]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("context.budget"));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_asks_a_daemon_and_looks_here() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("recapd.toml"), "[server]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let alone = run(&data, &["doctor", "--json"]);
    assert_eq!(alone.status.code(), Some(0), "{alone:?}");
    assert!(String::from_utf8_lossy(&alone.stdout).contains("went in and came out"));
    assert!(!data.join("recapd.db").exists(), "doctor made a database");
    let nowhere = folder.path().join("nowhere");
    assert!(run(&nowhere, &["doctor", "--json"]).status.code().is_some() && !nowhere.exists());
    let daemon = Daemon::start(&data);
    let url = daemon.url.clone();
    let beside = run(&data, &["doctor"]);
    assert_eq!(beside.status.code(), Some(0), "{beside:?}");
    assert!(String::from_utf8_lossy(&beside.stdout).contains("a daemon uses the data folder"));
    assert_eq!(run(&data, &["doctor", "--url", &url]).status.code(), Some(0));
    assert!(daemon.get("/v1/audit").await.ok()["audit"].as_array().unwrap().is_empty());
    drop(daemon);
    assert_eq!(run(&data, &["doctor", "--url", &url]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_looks_after_models() {
    let listing = Step::status(200, json!({ "object": "list", "data": [{ "id": "m" }, { "id": "n" }] }).to_string());
    let script = Script::start([listing, Step::error(401, "a wrong key")]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[llm]\nbase_url = \"{}\"\nmodel = \"m\"\napi_key = \"sk-none\"\n",
        script.base_url
    );
    let look = |settings: &str| {
        std::fs::write(folder.path().join("recapd.toml"), settings).unwrap();
        let ended = run(folder.path(), &["doctor"]);
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
    };
    let (code, said) = look(&settings);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("ok  endpoint: it answers and has `m`"), "{said}");
    let asked = script.requests();
    assert_eq!(
        (asked[0].path.as_str(), &asked[0].headers["authorization"]),
        ("/v1/models", &"Bearer sk-none".parse().unwrap())
    );
    settings.push_str("[models]\nreranker = \"absent\"\n");
    let (code, said) = look(&settings);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("FAILED  endpoint: llm.base_url: it answered 401: "), "{said}");
    assert!(said.contains("FAILED  local model: models.reranker: there is neither absent"), "{said}");
    assert!(said.contains("warning  threads: CANDLE_NUM_THREADS is not set"), "{said}");
}

#[test]
fn a_wrong_guideline_stops_the_check_and_the_start_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let sets = folder.path().join("sets");
    std::fs::create_dir_all(sets.join("coding")).unwrap();
    std::fs::write(sets.join("coding/history.md"), "---\nkeep: [a]\nkep: [b]\n---\n").unwrap();
    let place = format!("guidelines.dir: {}/coding/history.md: line 3, column 1: unknown field `kep`", sets.display());
    for (arguments, code) in [(&["config", "check"][..], 2), (&["serve", "--listen", "127.0.0.1:0"], 1)] {
        let mut command = recapd(folder.path());
        let ended = command.env("RECAPD_GUIDELINES__DIR", &sets).args(arguments).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{said}");
        assert!(said.contains(&place), "{said}");
    }
}
