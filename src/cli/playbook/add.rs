//! `recapd playbook add` and `revert`

use std::io::Read as _;

use clap::Args;
use serde_json::{Value, json};

use super::{BadUse, Desk, name};

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The playbook; it is made where it is not there
    #[arg(value_parser = name)]
    name: String,
    /// The lesson; `-` reads it from standard input
    text: String,
    /// The heading; a new one opens a section
    #[arg(long, value_name = "HEADING")]
    section: String,
    /// A run that it was learned from, and the turn in it; may be repeated
    #[arg(long, value_name = "TRAJECTORY[:TURN]")]
    evidence: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Revert {
    /// The playbook
    #[arg(value_parser = name)]
    name: String,
    /// The version whose bullets, sections and counters come back
    #[arg(value_name = "VERSION")]
    to: u64,
}

impl Desk {
    pub(super) async fn add(&self, add: &Add) -> anyhow::Result<()> {
        let mut text = add.text.clone();
        if text == "-" {
            text.clear();
            std::io::stdin().lock().read_to_string(&mut text)?;
        }
        if text.trim().is_empty() {
            return Err(BadUse("the text is empty".to_owned()).into());
        }
        let evidence: Vec<Value> = add.evidence.iter().map(|place| run(place)).collect();
        let operation = json!({ "op": "add", "section": add.section, "content": text, "evidence": evidence });
        self.change(&add.name, operation, None).await
    }

    pub(super) async fn revert(&self, revert: &Revert) -> anyhow::Result<()> {
        let query = [("to", revert.to.to_string())];
        let answer = self.post(&[&revert.name, "revert"], &query, &json!({})).await?;
        self.tell(&answer, |answer| format!("version {}: as it stood at version {}", answer["version"], revert.to))
    }
}

/// A run with the turn that follows its last colon, where one does.
fn run(place: &str) -> Value {
    let turn = place.rsplit_once(':').and_then(|(run, turn)| Some((run, turn.parse::<u32>().ok()?)));
    match turn {
        Some((run, turn)) => json!({ "trajectory": run, "turn": turn }),
        None => json!({ "trajectory": place }),
    }
}
