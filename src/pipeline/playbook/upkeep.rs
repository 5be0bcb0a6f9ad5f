//! Duplicates merged, and bullets removed that do harm or no good: proposed, and done where an operator says so.

use std::sync::Arc;

use recap_core::context::{LessonWords, WORDS};
use recap_core::playbook::{
    Choice, Duplicate, Excerpt, Operation, Playbook, Prunable, Query, Source, duplicates, excerpt, merges, prunable,
};
use serde_json::json;

use super::bounds::{Removals, Rules, WORDS_WAIT};
use super::change::{Asked, ChangeKind, origin_of};
use super::embeddings::{BulletPoints, by_bullet, contents};
use super::read::PlaybookView;
use super::refusal::Refusal;
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::pipeline::{Pipeline, compute};
use crate::store::{PlaybookDecision, PlaybookKey, PlaybookRow};

/// What chooses bullets where all of them fit.
const WHOLE: &str = "whole";

/// Which duplicates are merged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dedupe {
    /// Those that are at least this much the same, to 1.
    pub at_least: f32,
    /// Whether much may go at once.
    pub removals: Removals,
}

/// Duplicates that were found, and what became of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Deduped {
    /// The duplicates.
    pub duplicates: Vec<Duplicate>,
    /// The playbook's version since, if they were merged.
    pub version: Option<u64>,
    /// How many bullets went into others.
    pub merged: usize,
    /// The id under which the merges wait for somebody's word, and why, if they do.
    pub waits: Option<(String, Vec<String>)>,
}

/// Bullets that should go, and what became of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Pruned {
    /// The bullets.
    pub candidates: Vec<Prunable>,
    /// The playbook's version since, if they were removed.
    pub version: Option<u64>,
    /// How many were removed.
    pub deleted: usize,
    /// The id under which the removals wait for somebody's word, and why, if they do.
    pub waits: Option<(String, Vec<String>)>,
}

