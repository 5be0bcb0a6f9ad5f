//! `recapd distill list`, `show`, `activate` and `rollback`: clients of a running daemon.

use std::fmt::Write as _;

use anyhow::Context as _;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::{BadUse, Setting, output};
use crate::cli::client::{Daemon, Remote};

/// List the trained heads.
#[derive(Debug, Args)]
pub struct List;

/// Show a head.
#[derive(Debug, Args)]
pub struct Show {
    /// Its hash, or the hash's beginning; the champion where it is left out
    hash: Option<String>,
}

/// Let a head score lines.
#[derive(Debug, Args)]
pub struct Activate {
    /// Its hash, or the hash's beginning
    hash: String,
    /// The champion that must still score, or `rules`; the one that the head was measured against where it is left out
    #[arg(long, value_name = "HASH")]
    expected: Option<String>,
}

/// Go back.
#[derive(Debug, Args)]
pub struct Rollback;

/// What is asked of a daemon.
#[derive(Debug, Args)]
pub struct Asks<A: Args> {
    #[command(flatten)]
    pub what: A,
    /// The daemon; the one at the configured address where it is left out
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The key for it
    #[arg(long, env = "RECAPD_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
}

impl<A: Args> Asks<A> {
    /// Returns where heads are looked at and changed.
    ///
    /// # Errors
    ///
    /// Fails where the configuration is wrong.
    pub fn desk(&self, setting: &Setting) -> anyhow::Result<Desk> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => format!("http://{}", setting.load(&[])?.config.server.listen),
        };
        let daemon = Remote { url: Some(url), key: self.key.clone() }.daemon()?;
        Ok(Desk { daemon: daemon.context("there is no daemon's address")?, json: setting.json })
    }
}

/// Where heads are looked at and changed.
pub struct Desk {
    daemon: Daemon,
    json: bool,
}

impl Desk {
    /// Lists the heads.
    ///
    /// # Errors
    ///
    /// Says what the daemon answered where that is no success.
    pub async fn list(&self) -> anyhow::Result<()> {
        self.tell(&self.all().await?, table)
    }

    /// Shows a head.
    ///
    /// # Errors
    ///
    /// As [`Desk::list`], and where there is no such head.
    pub async fn show(&self, show: &Show) -> anyhow::Result<()> {
        let hash = self.hash(show.hash.as_deref()).await?;
        self.tell(&self.get(&format!("/v1/heads/{hash}")).await?, described)
    }

    /// Makes a head the champion.
    ///
    /// # Errors
    ///
    /// As [`Desk::show`], and where the gate did not let it pass or the champion is another one.
    pub async fn activate(&self, activate: &Activate) -> anyhow::Result<()> {
        let hash = self.hash(Some(&activate.hash)).await?;
        let body = match activate.expected.as_deref() {
            None => json!({}),
            Some("rules") => json!({ "expected_champion": null }),
            Some(expected) => json!({ "expected_champion": self.hash(Some(expected)).await? }),
        };
        self.tell(&self.post(&format!("/v1/heads/{hash}/activate"), &body).await?, state)
    }

    /// Brings the champion before this one back.
    ///
    /// # Errors
    ///
    /// As [`Desk::list`], and where no head was ever activated.
    pub async fn roll_back(&self) -> anyhow::Result<()> {
        self.tell(&self.post("/v1/heads/rollback", &json!({})).await?, state)
    }

    async fn all(&self) -> anyhow::Result<Value> {
        self.get("/v1/heads").await
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.daemon.get(path).await?)?)
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.daemon.post(path, body.to_string()).await?)?)
    }

    fn tell(&self, answer: &Value, show: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        if self.json { output::say_json(answer) } else { Ok(output::say(&show(answer))?) }
    }

    /// Returns the whole hash of a head that is named by its beginning; the champion's where none is named.
    async fn hash(&self, beginning: Option<&str>) -> anyhow::Result<String> {
        let all = self.all().await?;
        let Some(beginning) = beginning else {
            let champion = all["champion"].as_str().map(str::to_owned);
            return Ok(champion.ok_or_else(|| BadUse("no head scores: name one".to_owned()))?);
        };
        let beginning = beginning.strip_prefix("b3:").unwrap_or(beginning);
        let hashes = all["heads"].as_array().into_iter().flatten().filter_map(|head| head["hash"].as_str());
        let found: Vec<&str> =
            hashes.filter(|hash| hash.strip_prefix("b3:").unwrap_or(hash).starts_with(beginning)).collect();
        match found.as_slice() {
            [one] => Ok((*one).to_owned()),
            [] => Err(BadUse(format!("there is no head `{beginning}`")).into()),
            more => Err(BadUse(format!("`{beginning}` is the beginning of {} heads", more.len())).into()),
        }
    }
}

fn table(all: &Value) -> String {
    let heads = all["heads"].as_array().map(Vec::as_slice).unwrap_or_default();
    if heads.is_empty() {
        return "no heads".to_owned();
    }
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["hash", "gate", "bytes", "made", "by", ""]);
    for head in heads {
        let gate = match (head["passed"].as_bool(), head["verdict"].is_null()) {
            (Some(true), _) => "passed",
            (_, true) => "not judged",
            _ => "refused",
        };
        let scores = if head["hash"] == all["champion"] { "scores" } else { "" };
        let text = |name: &str| head[name].as_str().unwrap_or_default().to_owned();
        let hash = text("hash").chars().take(15).collect();
        table.add_row([
            hash,
            gate.to_owned(),
            head["bytes"].to_string(),
            text("created_at"),
            text("actor"),
            scores.to_owned(),
        ]);
    }
    table.trim_fmt()
}

fn described(head: &Value) -> String {
    let mut out = head["hash"].as_str().unwrap_or_default().to_owned();
    for part in ["manifest", "verdict"] {
        if let Some(fields) = head[part].as_object() {
            let _infallible = write!(out, "\n\n{part}");
            for (name, value) in fields {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let _infallible = write!(out, "\n  {name}: {value}");
            }
        }
    }
    if let Some(measured) = head["measured"].as_str() {
        let _infallible = write!(out, "\n\nmeasured against {measured}");
    }
    if head["verdict"].is_null() {
        out.push_str("\n\nnot judged by the gate");
    }
    out
}

fn state(state: &Value) -> String {
    state["champion"].as_str().map_or_else(|| "no head scores".to_owned(), |champion| format!("{champion} scores"))
}
