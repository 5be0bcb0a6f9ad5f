//! `recapd guideline` against a daemon.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::app::TestApp;
use crate::run::tool_run;

const NAME: &str = "default/history";

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
        command.arg("--data").arg(self.folder.path()).env_clear();
        command.args(["guideline", "--url", &self.app.url]).args(arguments);
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

    fn json(&self, arguments: &[&str]) -> Value {
        let said = self.said(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said).unwrap()
    }

    /// Runs `edit` with an editor that does this to the file `$1`.
    fn edit(&self, script: &str) -> Output {
        let path = self.folder.path().join("editor.sh");
        std::fs::write(&path, script).unwrap();
        let editor = format!("/bin/sh {}", path.display());
        self.command(&["edit", NAME, "--note", "tried"]).env("EDITOR", editor).output().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_guideline_is_saved_compared_tried_activated_and_rolled_back() {
    let desk = Desk::start().await;
    let before = desk.json(&["show", NAME])["hash"].clone();
    let edited = desk.edit("printf 'Keep the jobs, too.\\n' >> \"$1\"");
    assert!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));
    let hash = String::from_utf8(edited.stdout).unwrap().trim().to_owned();
    let short = &hash[..11];
    assert!(String::from_utf8_lossy(&edited.stderr).contains(&format!("recapd guideline activate {NAME} {short}")));
    assert!(desk.said(&["show", NAME, "--hash", short]).ends_with("\nKeep the jobs, too.\n"));
    assert!(desk.said(&["list"]).lines().any(|line| line.trim_start().starts_with(NAME) && line.contains(short)));
    assert!(desk.said(&["diff", NAME]).contains("\n+Keep the jobs, too."));

    let path = desk.app.trajectory(&json!({ "id": "t" })).await;
    desk.app.append(&path, &tool_run(20, 400)).await;
    let tried = desk.said(&["try", NAME, "t", "--budget", "3000", "--turns", "1-18"]);
    assert!(tried.contains("compressor rules, budget 3000 tokens") && tried.contains("values kept"), "{tried}");
    assert!(tried.contains(&format!("{NAME}@{short}")), "{tried}");
    let observation = desk.json(&["try", "default/observation", "t", "--observation", "3"]);
    assert_eq!(observation["observation"], 3);

    let stale = desk.run(&["activate", NAME, short, "--expected", short]);
    assert_eq!(stale.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stale.stderr).contains("412"), "{}", String::from_utf8_lossy(&stale.stderr));
    assert_eq!(desk.json(&["activate", NAME, short, "--canary", "0.25"])["canary"]["share"], 0.25);
    assert!(desk.said(&["activate", NAME, short]).starts_with(&format!("{NAME}: champion {short}")));
    assert_eq!(desk.json(&["rollback", NAME])["champion"], before);
    let history = desk.said(&["history", NAME]);
    for word in ["rollback", "canary", "activate", "shipped", "tried"] {
        assert!(history.contains(word), "{word}: {history}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_guideline_is_not_saved() {
    let desk = Desk::start().await;
    let faulty = desk.edit("printf -- '---\\nkep: [a]\\n---\\n' > \"$1\"");
    let said = String::from_utf8(faulty.stderr).unwrap();
    assert_eq!(faulty.status.code(), Some(1));
    assert!(said.contains("line 2, column 1: unknown field `kep`"), "{said}");
    // The text is kept where the message says.
    let kept = said.split("the text is in ").nth(1).unwrap().split(": ").next().unwrap();
    assert!(std::fs::read_to_string(kept).unwrap().contains("kep: [a]"));
    std::fs::remove_file(Path::new(kept)).unwrap();

    let same = desk.edit("true");
    assert!(same.status.success() && same.stdout.is_empty());
    let broken = desk.edit("exit 3");
    assert_eq!(broken.status.code(), Some(1));
    assert_eq!(desk.json(&["list"])["guidelines"][2]["drafts"], json!([]));

    let file = desk.folder.path().join("draft.md");
    std::fs::write(&file, "Use AKIAABCDEFGHIJKLMNOP.").unwrap();
    let refused = desk.run(&["edit", NAME, "--file", file.to_str().unwrap()]);
    assert!(String::from_utf8(refused.stderr).unwrap().contains("an AWS access key"));
    for bad in [&["show", "default"][..], &["show", "default/histroy"], &["show", NAME, "--hash", "b3:00"]] {
        assert_eq!(desk.run(bad).status.code(), Some(2), "{bad:?}");
    }
}
