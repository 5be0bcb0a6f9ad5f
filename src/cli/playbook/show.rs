//! `recapd playbook show` and `diff`

use clap::Args;
use serde_json::Value;

use super::table::{self, items, text};
use super::{BadUse, Desk, name};
use crate::cli::output;

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The playbook; all of them are listed where it is left out
    #[arg(value_parser = name)]
    name: Option<String>,
    /// The whole of one bullet, with its evidence
    #[arg(long, value_name = "ID", requires = "name", conflicts_with = "budget")]
    bullet: Option<String>,
    /// As it stood at this version
    #[arg(long, value_name = "VERSION", requires = "name")]
    at: Option<u64>,
    /// The text that would be served within this many tokens
    #[arg(long, value_name = "TOKENS", requires = "name")]
    budget: Option<u32>,
    /// What the agent is about to do: the served text bears on it
    #[arg(long, value_name = "TEXT", requires = "budget")]
    query: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The playbook
    #[arg(value_parser = name)]
    name: String,
    /// The older version
    from: u64,
    /// The newer version; the newest where it is left out
    to: Option<u64>,
}

impl Desk {
    pub(super) async fn show(&self, show: &Show) -> anyhow::Result<()> {
        let Some(name) = &show.name else {
            return self.tell(&self.pages(&[], "playbooks").await?, table::list);
        };
        let mut query = Vec::new();
        query.extend(show.at.map(|version| ("version", version.to_string())));
        query.extend(show.budget.map(|budget| ("budget", budget.to_string())));
        query.extend(show.query.iter().map(|words| ("query", words.clone())));
        let playbook = self.get(&[name], &query).await?;
        match &show.bullet {
            Some(id) => self.tell(bullet(&playbook, id)?, table::bullet),
            None if show.budget.is_some() => {
                self.tell(&playbook, |playbook| text(playbook, "text").trim_end().to_owned())?;
                if !self.json {
                    output::note(&table::served(&playbook));
                }
                Ok(())
            }
            None => self.tell(&playbook, table::playbook),
        }
    }

    pub(super) async fn diff(&self, diff: &Diff) -> anyhow::Result<()> {
        let mut query = vec![("from", diff.from.to_string())];
        query.extend(diff.to.map(|to| ("to", to.to_string())));
        let answer = self.get(&[&diff.name, "diff"], &query).await?;
        self.tell(&answer, |answer| match text(answer, "text").trim_end() {
            "" => "the words are the same".to_owned(),
            diff => output::coloured_diff(diff),
        })
    }
}

/// Returns a bullet of a playbook.
///
/// # Errors
///
/// [`BadUse`] where it is not there.
pub(super) fn bullet<'a>(playbook: &'a Value, id: &str) -> anyhow::Result<&'a Value> {
    let found = items(&playbook["bullets"]).find(|bullet| text(bullet, "id") == id);
    Ok(found.ok_or_else(|| BadUse(format!("{} has no bullet `{id}`", text(playbook, "name"))))?)
}
