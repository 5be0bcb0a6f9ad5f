//! Tuning runs looked at and steered: in the data folder, or through the daemon that uses it.

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use super::show;
use crate::app;
use crate::cli::client::{Daemon, Remote};
use crate::cli::setting::Local;
use crate::cli::{BadUse, Done, Setting, output};
use crate::pipeline::keys::Caller;
use crate::store::TuningPage;
use crate::tune::run::{Promotion, Tuning, TuningRunRecord};

/// Runs on one page.
const PAGE: usize = 200;

/// What is asked of a daemon, or of the data folder where no daemon uses it.
#[derive(Debug, Args)]
pub(super) struct Asks<A: Args> {
    #[command(flatten)]
    what: A,
    #[command(flatten)]
    remote: Remote,
}

/// Where tuning runs are.
pub(super) enum Desk {
    Daemon(Box<Daemon>),
    Folder(Box<Local>),
}

/// Something that is asked.
pub(super) trait Ask {
    /// Asks it.
    async fn ask(&self, desk: &Desk) -> anyhow::Result<Value>;

    /// Writes the answer for people.
    fn show(answer: &Value) -> String;
}

impl<A: Args + Ask> Asks<A> {
    /// Asks and tells the answer.
    ///
    /// # Errors
    ///
    /// Fails where it is refused, and where the store does.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let desk = Desk::open(&self.remote, setting).await?;
        let answer = self.what.ask(&desk).await;
        desk.close().await?;
        let answer = answer?;
        if setting.json {
            output::say_json(&answer)?;
        } else {
            output::say(&A::show(&answer))?;
        }
        Ok(Done::Well)
    }
}

impl Desk {
    /// Opens the data folder, or names the daemon that uses it.
    ///
    /// # Errors
    ///
    /// Fails where the configuration is wrong or the folder cannot be opened.
    pub async fn open(remote: &Remote, setting: &Setting) -> anyhow::Result<Self> {
        let config = setting.load(&[])?.config;
        if remote.url.is_none() && !app::is_in_use(&setting.data_dir())? {
            return Ok(Self::Folder(Box::new(setting.open_with(config).await?)));
        }
        let url = remote.url.clone().unwrap_or_else(|| format!("http://{}", config.server.listen));
        let daemon = Remote { url: Some(url), key: remote.key.clone() }.daemon()?;
        Ok(Self::Daemon(Box::new(daemon.context("there is no daemon's address")?)))
    }

    /// Closes the data folder.
    ///
    /// # Errors
    ///
    /// Fails where the store does.
    pub async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Daemon(_) => Ok(()),
            Self::Folder(local) => local.close().await,
        }
    }
}

/// Returns a run's path below the daemon's address.
fn path(id: &str, action: &str) -> anyhow::Result<String> {
    let mut url = reqwest::Url::parse("http://daemon/v1/tuning-runs")?;
    let mut segments = url.path_segments_mut().map_err(|()| BadUse("not a path".to_owned()))?;
    segments.push(id);
    if !action.is_empty() {
        segments.push(action);
    }
    drop(segments);
    Ok(url.path().to_owned())
}

/// No options.
#[derive(Debug, Args)]
pub(super) struct List {
    /// At most this many, the newest first
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=200))]
    limit: u64,
}

impl Ask for List {
    async fn ask(&self, desk: &Desk) -> anyhow::Result<Value> {
        match desk {
            Desk::Daemon(daemon) => {
                Ok(serde_json::from_str(&daemon.get(&format!("/v1/tuning-runs?limit={}", self.limit)).await?)?)
            }
            Desk::Folder(local) => {
                let limit = usize::try_from(self.limit).unwrap_or(PAGE);
                let page = Tuning::of(&local.pipeline).list(&Caller::local(), None, limit).await?;
                let TuningPage { runs, next_cursor } = page;
                let runs = runs.iter().map(TuningRunRecord::short).collect::<Result<Vec<_>, _>>()?;
                Ok(json!({ "tuning_runs": runs, "next_cursor": next_cursor }))
            }
        }
    }

    fn show(answer: &Value) -> String {
        show::list(answer)
    }
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The run's id
    id: String,
}

impl Ask for Show {
    async fn ask(&self, desk: &Desk) -> anyhow::Result<Value> {
        match desk {
            Desk::Daemon(daemon) => Ok(serde_json::from_str(&daemon.get(&path(&self.id, "")?).await?)?),
            Desk::Folder(local) => {
                let record = Tuning::of(&local.pipeline).look(&Caller::local(), &self.id).await?;
                Ok(serde_json::to_value(record)?)
            }
        }
    }

    fn show(answer: &Value) -> String {
        show::whole(answer)
    }
}

#[derive(Debug, Args)]
pub(super) struct Cancel {
    /// The run's id
    id: String,
}

impl Ask for Cancel {
    async fn ask(&self, desk: &Desk) -> anyhow::Result<Value> {
        match desk {
            Desk::Daemon(daemon) => {
                Ok(serde_json::from_str(&daemon.post(&path(&self.id, "cancel")?, "{}".to_owned()).await?)?)
            }
            Desk::Folder(local) => {
                let run = Tuning::of(&local.pipeline).cancel(&Caller::local(), &self.id).await?;
                Ok(serde_json::to_value(TuningRunRecord::short(&run)?)?)
            }
        }
    }

    fn show(answer: &Value) -> String {
        show::line(answer)
    }
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The run's id
    id: String,
    #[command(flatten)]
    caps: super::run::CapsArgs,
}

impl Ask for Resume {
    async fn ask(&self, desk: &Desk) -> anyhow::Result<Value> {
        match desk {
            Desk::Daemon(daemon) => {
                let caps = if self.caps.is_told() { json!(self.caps.caps()) } else { Value::Null };
                let body = json!({ "caps": caps }).to_string();
                Ok(serde_json::from_str(&daemon.post(&path(&self.id, "resume")?, body).await?)?)
            }
            Desk::Folder(_) => {
                let said = format!("no daemon runs: `recapd tune run --resume {}` goes on here", self.id);
                Err(BadUse(said).into())
            }
        }
    }

    fn show(answer: &Value) -> String {
        show::line(answer)
    }
}

#[derive(Debug, Args)]
pub(super) struct Promote {
    /// The run's id
    id: String,
    /// On trial for this share of trajectories, above 0 and at most 1
    #[arg(long, value_name = "SHARE")]
    canary: Option<f64>,
    /// The champion that must still steer; the one that the run was measured against where it is left out
    #[arg(long, value_name = "HASH")]
    expected: Option<String>,
}

impl Ask for Promote {
    async fn ask(&self, desk: &Desk) -> anyhow::Result<Value> {
        match desk {
            Desk::Daemon(daemon) => {
                let body = json!({ "canary_share": self.canary, "expected_champion": self.expected });
                Ok(serde_json::from_str(&daemon.post(&path(&self.id, "promote")?, body.to_string()).await?)?)
            }
            Desk::Folder(local) => {
                let wrong = |_| BadUse("--expected: not a version's hash".to_owned());
                let expected_champion = self.expected.as_deref().map(str::parse).transpose().map_err(wrong)?;
                let promotion = Promotion { expected_champion, canary_share: self.canary };
                let state = Tuning::of(&local.pipeline).promote(&Caller::local(), &self.id, promotion).await?;
                let canary = state.canary.map(|(hash, share)| json!({ "hash": hash, "share": share }));
                Ok(json!({ "set": state.set, "kind": state.kind.name(), "champion": state.champion,
                    "canary": canary, "drafts": state.drafts }))
            }
        }
    }

    fn show(answer: &Value) -> String {
        show::state(answer)
    }
}
