//! `recapd playbook edit`: a bullet in an editor.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::show::bullet;
use super::table::{self, text};
use super::{Desk, name};
use crate::cli::client::Refused;
use crate::cli::editor::{Draft, read};

#[derive(Debug, Args)]
pub(super) struct Edit {
    /// The playbook
    #[arg(value_parser = name)]
    name: String,
    /// The bullet
    id: String,
    /// Put it under this heading, too
    #[arg(long, value_name = "HEADING")]
    section: Option<String>,
    /// Take an emptied text as the wish to delete the bullet
    #[arg(long)]
    delete: bool,
    /// Take this file's text instead of opening an editor
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The editor
    #[arg(long, env = "EDITOR", hide_env_values = true, default_value = "vi", value_name = "COMMAND")]
    editor: String,
}

/// What is wrong with an edited text.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the text is empty; --delete deletes the bullet")]
    Empty,
    #[error("the bullet was changed meanwhile; it says now:\n{0}")]
    Changed(String),
}

impl Desk {
    pub(super) async fn edit(&self, edit: &Edit) -> anyhow::Result<()> {
        let playbook = self.get(&[&edit.name], &[]).await?;
        let before = text(bullet(&playbook, &edit.id)?, "content").to_owned();
        let save = async |text: &str| self.save(edit, &before, text).await;
        let saved = if let Some(file) = &edit.file {
            Some(save(&read(file)?).await?)
        } else {
            let draft = Draft { editor: &edit.editor, prefix: "bullet-", before: &format!("{before}\n") };
            draft.edit(save, is_about_text).await?
        };
        match saved {
            Some(answer) => self.tell(&answer, table::change),
            None => Ok(()),
        }
    }

    /// Saves new words if the bullet still has those that were edited.
    async fn save(&self, edit: &Edit, before: &str, after: &str) -> anyhow::Result<Value> {
        let operation = if !after.trim().is_empty() {
            json!({ "op": "update", "id": edit.id, "content": after, "section": edit.section })
        } else if edit.delete {
            json!({ "op": "delete", "id": edit.id })
        } else {
            return Err(Fault::Empty.into());
        };
        let now = self.get(&[&edit.name], &[]).await?;
        let words = text(bullet(&now, &edit.id)?, "content");
        if words != before {
            return Err(Fault::Changed(words.to_owned()).into());
        }
        let body = json!({ "operations": [operation], "expected_version": now["version"] });
        self.post(&[&edit.name, "deltas"], &[], &body).await
    }
}

fn is_about_text(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Fault::Empty))
        || error.downcast_ref::<Refused>().is_some_and(Refused::is_about_content)
}
