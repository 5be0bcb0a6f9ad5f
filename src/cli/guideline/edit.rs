//! `recapd guideline edit`: a version in an editor, checked before it is saved.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use recap_core::compress::{Guideline, RulesMatcher};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{Desk, Done, Name, path, show};
use crate::cli::client::Refused;
use crate::cli::output;

#[derive(Debug, Args)]
pub(super) struct Edit {
    /// The guideline; a name that there is not begins a new one
    name: Name,
    /// The version to begin with; the champion where it is left out
    #[arg(long, value_name = "HASH")]
    hash: Option<String>,
    /// What is to be said of the draft
    #[arg(long)]
    note: Option<String>,
    /// Save this file's text instead of opening an editor
    #[arg(long, value_name = "FILE", conflicts_with = "hash")]
    file: Option<PathBuf>,
    /// The editor
    #[arg(long, env = "EDITOR", hide_env_values = true, default_value = "vi", value_name = "COMMAND")]
    editor: String,
}

impl Edit {
    /// Edits and saves.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the text, or what the daemon answered.
    pub(super) async fn run(self, desk: &Desk) -> anyhow::Result<Done> {
        if let Some(file) = &self.file {
            let text = read(file)?;
            self.check(&text)?;
            let saved = self.save(desk, &text).await?;
            return self.saved(desk, &saved);
        }
        let before = self.before(desk).await?;
        let mut draft = tempfile::Builder::new().prefix("guideline-").suffix(".md").tempfile()?;
        draft.write_all(before.as_bytes())?;
        draft.flush()?;
        loop {
            self.open(draft.path()).await?;
            let text = read(draft.path())?;
            if text == before {
                output::note("nothing was changed, nothing is saved");
                return Ok(Done::Well);
            }
            let fault = match self.check(&text) {
                Ok(()) => match self.save(desk, &text).await {
                    Ok(saved) => return self.saved(desk, &saved),
                    Err(error) => error,
                },
                Err(fault) => fault,
            };
            if !is_about_text(&fault) || !again(&fault)? {
                return Err(kept(draft, fault));
            }
        }
    }

    /// Returns the text to begin with.
    async fn before(&self, desk: &Desk) -> anyhow::Result<String> {
        match desk.version(&self.name, self.hash.as_deref()).await {
            Ok(version) => Ok(show::text(&version, "text").to_owned()),
            Err(error) if self.hash.is_none() && is_missing(&error) => {
                Ok(format!("---\nkind: {}\n---\n", self.name.kind.name()))
            }
            Err(error) => Err(error),
        }
    }

    async fn open(&self, path: &Path) -> anyhow::Result<()> {
        let mut words = self.editor.split_whitespace();
        let program = words.next().unwrap_or("vi");
        let status = tokio::process::Command::new(program).args(words).arg(path).status().await;
        let status = status.with_context(|| format!("the editor `{}` cannot be run", self.editor))?;
        anyhow::ensure!(status.success(), "the editor `{}` ended badly ({status})", self.editor);
        Ok(())
    }

    fn check(&self, text: &str) -> anyhow::Result<()> {
        let guideline = Guideline::parse_as(self.name.kind, text).map_err(Fault)?;
        RulesMatcher::new(&guideline.rules).map_err(Fault)?;
        Ok(())
    }

    async fn save(&self, desk: &Desk, text: &str) -> anyhow::Result<Value> {
        let body = json!({ "text": text, "note": self.note });
        Ok(serde_json::from_str(&desk.daemon.put(&path(&self.name, ""), body.to_string()).await?)?)
    }

    /// Tells what was saved and how to go on.
    fn saved(&self, desk: &Desk, saved: &Value) -> anyhow::Result<Done> {
        let (name, hash) = (&self.name, show::text(saved, "hash"));
        desk.tell(saved, |_| hash.to_owned())?;
        let short: String = hash.chars().take("b3:".len() + 8).collect();
        output::note(&format!(
            "saved as a draft. Go on with\n  recapd guideline diff {name}\n  \
             recapd guideline try {name} TRAJECTORY --hash {short}\n  \
             recapd guideline activate {name} {short} --canary 0.1"
        ));
        Ok(Done::Well)
    }
}

/// The text is no guideline.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Fault(recap_core::compress::RulesError);

fn is_about_text(error: &anyhow::Error) -> bool {
    error.is::<Fault>() || error.downcast_ref::<Refused>().is_some_and(Refused::is_about_content)
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.is::<crate::cli::BadUse>()
        || error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == reqwest::StatusCode::NOT_FOUND)
}

/// Tells what is wrong and asks whether to open the editor again; nobody is asked where nobody can answer.
fn again(fault: &anyhow::Error) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Ok(false);
    }
    output::note(&format!("{fault:#}\nopen the editor again? [Y/n]"));
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(!answer.trim_start().starts_with(['n', 'N']))
}

/// Keeps the text of who gives up.
fn kept(draft: NamedTempFile, fault: anyhow::Error) -> anyhow::Error {
    match draft.keep() {
        Ok((_, path)) => fault.context(format!("nothing is saved; the text is in {}", path.display())),
        Err(_) => fault,
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}
