//! `recapd replay` on trajectories that were made up for it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/trajectories.jsonl");

fn replay(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.env_clear().arg("--data").arg(folder).args(["replay", "--min-peak", "1000"]);
    command.args(arguments).output().unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_budget_of_a_file_is_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        replay(folder.path(), &[FIXTURE, "--fraction", "0.46", "0.25", "--budget", "2000", "--floor", "300", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let rows = rows(&output);
    assert_eq!(rows.len(), 3);
    let keys: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    insta::assert_json_snapshot!("replay_keys", keys);
    for row in &rows {
        assert_eq!((&row["data"], &row["trajectories"]), (&json!("trajectories.jsonl"), &json!(2)), "{row}");
        assert_eq!((&row["contexts"], &row["over"], &row["invalid"]), (&json!(12), &json!(0), &json!(0)), "{row}");
        assert_eq!((&row["skipped_small"], &row["skipped_unreadable"]), (&json!(1), &json!(0)), "{row}");
        assert!(row["served_peak_tokens"].as_f64() < row["full_peak_tokens"].as_f64(), "{row}");
    }
    assert_eq!((&rows[0]["fraction"], &rows[2]["budget"]), (&json!(0.46), &json!(2000)));
    assert!(rows[1]["served_peak_tokens"].as_f64() < rows[0]["served_peak_tokens"].as_f64());
}

#[test]
fn people_get_a_table_and_the_folder_stays_empty() {
    let folder = tempfile::tempdir().unwrap();
    let output = replay(folder.path(), &[FIXTURE, "--limit", "1"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("trajectories.jsonl: 1 trajectories replayed"), "{text}");
    for measure in ["share 0.46", "share 0.25", "full peak", "served peak", "billed", "grounding", "epochs", "ms p99"] {
        assert!(text.contains(measure), "{measure}: {text}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn lost_values_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("failures.jsonl");
    let arguments = [FIXTURE, "--fraction", "0.05", "--floor", "1", "--json", "--failures", out.to_str().unwrap()];
    let output = replay(folder.path(), &arguments);
    assert!(output.status.success(), "{output:?}");
    let row = &rows(&output)[0];
    assert!(row["refused"].as_u64() > Some(0) && row["over"] == 0, "{row}");
    let text = std::fs::read_to_string(out).unwrap();
    let lost: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lost.is_empty());
    for line in lost {
        assert!(line["value"].is_string() && line["under"].is_array() && line["step"].is_u64(), "{line}");
        assert_eq!(line["fraction"], 0.05);
    }
}

#[test]
fn malformed_lines_are_named_and_the_others_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("runs.jsonl");
    let fixture = std::fs::read_to_string(FIXTURE).unwrap();
    let good = fixture.lines().next().unwrap();
    std::fs::write(&file, format!("{{\"id\": 1\n{good}\n{{\"messages\": [{{\"role\": \"wizard\"}}]}}\n")).unwrap();
    let output = replay(folder.path(), &[file.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(told.contains("runs.jsonl:1:") && told.contains("runs.jsonl:3:"), "{told}");
    let row = &rows(&output)[0];
    assert_eq!((&row["trajectories"], &row["skipped_unreadable"]), (&json!(1), &json!(2)));
}

#[test]
fn bad_budgets_are_a_bad_use() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(replay(folder.path(), &[FIXTURE, "--fraction", "1.5"]).status.code(), Some(2));
    assert_eq!(replay(folder.path(), &[FIXTURE, "--budget", "0"]).status.code(), Some(2));
    assert_eq!(replay(folder.path(), &["nowhere.jsonl"]).status.code(), Some(1));
}
