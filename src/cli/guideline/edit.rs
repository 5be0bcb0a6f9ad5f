//! `recapd guideline edit`: a version in an editor, checked before it is saved.

use std::path::PathBuf;

use clap::Args;
use recap_core::compress::{Guideline, RulesMatcher};
use serde_json::{Value, json};

use super::{Desk, Done, Name, path, show};
use crate::cli::client::Refused;
use crate::cli::editor::{Draft, read};
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
        let draft = Draft { editor: &self.editor, prefix: "guideline-", before: &before };
        let save = async |text: &str| {
            self.check(text)?;
            self.save(desk, text).await
        };
        match draft.edit(save, is_about_text).await? {
            Some(saved) => self.saved(desk, &saved),
            None => Ok(Done::Well),
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
