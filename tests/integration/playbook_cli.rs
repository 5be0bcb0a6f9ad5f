//! `recapd playbook` against a daemon.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::app::TestApp;

/// Columns of a table.
const WIDTH: usize = 100;

const ACE: &str = "## STRATEGIES AND HARD RULES\n\
    [shr-00001] helpful=3 harmful=1 :: Look at the API's documents before you call it, and page through all of its answers until none comes.\n\
    [shr-00002] helpful=0 harmful=4 :: Guess\n\n## USEFUL CODE SNIPPETS AND TEMPLATES\n\
    [code-00007] helpful=0 harmful=0 :: Loop:\n  ```\n  ## until the last\n\n    next()\n  ```\n";

struct Desk {
    app: TestApp,
    folder: tempfile::TempDir,
}

impl Desk {
    async fn start() -> Self {
        Self { app: TestApp::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recapd"));
        command.arg("--data").arg(self.folder.path()).env_clear().stdin(Stdio::null());
        command.arg("playbook").args(arguments).args(["--url", &self.app.url]);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn said(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    }

    fn table(&self, arguments: &[&str]) -> String {
        let said = self.said(arguments);
        assert!(said.lines().all(|line| line.chars().count() <= WIDTH), "{said}");
        said
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.said(&[arguments, &["--json"]].concat())).unwrap()
    }

    fn fails(&self, arguments: &[&str], code: i32) -> String {
        let ended = self.run(arguments);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
        said
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs `edit` with an editor that does this to the file `$1`.
    fn edit(&self, script: &str, arguments: &[&str]) -> Output {
        let editor = format!("/bin/sh {}", self.file("editor.sh", script));
        self.command(&[&["edit", "songs"], arguments].concat()).env("EDITOR", editor).output().unwrap()
    }

    fn import(&self) {
        self.said(&["import", "songs", &self.file("playbook.txt", ACE)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_in_is_looked_at_and_goes_out() {
    let desk = Desk::start().await;
    let file = desk.file("playbook.txt", ACE);
    let imported = desk.run(&["import", "songs", &file]);
    assert!(String::from_utf8_lossy(&imported.stderr).contains("read as ace"));
    let said = String::from_utf8(imported.stdout).unwrap();
    assert!(said.starts_with("version 1: 3 bullets imported, 0 were there"), "{said}");
    assert_eq!(desk.json(&["import", "songs", &file])["skipped"], json!(["shr-00001", "shr-00002", "code-00007"]));

    assert!(desk.table(&["show"]).lines().any(|line| line.trim_start().starts_with("songs")));
    let shown = desk.table(&["show", "songs"]);
    assert!(shown.starts_with("songs in namespace default, version 1: 3 bullets, "), "{shown}");
    let line = shown.lines().find(|line| line.contains("shr-00001")).unwrap();
    assert!(line.contains("+3 −1") && line.contains("import") && line.contains("Look at the API"), "{line}");
    let bullet = desk.said(&["show", "songs", "--bullet", "code-00007"]);
    assert!(bullet.ends_with("\n\nLoop:\n```\n## until the last\n\n  next()\n```\n"), "{bullet}");
    let served = desk.said(&["show", "songs", "--budget", "80", "--query", "documents of an API & more"]);
    assert!(served.contains("[shr-00001] Look at"), "{served}");

    assert_eq!(desk.said(&["export", "songs"]), ACE);
    let written = desk.folder.path().join("written.json");
    desk.said(&["export", "songs", "--format", "kayba", "-o", written.to_str().unwrap()]);
    desk.said(&["import", "copy", written.to_str().unwrap()]);
    assert_eq!(desk.said(&["export", "copy"]), ACE);
    let markdown = desk.said(&["export", "songs", "--format", "markdown"]);
    desk.said(&["import", "other", &desk.file("playbook.md", &markdown), "--namespace", "n"]);
    assert_eq!(desk.said(&["export", "other", "--namespace", "n"]), ACE);
    desk.fails(&["show", "other"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bullets_are_added_edited_compared_and_brought_back() {
    let desk = Desk::start().await;
    desk.import();
    let added = desk.json(&["add", "songs", "--section", "Notes", "--evidence", "run:1", "--evidence", "else", "One"]);
    let evidence = json!([{ "trajectory": "run", "turn": 1 }, { "trajectory": "else" }]);
    assert_eq!(added["applied"][0]["evidence"], evidence);
    let id = added["applied"][0]["id"].as_str().unwrap();
    let mut piped = desk.command(&["add", "songs", "--section", "notes", "-"]);
    let mut piped = piped.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(b"Two\nlines\n").unwrap();
    let said = String::from_utf8(piped.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.starts_with("version 3\nadd n-00009 under Notes: Two lines"), "{said}");
    assert!(desk.said(&["show", "songs", "--bullet", id]).contains("evidence: run, turn 1\n"));

    let edited = desk.edit("printf 'Uno\\n' > \"$1\"", &[id]);
    assert!(String::from_utf8_lossy(&edited.stdout).contains(&format!("update {id}: Uno")), "{edited:?}");
    let moved = desk.edit("printf 'Due\\n' > \"$1\"", &[id, "--section", "Others"]);
    assert!(moved.status.success(), "{moved:?}");
    let same = desk.edit("true", &[id]);
    assert!(same.status.success() && same.stdout.is_empty());
    let empty = desk.edit(": > \"$1\"", &[id]);
    assert_eq!(empty.status.code(), Some(1));
    let said = String::from_utf8(empty.stderr).unwrap();
    assert!(said.contains("--delete deletes the bullet"), "{said}");
    let kept = said.split("the text is in ").nth(1).unwrap().split(": ").next().unwrap();
    std::fs::remove_file(kept).unwrap();
    assert!(desk.edit(": > \"$1\"", &[id, "--delete"]).status.success());
    desk.fails(&["edit", "songs", id], 2);
    let over = desk.file("over.md", "Due volte");
    assert!(desk.said(&["edit", "songs", "n-00009", "--file", &over]).contains("update n-00009: Due volte"));

    let diff = desk.said(&["diff", "songs", "1"]);
    assert!(diff.contains("\n+[n-00009] Due volte") && !diff.contains("Uno"), "{diff}");
    assert!(desk.said(&["diff", "songs", "1", "2"]).contains("One"));
    assert!(desk.said(&["revert", "songs", "1"]).contains("as it stood at version 1"));
    assert_eq!(desk.said(&["export", "songs"]), ACE);
    assert_eq!(desk.said(&["diff", "songs", "1"]), "the words are the same\n");
    assert!(desk.said(&["export", "songs", "--at", "2"]).ends_with("## Notes\n[n-00008] helpful=0 harmful=0 :: One\n"));
    assert_eq!(desk.json(&["show", "songs", "--at", "2"])["bullets"].as_array().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_wait_and_are_decided_on() {
    let desk = Desk::start().await;
    desk.import();
    let own = json!({ "review": true });
    desk.app.send(reqwest::Method::PATCH, "/v1/playbooks/songs", Some(&own), &[]).await.ok();
    let waits =
        |words: &str| desk.json(&["add", "songs", "--section", "Notes", words])["pending"].as_str().unwrap().to_owned();
    let (first, second) = (waits("One"), waits(&"Two ".repeat(80)));
    assert!(desk.said(&["add", "songs", "--section", "Notes", "Three"]).starts_with("waits for review as "));
    let listed = desk.table(&["review", "songs"]);
    assert!(listed.contains(&first) && listed.contains("\n  add under Notes: Two Two"), "{listed}");
    assert!(desk.said(&["review", "songs", "accept", &first]).contains("under Notes: One"));
    assert_eq!(desk.said(&["review", "songs", "reject", &second]), format!("rejected {second}\n"));
    assert_eq!(desk.json(&["review", "songs"])["review"].as_array().unwrap().len(), 1);
    desk.fails(&["review", "songs", "accept", &second], 1);
    desk.fails(&["review", "songs", "accept"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_superfluous_is_shown_before_it_goes() {
    let desk = Desk::start().await;
    desk.import();
    desk.said(&["add", "songs", "--section", "Notes", "guess!"]);
    let dry = desk.table(&["dedupe", "songs", "--at-least", "0.9"]);
    assert!(
        dry.contains("  shr-00002  Guess\n") && dry.ends_with("1 pairs; nothing is changed without --apply\n"),
        "{dry}"
    );
    let pruned = desk.table(&["prune", "songs"]);
    assert!(pruned.contains("harmful-surplus") && pruned.contains("+0 −4"), "{pruned}");
    assert_eq!(desk.json(&["show", "songs"])["version"], 2);
    let review = |waits: Value| {
        let (app, own) = (&desk.app, json!({ "review": waits }));
        async move { app.send(reqwest::Method::PATCH, "/v1/playbooks/songs", Some(&own), &[]).await.ok() }
    };
    review(json!(true)).await;
    for upkeep in ["dedupe", "prune"] {
        assert!(desk.said(&[upkeep, "songs", "--apply"]).starts_with("waits for review as "));
    }
    review(Value::Null).await;
    assert_eq!(desk.json(&["dedupe", "songs", "--apply"])["merged"], 1);
    assert!(desk.said(&["prune", "songs", "--apply"]).ends_with("version 4: 1 bullets were removed\n"));
    assert_eq!(desk.said(&["prune", "songs"]), "no bullet should go\n");
    assert_eq!(desk.said(&["dedupe", "songs"]), "no two bullets say the same\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_use_and_refusals_are_told_apart() {
    let desk = Desk::start().await;
    desk.import();
    for bad in [
        &["show", "a/b"][..],
        &["show", ".."],
        &["show", "songs", "--bullet", "shr-00009"],
        &["show", "--budget", "9"],
        &["add", "songs", "--section", "Notes", " "],
        &["dedupe", "songs", "--at-least", "2"],
        &["import", "songs", "x", "--format", "yaml"],
    ] {
        desk.fails(bad, 2);
    }
    assert!(desk.fails(&["show", "none"], 1).contains("404"));
    let faulty = desk.file("faulty.txt", "## A\n[a-1] x\n[a-2]\n");
    assert!(desk.fails(&["import", "songs", &faulty], 1).contains("line 3: the bullet's text is empty"));
    desk.fails(&["import", "songs", "/none"], 1);
}
