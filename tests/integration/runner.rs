//! A user's own agent, run with full and with compressed contexts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use recapd::tune::Budget;
use recapd::tune::runner::{Arm, End, RunnerError, RunnerResult, Spec, Task, Template, known, pairs, run_tasks};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::TestApp;

const BOTH: [Arm; 2] = [Arm::Full, Arm::Compressed];

fn spec(url: &str, command: &str) -> Spec {
    Spec {
        command: Template::parse(command).unwrap(),
        url: url.to_owned(),
        key: None,
        arms: BOTH.to_vec(),
        parallel: 2,
        timeout: Duration::from_mins(2),
        budget: Budget::Tokens(900),
        guideline_set: None,
        pin: None,
        version: "v1".to_owned(),
        series: "s1".to_owned(),
        namespace: None,
        model: None,
    }
}

fn tasks(count: usize) -> Vec<Task> {
    (0..count).map(|n| Task { id: format!("t{n}"), text: format!("Open door {n}; $HOME 'x'") }).collect()
}

async fn all(spec: &Spec, tasks: &[Task], done: &[RunnerResult]) -> Vec<RunnerResult> {
    let mut results = Vec::new();
    let keep = |result: RunnerResult| {
        results.push(result);
        Ok(())
    };
    assert!(run_tasks(spec, tasks, done, &CancellationToken::new(), keep).await.unwrap());
    results
}

/// A Python for agents, if there is one.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("RECAPD_TEST_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let is_there = Command::new(&named).arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!("skipped: there is no Python; `cargo xtask test` brings one");
    }
    is_there.then_some(named)
}

/// The command of an agent in Python: it looks at doors, then says whether it can still see the code of the first one.
pub fn agent(folder: &Path) -> Option<String> {
    let script = folder.join("agent.py");
    fs::write(&script, include_str!("agent.py")).unwrap();
    Some(format!("'{}' '{}' {{task}}", python()?.display(), script.display()))
}

