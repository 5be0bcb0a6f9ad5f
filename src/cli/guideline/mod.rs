//! `recapd guideline`: a client of a running daemon.

mod edit;
mod show;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use recap_core::compress::GuidelineKind;
use serde_json::{Value, json};

use super::client::{Daemon, Remote};
use super::{BadUse, Done, Setting, output};

/// See and change what steers compression, in a running daemon.
///
/// A guideline is named by set and kind, as in `coding/history`. A version is named by its hash or the hash's
/// beginning.
#[derive(Debug, Args)]
pub struct Guideline {
    /// The daemon; the one at the configured address where it is left out
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    /// The key for it
    #[arg(long, global = true, env = "RECAPD_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all guidelines with their champions, trials and drafts
    List,
    /// Print the text of a version
    Show {
        /// The guideline
        name: Name,
        /// The version; the champion where it is left out
        #[arg(long, value_name = "HASH")]
        hash: Option<String>,
    },
    /// Change a version in an editor and save it as a draft
    Edit(edit::Edit),
    /// Compare two versions
    Diff {
        /// The guideline
        name: Name,
        /// The older version; the champion where it is left out
        from: Option<String>,
        /// The newer version; the newest draft where it is left out
        to: Option<String>,
    },
    /// Show what a version would make of a stored trajectory, beside the champion
    Try(Try),
    /// Make a version the champion, or put it on trial
    Activate {
        /// The guideline
        name: Name,
        /// The version
        hash: String,
        /// On trial for this share of trajectories, above 0 and at most 1
        #[arg(long, value_name = "SHARE")]
        canary: Option<f64>,
        /// The champion that must still steer; the one of now where it is left out
        #[arg(long, value_name = "HASH")]
        expected: Option<String>,
    },
    /// End the trial; without one go back to the champion before this one
    Rollback {
        /// The guideline
        name: Name,
    },
    /// List the versions, and what happened to the guideline
    History {
        /// The guideline
        name: Name,
    },
}

#[derive(Debug, Args)]
struct Try {
    /// The guideline
    name: Name,
    /// The stored trajectory
    trajectory: String,
    /// The version; the newest draft, or else the champion, where it is left out
    #[arg(long, value_name = "HASH", conflicts_with = "file")]
    hash: Option<String>,
    /// A file with the text instead of a stored version
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// First and last turn, as in 1-20
    #[arg(long, value_name = "A-B", value_parser = turns)]
    turns: Option<[u32; 2]>,
    /// The number of the message whose result is shortened
    #[arg(long, value_name = "N")]
    observation: Option<usize>,
    /// Most tokens
    #[arg(long, value_name = "TOKENS")]
    budget: Option<u32>,
    /// What compresses: rules, or the models that the daemon's configuration names
    #[arg(long, value_enum, default_value_t = Compressor::Rules)]
    compressor: Compressor,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Compressor {
    /// Deterministic rules
    Rules,
    /// A local model that scores lines
    Extract,
    /// Chat models
    Llm,
}

impl Compressor {
    fn name(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Extract => "extract",
            Self::Llm => "llm",
        }
    }
}

fn turns(text: &str) -> Result<[u32; 2], String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<u32>().map_err(|_| "expected two numbers, as in 1-20".to_owned());
    Ok([number(first)?, number(last)?])
}

/// A guideline's name.
#[derive(Debug, Clone)]
struct Name {
    set: String,
    kind: GuidelineKind,
}

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = text.split_once('/').and_then(|(set, kind)| Some((set, GuidelineKind::of(kind)?)));
        let kinds = || GuidelineKind::ALL.map(GuidelineKind::name).join(", ");
        match found {
            Some((set, kind)) if !set.is_empty() => Ok(Self { set: set.to_owned(), kind }),
            _ => Err(format!("expected SET/KIND with one of the kinds {}", kinds())),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.set, self.kind.name())
    }
}

impl Guideline {
    /// Asks the daemon.
    ///
    /// # Errors
    ///
    /// Says what the daemon answered where that is no success.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let url = match self.url {
            Some(url) => url,
            None => format!("http://{}", setting.load(&[])?.config.server.listen),
        };
        let daemon = Remote { url: Some(url), key: self.key }.daemon()?.context("there is no daemon's address")?;
        let desk = Desk { daemon, json: setting.json };
        match self.action {
            Action::List => desk.list().await?,
            Action::Show { name, hash } => desk.show(&name, hash.as_deref()).await?,
            Action::Edit(edit) => return edit.run(&desk).await,
            Action::Diff { name, from, to } => desk.diff(&name, from.as_deref(), to.as_deref()).await?,
            Action::Try(attempt) => desk.attempt(&attempt).await?,
            Action::Activate { name, hash, canary, expected } => {
                desk.activate(&name, &hash, canary, expected.as_deref()).await?;
            }
            Action::Rollback { name } => {
                let after = desk.post(&path(&name, "/rollback"), &json!({})).await?;
                desk.tell(&after, show::state)?;
            }
            Action::History { name } => desk.history(&name).await?,
        }
        Ok(Done::Well)
    }
}

