//! The README's first command, on this repository and on a bare machine.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn quickstart(explored: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
    command.env_clear().current_dir(explored).args(["quickstart", "--listen", "127.0.0.1:0"]).args(arguments);
    command
}

fn objects(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    std::str::from_utf8(&output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_tour_stays_in_budget_and_gives_originals_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = quickstart(repository(), &["--exit", "--json", "--data", data]).env("PATH", path).output().unwrap();
    let told = objects(&output);
    let (last, turns) = (&told[told.len() - 1], &told[1..told.len() - 1]);
    assert_eq!(turns.len(), 33);
    assert!(turns.iter().all(|turn| turn["served"].as_u64().unwrap() <= 4000));
    let totals = &last["totals"];
    assert!(totals["full_peak"].as_u64() > Some(20_000) && totals["epochs"].as_u64() > Some(1), "{totals}");
    assert!(totals["served_billed"].as_f64() < totals["full_billed"].as_f64(), "{totals}");

    let mut export = Command::new(env!("CARGO_BIN_EXE_recapd"));
    let exported = export.env_clear().args(["export", "--data", data]).output().unwrap();
    let stored: Value = serde_json::from_slice(&exported.stdout).unwrap();
    let (text, turn) = (&last["expanded"]["text"], last["expanded"]["turn"].as_u64().unwrap());
    let steps = stored["messages"].as_array().unwrap().split(|message| message["role"] == "assistant");
    let results = steps.skip(1).nth(usize::try_from(turn).unwrap() - 1).unwrap();
    assert!(results.iter().any(|message| message["content"] == *text), "{text} is no output of step {turn}");
}

#[test]
fn people_can_read_it_on_a_machine_without_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (explored, data) = (folder.path().join("project"), folder.path().join("data"));
    std::fs::create_dir_all(explored.join("lib/none")).unwrap();
    for n in 0..12 {
        let line = |k: usize| format!("def check_limit_{n}_{k}(count):\n    return count <= limit * {k}\n\n");
        std::fs::write(explored.join(format!("lib/part{n}.py")), (0..60).map(line).collect::<String>()).unwrap();
    }
    let empty = explored.join("lib/none");
    let mut command = quickstart(&explored, &["--exit", "--data", data.to_str().unwrap(), "--budget", "3000"]);
    let output = command.env("PATH", empty).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.lines().count() < 160, "{} lines", text.lines().count());
    assert!(!text.contains('\u{1b}'), "colours without a terminal");
    for part in ["*grep -rHnIw limit lib", "new 1", "In total", "GET /v1/originals/b3:", "curl 'http://127.0.0.1:"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn an_empty_folder_is_a_bad_use_and_a_temporary_database_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let output = quickstart(folder.path(), &["--exit"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    std::fs::write(folder.path().join("a.md"), "A limit of 3.\n").unwrap();
    let told = objects(&quickstart(folder.path(), &["--exit", "--json"]).output().unwrap());
    assert_eq!(told[told.len() - 1]["expanded"], Value::Null);
    assert!(!Path::new(told[0]["data"].as_str().unwrap()).exists());
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_daemon_after_the_tour() {
    use std::io::{BufRead as _, BufReader};

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.md"), "A limit of 3.\n").unwrap();
    let mut child = quickstart(folder.path(), &["--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let told: Vec<String> = lines.take_while(|line| !line.contains("trajectory_id")).collect();
    let first: Value = serde_json::from_str(&told[0]).unwrap();
    assert!(Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!Path::new(first["data"].as_str().unwrap()).exists());
}
