//! Playbooks as files: taken whole, and written.

use std::sync::Arc;

use recap_core::playbook::interchange::{Format, Import, Imported, read, write};
use recap_core::playbook::{BulletId, Origin, Playbook, Prior, Source, resolve};
use serde_json::json;

use super::change::{Asked, ChangeKind};
use super::deltas::new_duplicates;
use super::refusal::Refusal;
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::pipeline::{Pipeline, compute};
use crate::store::{PlaybookDecision, PlaybookKey};

/// What became of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportReport {
    /// The playbook's version since.
    pub version: u64,
    /// How many bullets are new.
    pub imported: usize,
    /// New bullets, each with one that says the same; nothing is merged by itself.
    pub duplicates: Vec<[BulletId; 2]>,
    /// By how many tokens the playbook is over its budget.
    pub over_budget_tokens: u32,
    /// Ids of the file that could not be kept, and what they became.
    pub renamed: Vec<(String, BulletId)>,
    /// Bullets that were there word for word.
    pub skipped: Vec<BulletId>,
}

impl Pipeline {
    /// Takes a file whole, whatever the budget. A playbook that is not there is made.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with the line that cannot be taken.
    pub async fn import_playbook(
        &self,
        caller: &Caller,
        key: PlaybookKey,
        format: Format,
        text: String,
    ) -> Result<ImportReport, Failure> {
        let file = compute(text.len(), move || read(format, &text)).await?;
        let file = Arc::new(file.map_err(|error| Failure::field("/text", error.to_string()))?);
        if file.bullets.is_empty() {
            return Err(Failure::field("/text", format!("holds no bullet in the format `{format}`")));
        }
        let held = Arc::clone(&file);
        let asked = Asked {
            key: key.clone(),
            kind: ChangeKind::Import,
            expected_version: None,
            actor: caller.actor.clone(),
            source: Source { name: Some(format.name().to_owned()), ..Source::of(Origin::Import) },
            run: None,
            accepts: None,
            job: None,
            lesson: None,
            decide: Arc::new(move |now| adopted(&held, &now.row.playbook)),
        };
        let changed = self.change_playbook(asked).await?;
        let before = Arc::clone(&changed.before);
        let import = compute(usize::MAX, move || Imported::clone(&file).operations(&before)).await?;
        let operations = changed.applied.map(|delta| delta.operations).unwrap_or_default();
        let duplicates = new_duplicates(Arc::clone(&changed.row.playbook), &operations).await?;
        let tokens = self.inner.playbooks.put(&changed.row).await?.tokens;
        let view = self.view(changed.row, tokens);
        let version = view.row.playbook.version;
        let detail = json!({ "format": format.name(), "imported": import.imported, "version": version });
        self.audit(caller, Some(&key.namespace), "playbook.import", &key.name, detail).await?;
        let over_budget_tokens = tokens.saturating_sub(view.budget);
        let Import { imported, renamed, skipped, .. } = import;
        Ok(ImportReport { version, imported, duplicates, over_budget_tokens, renamed, skipped })
    }

    /// Writes a playbook as a file: all of it, or the bullets that are named.
    ///
    /// # Errors
    ///
    /// Fails where the computation does.
    pub async fn write_playbook(
        &self,
        playbook: Arc<Playbook>,
        only: Option<Vec<BulletId>>,
        format: Format,
    ) -> Result<String, Failure> {
        compute(usize::MAX, move || match only {
            None => write(format, &playbook),
            Some(only) => write(format, &part(&playbook, &only)),
        })
        .await
    }
}

fn adopted(file: &Imported, playbook: &Playbook) -> Result<PlaybookDecision, Refusal> {
    let operations = file.clone().operations(playbook).operations;
    let operations = resolve(playbook, operations, Prior::Trusted).map_err(Refusal::of_faults)?;
    Ok(PlaybookDecision::apply(operations))
}

/// Returns a playbook with some of its bullets and their sections.
fn part(playbook: &Playbook, only: &[BulletId]) -> Playbook {
    let mut part = playbook.clone();
    part.bullets.retain(|bullet| only.contains(&bullet.id));
    let bullets = &part.bullets;
    part.sections.retain(|section| bullets.iter().any(|bullet| bullet.section == *section));
    part
}
