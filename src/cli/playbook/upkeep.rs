//! `recapd playbook dedupe` and `prune`

use clap::Args;
use serde_json::{Value, json};

use super::{BadUse, Desk, name, table};

#[derive(Debug, Args)]
pub(super) struct Dedupe {
    /// The playbook
    #[arg(value_parser = name)]
    name: String,
    /// Merge them; otherwise they are only shown
    #[arg(long)]
    apply: bool,
    /// Only those that are at least this much the same, 0 to 1
    #[arg(long, value_name = "SCORE", default_value_t = 0.0)]
    at_least: f32,
    /// Merge even where more than 30 in 100 bullets go at once
    #[arg(long)]
    allow_collapse: bool,
}

#[derive(Debug, Args)]
pub(super) struct Prune {
    /// The playbook
    #[arg(value_parser = name)]
    name: String,
    /// Remove them; otherwise they are only shown
    #[arg(long)]
    apply: bool,
    /// Remove them even where more than 30 in 100 bullets go at once
    #[arg(long)]
    allow_collapse: bool,
}

impl Desk {
    pub(super) async fn dedupe(&self, dedupe: &Dedupe) -> anyhow::Result<()> {
        if !(0.0..=1.0).contains(&dedupe.at_least) {
            return Err(BadUse("--at-least: must be from 0 to 1".to_owned()).into());
        }
        let before = self.get(&[&dedupe.name], &[]).await?;
        let Dedupe { name, apply, at_least, allow_collapse } = dedupe;
        let body = json!({ "apply": apply, "at_least": at_least, "allow_collapse": allow_collapse });
        let answer = self.post(&[name, "dedupe"], &[], &body).await?;
        self.tell(&answer, |answer| waits(answer).unwrap_or_else(|| table::duplicates(answer, &before)))
    }

    pub(super) async fn prune(&self, prune: &Prune) -> anyhow::Result<()> {
        let before = self.get(&[&prune.name], &[]).await?;
        let body = json!({ "apply": prune.apply, "allow_collapse": prune.allow_collapse });
        let answer = self.post(&[&prune.name, "prune"], &[], &body).await?;
        self.tell(&answer, |answer| waits(answer).unwrap_or_else(|| table::prunable(answer, &before)))
    }
}

/// Says that a change waits for review, if it does.
fn waits(answer: &Value) -> Option<String> {
    answer.get("pending").map(|_| table::change(answer))
}