impl Pipeline {
    /// Returns the bullets that say the same, strongest first.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn playbook_duplicates(&self, key: &PlaybookKey) -> Result<Vec<Duplicate>, Failure> {
        let playbook = self.playbook_row(key).await?.playbook;
        let points = self.inner.embeddings.of(contents(&playbook)).await;
        compute(bytes_of(&playbook), move || duplicates(&playbook, &by_bullet(&playbook, &points))).await
    }

    /// Merges bullets that say the same, or lets the merges wait where changes of words do. The one with most standing
    /// keeps its words.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::Playbook`].
    pub async fn dedupe_playbook(&self, caller: &Caller, key: PlaybookKey, dedupe: Dedupe) -> Result<Deduped, Failure> {
        let rules = Rules::of(self, &caller.actor);
        let source = Source { name: Some("dedupe".to_owned()), ..Source::of(origin_of(caller)) };
        let now = self.playbook_row(&key).await?.playbook;
        let points = Arc::new(self.inner.embeddings.of(contents(&now)).await);
        let chosen = move |playbook: &Playbook| -> Vec<Duplicate> {
            let found = duplicates(playbook, &by_bullet(playbook, &points));
            found.into_iter().filter(|duplicate| duplicate.score >= dedupe.at_least).collect()
        };
        let chooses = chosen.clone();
        let (at_ms, held_source) = (rules.at_ms(), source.clone());
        let decide = move |row: &PlaybookRow| {
            let operations = merges(&row.playbook, &chooses(&row.playbook), at_ms);
            held(row, operations, &rules, &held_source, dedupe.removals)
        };
        let changed = self.keep_up(caller, key, ChangeKind::Dedupe, source, decide).await?;
        let merged = changed.before.bullets.len().saturating_sub(changed.row.playbook.bullets.len());
        let version = changed.applied.map(|delta| delta.version);
        let duplicates = compute(bytes_of(&changed.before), move || chosen(&changed.before)).await?;
        Ok(Deduped { duplicates, version, merged, waits: changed.waits })
    }

    /// Returns the bullets that should go.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`]
    pub async fn prunable_bullets(&self, key: &PlaybookKey) -> Result<Vec<Prunable>, Failure> {
        Ok(prunable(&self.playbook_row(key).await?.playbook))
    }

    /// Removes the bullets that should go, or lets that wait where changes of words do.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::Playbook`].
    pub async fn prune_playbook(
        &self,
        caller: &Caller,
        key: PlaybookKey,
        removals: Removals,
    ) -> Result<Pruned, Failure> {
        let rules = Rules::of(self, &caller.actor);
        let source = Source { name: Some("prune".to_owned()), ..Source::of(origin_of(caller)) };
        let held_source = source.clone();
        let decide = move |row: &PlaybookRow| {
            let operations = prunable(&row.playbook).into_iter().map(|bullet| Operation::Delete { id: bullet.id });
            held(row, operations.collect(), &rules, &held_source, removals)
        };
        let changed = self.keep_up(caller, key, ChangeKind::Prune, source, decide).await?;
        let deleted = changed.applied.as_ref().map_or(0, |delta| delta.operations.len());
        let version = changed.applied.map(|delta| delta.version);
        Ok(Pruned { candidates: prunable(&changed.before), version, deleted, waits: changed.waits })
    }

    async fn keep_up(
        &self,
        caller: &Caller,
        key: PlaybookKey,
        kind: ChangeKind,
        source: Source,
        decide: impl Fn(&PlaybookRow) -> Result<PlaybookDecision, Refusal> + Send + Sync + 'static,
    ) -> Result<crate::store::PlaybookChanged, Failure> {
        let asked = Asked {
            key: key.clone(),
            kind,
            expected_version: None,
            actor: caller.actor.clone(),
            source,
            run: None,
            accepts: None,
            job: None,
            lesson: None,
            decide: Arc::new(move |now| decide(&now.row)),
        };
        let changed = self.change_playbook(asked).await?;
        let action = if kind == ChangeKind::Prune { "playbook.prune" } else { "playbook.dedupe" };
        let waits = changed.waits.as_ref().map(|(id, _)| id);
        if waits.is_some() {
            metrics::counter!("recapd_playbook_reviews_total", "decision" => "pending").increment(1);
        }
        let detail = json!({ "version": changed.row.playbook.version, "pending": waits });
        self.audit(caller, Some(&key.namespace), action, &key.name, detail).await?;
        Ok(changed)
    }

    /// Returns the excerpt that would be served for a task within a budget in tokens, and what chooses its bullets. Where
    /// not all fit, the encoder is waited for, for three quarters of a request's time at most; without it words choose.
    ///
    /// # Errors
    ///
    /// Fails where the computation does.
    pub async fn playbook_excerpt(
        &self,
        view: &PlaybookView,
        budget: u32,
        task: String,
    ) -> Result<(Excerpt, String), Failure> {
        let (bytes, now_ms) = (bytes_of(&view.row.playbook), self.world().now_ms());
        let choose = |task: String, points: Option<(BulletPoints, Arc<[f32]>)>| {
            let (playbook, counter) = (Arc::clone(&view.row.playbook), Arc::clone(self.inner.playbooks.counter()));
            compute(bytes, move || {
                let (bullets, point) = points.unzip();
                let query = Query { task: &task, recent: &[], embedding: point.as_deref() };
                excerpt(&playbook, &query, &bullets.unwrap_or_default(), budget, now_ms, &*counter)
            })
        };
        let by_words = choose(task.clone(), None).await?;
        if by_words.choice == Choice::Whole {
            return Ok((by_words, WHOLE.to_owned()));
        }
        let points = self.points_for(&view.row.playbook, LessonWords { task: task.clone(), recent: Vec::new() });
        match tokio::time::timeout(self.time_for_models(), points).await.ok().flatten() {
            Some(points) => Ok((choose(task, Some(points)).await?, self.inner.embeddings.maker())),
            None => Ok((by_words, WORDS.to_owned())),
        }
    }

    async fn points_for(&self, playbook: &Playbook, words: LessonWords) -> Option<(BulletPoints, Arc<[f32]>)> {
        let embeddings = &self.inner.embeddings;
        let point = embeddings.of_words(&words).await?;
        Some((embeddings.of_all(playbook, playbook.words_hash()).await?, point))
    }
}

fn held(
    row: &PlaybookRow,
    operations: Vec<Operation>,
    rules: &Rules,
    source: &Source,
    removals: Removals,
) -> Result<PlaybookDecision, Refusal> {
    let after = rules.after(&row.playbook, &operations, source)?;
    rules.hold(row, &after, removals)?;
    if rules.waits(row) {
        return Ok(PlaybookDecision::wait(operations, vec![WORDS_WAIT.to_owned()]));
    }
    Ok(PlaybookDecision::apply(operations))
}

fn bytes_of(playbook: &Playbook) -> usize {
    playbook.bullets.iter().map(|bullet| bullet.content.len()).sum()
}
