//! Playbooks read: as they stand, as they stood, their logs, what changed.

use std::sync::Arc;

use recap_core::playbook::{Bullet, Playbook, Revision, line, replay};
use similar::TextDiff;

use super::refusal::Refusal;
use super::{bounds, no_playbook};
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::pipeline::{Pipeline, compute};
use crate::store::{DeltaPage, PlaybookKey, PlaybookRow, StoreError};

/// Unchanged lines around changes in a diff.
const DIFF_CONTEXT: usize = 3;

/// A playbook with its settings and tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaybookView {
    /// The stored playbook; its content is that of the version asked for.
    pub row: PlaybookRow,
    /// Tokens of its text.
    pub tokens: u32,
    /// Most tokens.
    pub budget: u32,
    /// Whether changes of words wait.
    pub review: bool,
}

/// A bullet with its tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct BulletView {
    /// The bullet.
    pub bullet: Bullet,
    /// Tokens of its line.
    pub tokens: u32,
}

/// A page of playbooks by namespace and name.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaybookList {
    /// The playbooks.
    pub playbooks: Vec<PlaybookView>,
    /// Where the next page starts; `None` on the last one.
    pub next_cursor: Option<String>,
}

/// What changed from one version to another.
#[derive(Debug, Clone, PartialEq)]
pub struct PlaybookDiff {
    /// Bullets with other words or another section.
    pub revisions: Vec<Revision>,
    /// The texts' unified diff; empty where nothing changed.
    pub text: String,
}

impl Pipeline {
    /// Returns a page of the playbooks that the caller reaches.
    ///
    /// # Errors
    ///
    /// Fails when the store does, and for a cursor that is none.
    pub async fn list_playbooks(
        &self,
        caller: &Caller,
        namespace: Option<&str>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<PlaybookList, Failure> {
        if namespace.is_some_and(|namespace| !caller.reaches(namespace)) {
            return Ok(PlaybookList { playbooks: Vec::new(), next_cursor: None });
        }
        let namespace = namespace.or(caller.namespace.as_deref());
        let page = self.store().list_playbooks(namespace, cursor, limit).await?;
        let mut playbooks = Vec::with_capacity(page.playbooks.len());
        for row in page.playbooks {
            let tokens = self.inner.playbooks.put(&row).await?.tokens;
            playbooks.push(self.view(row, tokens));
        }
        Ok(PlaybookList { playbooks, next_cursor: page.next_cursor })
    }

    /// Returns a playbook, as it stands or as it stood at a version.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn playbook(&self, key: &PlaybookKey, version: Option<u64>) -> Result<PlaybookView, Failure> {
        let mut row = self.playbook_row(key).await?;
        if let Some(version) = version.filter(|version| *version != row.playbook.version) {
            row.playbook = Arc::new(self.playbook_at(key, version, row.playbook.version).await?);
            let tokens = self.inner.playbooks.tokens(Arc::clone(&row.playbook)).await?;
            return Ok(self.view(row, tokens));
        }
        let shelved = self.inner.playbooks.put(&row).await?;
        let tokens = if shelved.playbook.version == row.playbook.version {
            shelved.tokens
        } else {
            self.inner.playbooks.tokens(Arc::clone(&row.playbook)).await?
        };
        Ok(self.view(row, tokens))
    }

    /// Returns bullets with their tokens.
    ///
    /// # Errors
    ///
    /// Fails where the computation does.
    pub async fn bullet_views(&self, bullets: Vec<Bullet>) -> Result<Vec<BulletView>, Failure> {
        let counter = Arc::clone(self.inner.playbooks.counter());
        let bytes = bullets.iter().map(|bullet| bullet.content.len()).sum();
        let counted = move |bullet: Bullet| BulletView { tokens: counter.count(&line(&bullet)), bullet };
        compute(bytes, move || bullets.into_iter().map(counted).collect()).await
    }

    pub(super) async fn playbook_row(&self, key: &PlaybookKey) -> Result<PlaybookRow, Failure> {
        self.store().playbook(key).await?.ok_or_else(|| no_playbook(key))
    }

    pub(super) fn view(&self, row: PlaybookRow, tokens: u32) -> PlaybookView {
        let config = &self.config().playbook;
        let (budget, review) = (row.budget.unwrap_or(config.budget), row.review.unwrap_or(config.review));
        PlaybookView { row, tokens, budget, review }
    }

    async fn playbook_at(&self, key: &PlaybookKey, version: u64, current: u64) -> Result<Playbook, Failure> {
        if version > current {
            return Err(Refusal::NoVersion(version).into());
        }
        let log = self.store().playbook_log(key, Some(version)).await?;
        let replayed = compute(usize::MAX, move || replay(&log, Some(version))).await?;
        replayed.map_err(|_| StoreError::Unreadable("a playbook's log").into())
    }

    /// Returns a page of a playbook's log, newest first.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn playbook_deltas(
        &self,
        key: &PlaybookKey,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DeltaPage, Failure> {
        self.playbook_row(key).await?;
        Ok(self.store().playbook_deltas(key, cursor, limit).await?)
    }

    /// Returns what changed from one version to another, with both versions; they are the newest and the one before
    /// where they are not named.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn diff_playbook(
        &self,
        key: &PlaybookKey,
        from: Option<u64>,
        to: Option<u64>,
    ) -> Result<([u64; 2], PlaybookDiff), Failure> {
        let current = self.playbook_row(key).await?.playbook.version;
        let to = to.unwrap_or(current);
        let from = from.unwrap_or(to.saturating_sub(1));
        let before = self.playbook_at(key, from, current).await?;
        let after = self.playbook_at(key, to, current).await?;
        let name = key.name.clone();
        let diff = compute(usize::MAX, move || {
            let texts = [bounds::full_text(&before), bounds::full_text(&after)];
            let [old, new] = [from, to].map(|version| format!("{name}@{version}"));
            let [before_text, after_text] = &texts;
            let diff = TextDiff::from_lines(before_text.as_str(), after_text.as_str());
            let text = diff.unified_diff().context_radius(DIFF_CONTEXT).header(&old, &new).to_string();
            PlaybookDiff { revisions: before.revisions(&after), text }
        });
        Ok(([from, to], diff.await?))
    }
}