fn path(name: &Name, rest: &str) -> String {
    format!("/v1/guidelines/{name}{rest}")
}

/// Where guidelines are looked at and changed.
struct Desk {
    daemon: Daemon,
    json: bool,
}

impl Desk {
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.daemon.get(path).await?)?)
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.daemon.post(path, body.to_string()).await?)?)
    }

    /// Writes an answer as JSON, or as `show` makes it for people.
    fn tell(&self, answer: &Value, show: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        if self.json { output::say_json(answer) } else { Ok(output::say(&show(answer))?) }
    }

    async fn list(&self) -> anyhow::Result<()> {
        let answer = self.get("/v1/guidelines").await?;
        self.tell(&answer, show::list)
    }

    async fn show(&self, name: &Name, version: Option<&str>) -> anyhow::Result<()> {
        let version = self.version(name, version).await?;
        self.tell(&version, |version| show::text(version, "text").trim_end().to_owned())
    }

    async fn diff(&self, name: &Name, from: Option<&str>, to: Option<&str>) -> anyhow::Result<()> {
        let from = self.hash(name, from).await?;
        let to = match to {
            Some(to) => self.hash(name, Some(to)).await?,
            None => self.newest_draft(name).await?.ok_or_else(|| BadUse(format!("{name} has no draft")))?,
        };
        let answer = self.get(&path(name, &format!("/diff?from={from}&to={to}"))).await?;
        self.tell(&answer, show::diff)
    }

    async fn attempt(&self, attempt: &Try) -> anyhow::Result<()> {
        let Try { name, trajectory, hash, file, .. } = attempt;
        let mut body = json!({ "trajectory": trajectory, "turns": attempt.turns,
            "observation": attempt.observation, "budget": attempt.budget,
            "compressor": attempt.compressor.name() });
        if let Some(file) = file {
            let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            body["text"] = json!(text);
        } else {
            body["hash"] = json!(match hash {
                Some(hash) => Some(self.hash(name, Some(hash)).await?),
                None => self.newest_draft(name).await?,
            });
        }
        let answer = self.post(&path(name, "/try"), &body).await?;
        self.tell(&answer, show::trial)
    }

    async fn activate(
        &self,
        name: &Name,
        version: &str,
        canary: Option<f64>,
        expected: Option<&str>,
    ) -> anyhow::Result<()> {
        let hash = self.hash(name, Some(version)).await?;
        let expected = match expected {
            Some(expected) => json!(self.hash(name, Some(expected)).await?),
            None => self.get(&path(name, "")).await?["champion"].clone(),
        };
        let body = json!({ "hash": hash, "expected_champion": expected, "canary_share": canary });
        let after = self.post(&path(name, "/activate"), &body).await?;
        self.tell(&after, show::state)
    }

    async fn history(&self, name: &Name) -> anyhow::Result<()> {
        let mut answer = self.get(&path(name, "")).await?;
        answer["versions"] = self.get(&path(name, "/versions")).await?["versions"].take();
        self.tell(&answer, show::history)
    }

    /// Returns a version with its text; the champion where none is named.
    async fn version(&self, name: &Name, version: Option<&str>) -> anyhow::Result<Value> {
        let hash = self.hash(name, version).await?;
        self.get(&path(name, &format!("/versions/{hash}"))).await
    }

    /// Returns the whole hash of a version that is named by its beginning; the champion's where none is named.
    async fn hash(&self, name: &Name, beginning: Option<&str>) -> anyhow::Result<String> {
        let Some(beginning) = beginning else {
            let answer = self.get(&path(name, "")).await?;
            let champion = answer["champion"].as_str().map(str::to_owned);
            return Ok(champion.ok_or_else(|| BadUse(format!("{name} has no champion: name a version")))?);
        };
        let beginning = format!("b3:{}", beginning.strip_prefix("b3:").unwrap_or(beginning));
        let answer = self.get(&path(name, "/versions")).await?;
        let hashes = answer["versions"].as_array().into_iter().flatten().filter_map(|version| version["hash"].as_str());
        let found: Vec<&str> = hashes.filter(|hash| hash.starts_with(&beginning)).collect();
        match found.as_slice() {
            [hash] => Ok((*hash).to_owned()),
            [] => Err(BadUse(format!("{name} has no version `{beginning}`")).into()),
            more => Err(BadUse(format!("{} versions of {name} begin with `{beginning}`", more.len())).into()),
        }
    }

    async fn newest_draft(&self, name: &Name) -> anyhow::Result<Option<String>> {
        let answer = self.get(&path(name, "")).await?;
        Ok(answer["drafts"][0].as_str().map(str::to_owned))
    }
}
