//! `recapd db`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Done, Setting, output};
use crate::app::store_url;
use crate::store::{CheckReport, Store, StoreUrl};

/// Check, back up and tend the database.
#[derive(Debug, Args)]
pub struct Db {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read everything and hold it against its hashes and counts; exit code 1 if something is wrong. May run
    /// beside a daemon
    Check,
    /// Write a copy of the database. May run beside a daemon
    Backup {
        /// The file to write; it must not exist
        file: PathBuf,
    },
    /// Give free space back to the file system
    Vacuum,
    /// Bring the schema up to date, as `serve` does by itself
    Migrate,
}

impl Db {
    /// Does it.
    ///
    /// # Errors
    ///
    /// Fails where the store does.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        match self.action {
            Action::Check => check(setting).await,
            Action::Backup { file } => backup(setting, file).await,
            Action::Vacuum => vacuum(setting).await,
            Action::Migrate => migrate(setting).await,
        }
    }
}

/// Opens the database as it is, beside a daemon that may use it.
///
/// # Errors
///
/// Fails where there is none yet: opening would make one.
pub async fn open_beside(setting: &Setting) -> anyhow::Result<Store> {
    let config = setting.load(&[])?.config;
    let url = store_url(&config, &setting.data_dir())?;
    if let StoreUrl::Sqlite(path) = &url {
        anyhow::ensure!(path.is_file(), "there is no database at {}", path.display());
    }
    Ok(Store::open(&url).await?)
}

async fn check(setting: &Setting) -> anyhow::Result<Done> {
    let store = open_beside(setting).await?;
    let report = store.check().await;
    store.close().await;
    tell(&report?, setting)
}

fn tell(report: &CheckReport, setting: &Setting) -> anyhow::Result<Done> {
    let CheckReport { trajectories, messages, originals, playbooks, problems, problem_count } = report;
    if setting.json {
        output::say_json(&json!({ "trajectories": trajectories, "messages": messages, "originals": originals,
            "playbooks": playbooks, "problems": problems, "problem_count": problem_count }))?;
    } else {
        for problem in problems {
            output::complain(problem);
        }
        output::say(&format!(
            "{trajectories} trajectories, {messages} messages, {originals} originals, {playbooks} playbooks: {problem_count} problems"
        ))?;
    }
    Ok(if report.is_sound() { Done::Well } else { Done::Badly })
}

async fn backup(setting: &Setting, file: PathBuf) -> anyhow::Result<Done> {
    let store = open_beside(setting).await?;
    let done = store.backup(&file).await;
    store.close().await;
    done?;
    let bytes = std::fs::metadata(&file).context("the backup cannot be read")?.len();
    if setting.json {
        output::say_json(&json!({ "file": file, "bytes": bytes }))?;
    } else {
        output::say(&format!("{bytes} bytes written to {}", file.display()))?;
    }
    Ok(Done::Well)
}

async fn vacuum(setting: &Setting) -> anyhow::Result<Done> {
    let local = setting.open().await?;
    let done = local.pipeline.store().vacuum().await;
    local.close().await?;
    done?;
    said(setting, "the database is vacuumed")
}

async fn migrate(setting: &Setting) -> anyhow::Result<Done> {
    let local = setting.open().await?;
    let health = local.pipeline.store().health().await;
    local.close().await?;
    said(setting, &format!("the schema has version {}", health?.schema_version))
}

fn said(setting: &Setting, text: &str) -> anyhow::Result<Done> {
    if setting.json {
        output::say_json(&json!({ "done": text }))?;
    } else {
        output::say(text)?;
    }
    Ok(Done::Well)
}
