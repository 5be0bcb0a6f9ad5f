//! `recapd playbook`: a client of a running daemon; `learn` alone works without one.

mod add;
mod edit;
mod exchange;
mod learn;
mod review;
mod show;
mod table;
mod upkeep;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Daemon, Remote};
use super::{BadUse, Done, Setting, output};

/// Playbooks or changes on one page of an answer.
const PAGE: &str = "200";

/// See, change and grow the lessons that agents are served with.
///
/// A bullet is named by its id, as in shr-00021.
#[derive(Debug, Args)]
pub struct Playbook {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all playbooks, or show one, one of its bullets, or what of it would be served
    Show(Asks<show::Show>),
    /// Add a bullet
    Add(Asks<add::Add>),
    /// Change a bullet's words in an editor
    Edit(Asks<edit::Edit>),
    /// List the changes that wait, or decide on one
    Review(Asks<review::Review>),
    /// Take a file: text of ACE, JSON of Kayba's engine, Markdown
    Import(Asks<exchange::Import>),
    /// Write a playbook as a file
    Export(Asks<exchange::Export>),
    /// Compare two versions
    Diff(Asks<show::Diff>),
    /// Go back to an earlier version; what was since stays in the log
    Revert(Asks<add::Revert>),
    /// Show bullets that say the same, or merge them
    Dedupe(Asks<upkeep::Dedupe>),
    /// Show bullets that did harm or no good, or remove them
    Prune(Asks<upkeep::Prune>),
    /// Have models learn from recorded runs, without a daemon
    Learn(learn::Learn),
}

/// What is asked of a daemon.
#[derive(Debug, Args)]
struct Asks<A: Args> {
    #[command(flatten)]
    what: A,
    /// The daemon; the one at the configured address where it is left out
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The key for it
    #[arg(long, env = "RECAPD_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
    /// The namespace; the key's own, or `default`, where it is left out
    #[arg(long)]
    namespace: Option<String>,
}

impl Playbook {
    /// Does it.
    ///
    /// # Errors
    ///
    /// What the action fails with.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        match self.action {
            Action::Learn(learn) => return Box::pin(learn.run(setting)).await,
            Action::Show(asks) => asks.desk(setting)?.show(&asks.what).await?,
            Action::Add(asks) => asks.desk(setting)?.add(&asks.what).await?,
            Action::Edit(asks) => asks.desk(setting)?.edit(&asks.what).await?,
            Action::Review(asks) => asks.desk(setting)?.review(&asks.what).await?,
            Action::Import(asks) => asks.desk(setting)?.import(&asks.what).await?,
            Action::Export(asks) => asks.desk(setting)?.export(&asks.what).await?,
            Action::Diff(asks) => asks.desk(setting)?.diff(&asks.what).await?,
            Action::Revert(asks) => asks.desk(setting)?.revert(&asks.what).await?,
            Action::Dedupe(asks) => asks.desk(setting)?.dedupe(&asks.what).await?,
            Action::Prune(asks) => asks.desk(setting)?.prune(&asks.what).await?,
        }
        Ok(Done::Well)
    }
}

impl<A: Args> Asks<A> {
    fn desk(&self, setting: &Setting) -> anyhow::Result<Desk> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => format!("http://{}", setting.load(&[])?.config.server.listen),
        };
        let daemon = Remote { url: Some(url), key: self.key.clone() }.daemon()?;
        let daemon = daemon.context("there is no daemon's address")?;
        Ok(Desk { daemon, json: setting.json, namespace: self.namespace.clone() })
    }
}

/// Reads a playbook's name.
fn name(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        && text.bytes().any(|byte| byte != b'.');
    if fits { Ok(text.to_owned()) } else { Err("must be 1 to 64 of A-Z a-z 0-9 . _ -".to_owned()) }
}

/// Where playbooks are looked at and changed.
struct Desk {
    daemon: Daemon,
    json: bool,
    namespace: Option<String>,
}

impl Desk {
    async fn get(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.daemon.get(&self.path(path, query)?).await?)?)
    }

    async fn post(&self, path: &[&str], query: &[(&str, String)], body: &Value) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.daemon.post(&self.path(path, query)?, body.to_string()).await?)?)
    }

    /// Returns all pages of a list in one answer, whose list is `member`.
    async fn pages(&self, path: &[&str], member: &str) -> anyhow::Result<Value> {
        let mut all = Vec::new();
        let mut query = vec![("limit", PAGE.to_owned())];
        loop {
            let mut page = self.get(path, &query).await?;
            if let Value::Array(items) = page[member].take() {
                all.extend(items);
            }
            let Some(next) = page["next_cursor"].as_str() else { break };
            query.truncate(1);
            query.push(("cursor", next.to_owned()));
        }
        Ok(serde_json::json!({ member: all }))
    }

    /// Writes a path below the playbooks'.
    fn path(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<String> {
        let mut url = reqwest::Url::parse("http://daemon/v1/playbooks")?;
        url.path_segments_mut().map_err(|()| BadUse("not a path".to_owned()))?.extend(path);
        let namespace = self.namespace.iter().map(|namespace| ("namespace", namespace));
        url.query_pairs_mut().extend_pairs(namespace).extend_pairs(query);
        Ok(format!("{}?{}", url.path(), url.query().unwrap_or_default()))
    }

    /// Writes an answer as JSON, or as `show` makes it for people.
    fn tell(&self, answer: &Value, show: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        if self.json { output::say_json(answer) } else { Ok(output::say(&show(answer))?) }
    }

    /// Sends one operation, and tells what became of it.
    async fn change(&self, name: &str, operation: Value, version: Option<u64>) -> anyhow::Result<()> {
        let body = serde_json::json!({ "operations": [operation], "expected_version": version });
        let answer = self.post(&[name, "deltas"], &[], &body).await?;
        self.tell(&answer, table::change)
    }
}
