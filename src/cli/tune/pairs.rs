//! `recapd tune pairs`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::{Value, json};

use super::desk::Desk;
use crate::cli::client::Remote;
use crate::cli::{BadUse, Done, Setting, output};
use crate::pipeline::keys::Caller;
use crate::tune::run::{NewPair, Tuning};

/// Pairs of one request.
const CHUNK: usize = 50;

/// Import or list pairs of runs with whole and with compressed contexts.
#[derive(Debug, Args)]
pub(super) struct Pairs {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    remote: Remote,
    /// The namespace; `default`, or the key's own, where it is left out
    #[arg(long, global = true)]
    namespace: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Store the pairs of a file: one JSON object a line, or a list, with `task`, `full` and `compressed`
    Import {
        /// The file
        file: PathBuf,
    },
    /// List the newest pairs
    List {
        /// At most this many
        #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=200))]
        limit: u64,
    },
}

impl Pairs {
    /// Imports or lists.
    ///
    /// # Errors
    ///
    /// Fails where a pair is wrong; those before it may be stored.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let desk = Desk::open(&self.remote, setting).await?;
        let answer = match &self.action {
            Action::Import { file } => self.import(&desk, file).await,
            Action::List { limit } => self.list(&desk, *limit).await,
        };
        desk.close().await?;
        let answer = answer?;
        if setting.json {
            output::say_json(&answer)?;
        } else {
            output::say(&said(&answer))?;
        }
        Ok(Done::Well)
    }

    async fn import(&self, desk: &Desk, file: &PathBuf) -> anyhow::Result<Value> {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let pairs = read(&text).map_err(|error| BadUse(format!("{}: {error}", file.display())))?;
        let (mut ids, mut known) = (Vec::new(), 0);
        for chunk in pairs.chunks(CHUNK) {
            match desk {
                Desk::Daemon(daemon) => {
                    let body = json!({ "namespace": self.namespace, "pairs": chunk });
                    let answer: Value = serde_json::from_str(&daemon.post("/v1/pairs", body.to_string()).await?)?;
                    known += answer["known"].as_u64().unwrap_or_default();
                    ids.extend(answer["ids"].as_array().into_iter().flatten().cloned());
                }
                Desk::Folder(local) => {
                    let tuning = Tuning::of(&local.pipeline);
                    let done = tuning.import_pairs(&Caller::local(), self.namespace.clone(), chunk.to_vec()).await?;
                    known += done.known as u64;
                    ids.extend(done.ids.into_iter().map(Value::from));
                }
            }
        }
        Ok(json!({ "imported": ids.len(), "known": known, "ids": ids }))
    }

    async fn list(&self, desk: &Desk, limit: u64) -> anyhow::Result<Value> {
        match desk {
            Desk::Daemon(daemon) => {
                let mut url = reqwest::Url::parse("http://daemon/v1/pairs")?;
                let namespace = self.namespace.iter().map(|namespace| ("namespace", namespace.clone()));
                url.query_pairs_mut().append_pair("limit", &limit.to_string()).extend_pairs(namespace);
                let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
                Ok(serde_json::from_str(&daemon.get(&path).await?)?)
            }
            Desk::Folder(local) => {
                let limit = usize::try_from(limit).unwrap_or(CHUNK);
                let tuning = Tuning::of(&local.pipeline);
                let page = tuning.list_pairs(&Caller::local(), self.namespace.clone(), (None, limit)).await?;
                let pairs = page.pairs.into_iter().map(|pair| {
                    let record: Value = serde_json::from_str(&pair.record)?;
                    Ok(json!({ "id": pair.id, "namespace": pair.namespace, "task": pair.task, "origin": pair.origin,
                        "full": side(&record["full"]), "compressed": side(&record["compressed"]),
                        "created_at": crate::world::rfc3339(pair.created_ms) }))
                });
                let pairs = pairs.collect::<Result<Vec<Value>, serde_json::Error>>()?;
                Ok(json!({ "pairs": pairs, "next_cursor": page.next_cursor }))
            }
        }
    }
}

/// One run of a pair without its messages.
fn side(side: &Value) -> Value {
    let messages = side["messages"].as_array().map_or(0, Vec::len);
    json!({ "trajectory": side["trajectory"], "messages": messages, "outcome": side["outcome"] })
}

fn read(text: &str) -> Result<Vec<NewPair>, String> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let pairs = lines.map(|(n, line)| serde_json::from_str(line).map_err(|error| format!("line {}: {error}", n + 1)));
    let pairs: Vec<NewPair> = pairs.collect::<Result<_, _>>()?;
    if pairs.is_empty() { Err("it holds no pair".to_owned()) } else { Ok(pairs) }
}

fn said(answer: &Value) -> String {
    let Some(pairs) = answer["pairs"].as_array() else {
        return format!("{} pairs imported, {} were there already", answer["imported"], answer["known"]);
    };
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["pair", "made", "namespace", "task", "whole", "compressed"]);
    for pair in pairs {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let task: String = text(&pair["task"]).chars().take(60).collect();
        let [full, compressed] = ["full", "compressed"].map(|side| text(&pair[side]["outcome"]["status"]));
        let [id, made, namespace] = ["id", "created_at", "namespace"].map(|name| text(&pair[name]));
        table.add_row([id, made, namespace, task, full, compressed]);
    }
    table.trim_fmt()
}