fn guidelines(folder: &Path) -> String {
    for (set, rule) in [("good", "keep: ['code of the door']"), ("bad", "drop: ['code of the door']")] {
        fs::create_dir_all(folder.join(set)).unwrap();
        fs::write(folder.join(set).join("history.md"), format!("---\n{rule}\n---\nNotes.\n")).unwrap();
    }
    folder.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bad_guideline_loses_becomes_a_pair() {
    let folder = tempfile::tempdir().unwrap();
    let Some(command) = agent(folder.path()) else { return };
    let sets = guidelines(&folder.path().join("sets"));
    let app = TestApp::start_with(&[("guidelines.dir", &sets)]).await;
    let bad = Spec { guideline_set: Some("bad".to_owned()), version: "bad".to_owned(), ..spec(&app.url, &command) };
    let tasks = tasks(2);
    let results = all(&bad, &tasks, &[]).await;
    assert_eq!(results.len(), 4);
    for result in &results {
        assert!(result.is_evidence(), "{result:#?}");
        assert_eq!(
            (result.success, result.score),
            (result.arm == Arm::Full, Some(f64::from(u8::from(result.success))))
        );
        assert_eq!(result.budget, (result.arm == Arm::Compressed).then_some(900));
        let record = app.get(&format!("/v1/trajectories/{}", result.trajectory)).await.ok();
        let status = if result.success { "success" } else { "failure" };
        assert_eq!(
            (&record["outcome"]["status"], &record["metadata"]["task_id"]),
            (&json!(status), &json!(result.task))
        );
        assert_eq!(record["metadata"]["arm"], result.arm.name());
        let peak = result.peak_tokens.unwrap();
        assert_eq!(peak.0 < peak.1, result.arm == Arm::Compressed, "{peak:?}");
    }
    let mut kept = known(&bad, &tasks).await.unwrap();
    kept.sort_by_key(|result| (result.trajectory.clone(), result.arm));
    let mut told = results.clone();
    told.sort_by_key(|result| (result.trajectory.clone(), result.arm));
    assert_eq!(kept, told, "results are kept with their trajectories");
    let other = Spec { series: "s2".to_owned(), ..bad.clone() };
    assert_eq!(known(&other, &tasks).await.unwrap(), []);
    app.delete(&format!("/v1/trajectories/{}", results[0].trajectory)).await.ok();
    assert_eq!(known(&bad, &tasks).await.unwrap().len(), 3, "a result is deleted with its trajectory");
    let found = pairs(&results, "bad");
    assert_eq!(found.len(), 2);
    let (served, full) = found[0].1.dependency.unwrap();
    assert!(!found[0].1.success && served < full, "{:?}", found[0].1);
    // a better guideline: the full arm is not run again, and there is no pair
    let good = Spec {
        guideline_set: Some("good".to_owned()),
        version: "good".to_owned(),
        budget: Budget::Share { fraction: 0.3, floor: 100 },
        ..spec(&app.url, &command)
    };
    let more = all(&good, &tasks, &results).await;
    assert!(more.len() == 2 && more.iter().all(|result| result.arm == Arm::Compressed && result.success), "{more:#?}");
    assert!(more.iter().all(|result| result.budget > Some(900)), "{more:#?}");
    let all = [results, more].concat();
    let found = pairs(&all, "good");
    assert!(found.len() == 2 && found.iter().all(|(_, compressed)| compressed.success), "{found:#?}");
    let reworded: Vec<Task> = tasks.iter().map(|task| Task { text: "Open it.".to_owned(), ..task.clone() }).collect();
    assert_eq!(known(&good, &reworded).await.unwrap(), [], "another task of the same name is not known");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_what_it_needs_and_no_more() {
    let app = TestApp::start().await;
    let script = r#"sh -c 'env | sed -n "s/^\(RECAPD_[A-Z_]*\)=.*/\1/p" | sort | tr "\n" " "; echo; echo "$RECAPD_TASK|$0|$RECAPD_URL"' {task}"#;
    let told = all(&spec(&app.url, script), &tasks(1), &[]).await;
    let names = "RECAPD_ARM RECAPD_BUDGET RECAPD_TASK RECAPD_TASK_ID RECAPD_TRAJECTORY RECAPD_URL ";
    let task = &tasks(1)[0].text;
    for result in told {
        assert_eq!(result.stdout, format!("{names}\n{task}|{task}|{}\n", app.url));
        assert!(result.success && !result.is_evidence(), "an agent that uses no context says nothing of contexts");
    }
    let keyed = Spec { key: Some("rk-very-secret".to_owned()), ..spec(&app.url, "sh -c 'echo $RECAPD_KEY; false'") };
    let Err(RunnerError::Refused { status: 401, .. }) =
        run_tasks(&keyed, &tasks(1), &[], &CancellationToken::new(), |_| Ok(())).await
    else {
        panic!("a key that there is not is refused");
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_is_not_run_again_after_a_crash() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let log = folder.path().join("log");
    let command = format!("sh -c 'echo \"$RECAPD_TASK_ID $RECAPD_ARM\" >> \"{}\"'", log.display());
    let spec = Spec { parallel: 1, ..spec(&app.url, &command) };
    let tasks = tasks(3);
    let mut kept = Vec::new();
    let crash = |result: RunnerResult| {
        if kept.len() == 2 {
            return Err("the disk is full".into());
        }
        kept.push(result);
        Ok(())
    };
    let failed = run_tasks(&spec, &tasks, &[], &CancellationToken::new(), crash).await.unwrap_err();
    assert_eq!(failed.to_string(), "a result cannot be kept: the disk is full");
    let rest = all(&spec, &tasks, &kept).await;
    let mut runs: Vec<_> = kept.iter().chain(&rest).map(|result| (result.task.as_str(), result.arm)).collect();
    runs.sort_unstable();
    let expected: Vec<_> = tasks.iter().flat_map(|task| BOTH.map(|arm| (task.id.as_str(), arm))).collect();
    assert_eq!(runs, expected);
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().count(), 7, "six runs, and the one that was not kept: {log}");
    assert_eq!(
        log.lines().filter(|line| kept.iter().any(|run| line.starts_with(&run.task)) && line.ends_with("full")).count(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_agents_run_at_once_than_may() {
    let (app, folder) = (TestApp::start().await, tempfile::tempdir().unwrap());
    let (desks, log) = (folder.path().join("desks"), folder.path().join("log"));
    fs::create_dir(&desks).unwrap();
    let script = r#"mkdir "$0/$RECAPD_TRAJECTORY"; ls "$0" | wc -l >> "$1"; sleep 0.3; rmdir "$0/$RECAPD_TRAJECTORY""#;
    let command = format!("sh -c '{script}' '{}' '{}'", desks.display(), log.display());
    let spec = Spec { arms: vec![Arm::Full], parallel: 3, ..spec(&app.url, &command) };
    assert_eq!(all(&spec, &tasks(7), &[]).await.len(), 7);
    let seen: Vec<usize> = fs::read_to_string(log).unwrap().lines().map(|line| line.trim().parse().unwrap()).collect();
    assert!(seen.len() == 7 && seen.iter().all(|count| *count <= 3) && seen.contains(&3), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_has_failed_and_what_cannot_start_is_said() {
    let app = TestApp::start().await;
    let slow = Spec {
        timeout: Duration::from_millis(300),
        ..spec(&app.url, "sh -c 'echo \"{\\\"success\\\": true}\"; sleep 60'")
    };
    let results = all(&slow, &tasks(1), &[]).await;
    assert!(results.iter().all(|result| result.end == End::TimedOut && !result.success), "{results:?}");
    let gone = spec(&app.url, "/no/such/agent {task}");
    let failed = run_tasks(&gone, &tasks(1), &[], &CancellationToken::new(), |_| Ok(())).await.unwrap_err();
    assert!(failed.to_string().starts_with("/no/such/agent cannot be started: "), "{failed}");
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    assert!(!run_tasks(&slow, &tasks(1), &[], &cancelled, |_| Ok(())).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_stands_nowhere_and_only_asked_results_are_known() {
    let mut app = TestApp::start().await;
    let made = app.post("/v1/keys", &json!({ "name": "admin", "scope": "admin" })).await.ok();
    app.key = made["key"].as_str().map(str::to_owned);
    let command = r#"sh -c 'echo "{\"success\": true, \"feedback\": \"used $RECAPD_KEY\"}"'"#;
    let spec = Spec { key: app.key.clone(), ..spec(&app.url, command) };
    let tasks = tasks(2);
    let results = all(&spec, &tasks, &[]).await;
    let record = app.get(&format!("/v1/trajectories/{}", results[0].trajectory)).await.ok();
    assert_eq!(record["outcome"]["feedback"], "used [key]", "{record}");
    assert_eq!(known(&spec, &tasks).await.unwrap().len(), 4);
    assert_eq!(known(&spec, &tasks[..1]).await.unwrap().len(), 2, "the other task is not asked for");
    let other = Spec { version: "v2".to_owned(), ..spec };
    let full = known(&other, &tasks).await.unwrap();
    assert!(full.len() == 2 && full.iter().all(|result| result.arm == Arm::Full), "{full:#?}");
}
