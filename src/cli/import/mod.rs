//! `recapd import`

pub mod files;
pub mod shapes;
mod target;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::client::Remote;
use super::{Done, Setting, output};
use files::{Place, Source};
use shapes::Conversation;
use target::Target;

/// Store recorded conversations.
///
/// Takes OpenAI and Anthropic messages: a list of messages, an object with `messages` (and `system`, `tools`,
/// `model`, `id`, `task`, `agent`, `metadata`), a list of such objects, or JSONL of messages or of such objects,
/// plain or with .gz. What cannot be read is skipped and reported; a conversation is stored whole or not at all.
#[derive(Debug, Args)]
pub struct Import {
    /// Files, or folders that are searched for .json, .jsonl and .gz of both
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The namespace that the trajectories go to
    #[arg(long, default_value = "default")]
    namespace: String,
    /// The agent's name where a file names none
    #[arg(long)]
    agent: Option<String>,
    /// The agent's model where a file names none
    #[arg(long)]
    model: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// What an import did.
#[derive(Debug, Default, Serialize)]
struct Report {
    files: u64,
    trajectories: u64,
    messages: u64,
    tokens: u64,
    skipped: Vec<Skipped>,
}

/// What was not stored.
#[derive(Debug, Serialize)]
struct Skipped {
    /// File and line.
    place: String,
    reason: String,
}

impl Import {
    /// Imports.
    ///
    /// # Errors
    ///
    /// Fails where the store or the daemon does; what was stored before stays.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let files = files::found(&self.paths)?;
        let target = match self.remote.daemon()? {
            Some(daemon) => Target::Daemon(daemon),
            None => Target::Local(setting.open().await?),
        };
        let total = files.iter().map(|file| file.bytes).sum();
        let bar = ProgressBar::new(total);
        let style = "{bar:32} {bytes}/{total_bytes} {msg} {eta}";
        bar.set_style(ProgressStyle::with_template(style).context("the progress bar's template")?);
        let mut report = Report::default();
        for file in &files {
            report.files += 1;
            Box::pin(self.import_file(file, &target, &bar, &mut report)).await?;
        }
        bar.finish_and_clear();
        target.close().await?;
        tell(&report, setting)?;
        Ok(if report.skipped.is_empty() { Done::Well } else { Done::Badly })
    }

    async fn import_file(
        &self,
        file: &Source,
        target: &Target,
        bar: &ProgressBar,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let before = bar.position();
        for (place, found) in file.conversations(bar) {
            let conversation = found.and_then(Conversation::checked);
            match conversation {
                Ok(conversation) => self.store(place, conversation, target, report).await?,
                Err(reason) => report.skipped.push(Skipped { place: place.to_string(), reason }),
            }
            bar.set_message(format!("{} trajectories", report.trajectories));
        }
        bar.set_position(before + file.bytes);
        Ok(())
    }

    async fn store(
        &self,
        place: Place,
        mut conversation: Conversation,
        target: &Target,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        conversation.agent = conversation.agent.or_else(|| self.agent.clone());
        conversation.model = conversation.model.or_else(|| self.model.clone());
        match target.store(&self.namespace, conversation).await? {
            Ok(stored) => {
                report.trajectories += 1;
                report.messages += stored.messages;
                report.tokens += stored.tokens;
            }
            Err(reason) => report.skipped.push(Skipped { place: place.to_string(), reason }),
        }
        Ok(())
    }
}

fn tell(report: &Report, setting: &Setting) -> anyhow::Result<()> {
    if setting.json {
        return output::say_json(report);
    }
    for skipped in &report.skipped {
        output::complain(&format!("{}: skipped: {}", skipped.place, skipped.reason));
    }
    let Report { files, trajectories, messages, tokens, skipped } = report;
    let text = format!(
        "{trajectories} trajectories with {messages} messages and {tokens} tokens from {files} files; {} skipped",
        skipped.len()
    );
    Ok(output::say(&text)?)
}

/// Reads the one conversation of a text.
///
/// # Errors
///
/// Says why there is none, or that there are more.
pub fn conversation_of(text: &str) -> Result<Conversation, String> {
    let mut found = shapes::conversations(text)?;
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => only.checked(),
        (None, _) => Err("no messages".to_owned()),
        (Some(_), false) => Err("more than one conversation; use `recapd import`".to_owned()),
    }
}
