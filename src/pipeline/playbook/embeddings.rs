//! Texts as points whose nearness is likeness of meaning, where there is a model for it: who needs them at once waits, and
//! what contexts need is made in the background, one thing after the other.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use recap_core::context::LessonWords;
use recap_core::playbook::{BulletId, Playbook};
use recap_core::trajectory::OriginalHash;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::llm::{Embedder, State};
use crate::world::World;

/// Points of texts that are kept, and points of whole playbooks.
const CAPACITY: u64 = 10_000;
/// For how long they are kept without being asked for.
const KEPT: Duration = Duration::from_hours(1);
/// Texts that are embedded at a time.
const BATCH: usize = 32;
/// How long the background leaves a model alone that failed.
const PAUSE_MS: i64 = 60_000;

/// Points by content.
pub type Points = HashMap<OriginalHash, Arc<[f32]>>;
/// Points of all bullets of a playbook.
pub type BulletPoints = Arc<HashMap<BulletId, Vec<f32>>>;

/// The points of texts that were asked for lately.
pub struct Embeddings {
    embedder: Option<Embedder>,
    world: World,
    known: Cache<OriginalHash, Arc<[f32]>>,
    /// By the address of the playbook's words.
    playbooks: Cache<OriginalHash, BulletPoints>,
    /// Held by the one who embeds in the background.
    turn: Semaphore,
    /// Playbooks that wait for their turn, by the address of their words.
    waiting: Mutex<HashSet<OriginalHash>>,
    retry_at_ms: AtomicI64,
    stop: CancellationToken,
}

impl Embeddings {
    /// Makes an empty store of points.
    #[must_use]
    pub fn new(embedder: Option<Embedder>, world: World) -> Self {
        let size = |_: &OriginalHash, points: &BulletPoints| u32::try_from(points.len().max(1)).unwrap_or(u32::MAX);
        Self {
            embedder,
            world,
            known: Cache::builder().max_capacity(CAPACITY).time_to_idle(KEPT).build(),
            playbooks: Cache::builder().max_capacity(CAPACITY).weigher(size).time_to_idle(KEPT).build(),
            turn: Semaphore::new(1),
            waiting: Mutex::default(),
            retry_at_ms: AtomicI64::new(i64::MIN),
            stop: CancellationToken::new(),
        }
    }

    /// Has nothing embedded any more.
    pub fn close(&self) {
        self.stop.cancel();
    }

    /// Returns what made the points, as receipts show it.
    #[must_use]
    pub fn maker(&self) -> String {
        self.embedder.as_ref().map(|embedder| format!("embeddings:{}", embedder.label())).unwrap_or_default()
    }

    /// Tells whether it is worth asking for points in the background: there is a model, and it did not fail just now.
    #[must_use]
    pub fn can_embed(&self) -> bool {
        self.usable().is_some() && self.world.now_ms() >= self.retry_at_ms.load(Ordering::Relaxed)
    }

    /// Returns the points of contents: none without a model, and those that are known where it fails. What was embedded
    /// until then is known to the next one who asks.
    pub async fn of(&self, contents: Vec<Arc<str>>) -> Points {
        let mut points = Points::new();
        if self.usable().is_none() {
            return points;
        }
        let mut missing = HashMap::new();
        for content in contents {
            let hash = OriginalHash::of(&content);
            match self.known.get(&hash).await {
                Some(point) => _ = points.insert(hash, point),
                None => _ = missing.insert(hash, content.to_string()),
            }
        }
        let missing: Vec<(OriginalHash, String)> = missing.into_iter().collect();
        for batch in missing.chunks(BATCH) {
            let Some(embedded) = self.embed(batch.iter().map(|(_, text)| text.clone()).collect()).await else { break };
            for ((hash, _), point) in batch.iter().zip(embedded) {
                let point: Arc<[f32]> = point.into();
                self.known.insert(*hash, Arc::clone(&point)).await;
                points.insert(*hash, point);
            }
        }
        points
    }

    /// Returns the points of all bullets of a playbook if they are known. Waits for nothing.
    pub async fn known_of(&self, words: &OriginalHash) -> Option<BulletPoints> {
        self.playbooks.get(words).await
    }

    /// Returns the points of all bullets of a playbook, and keeps them together; `None` if one is missing.
    pub async fn of_all(&self, playbook: &Playbook, words: OriginalHash) -> Option<BulletPoints> {
        if let Some(known) = self.known_of(&words).await {
            return Some(known);
        }
        let points = self.of(contents(playbook)).await;
        let all = by_bullet(playbook, &points);
        if all.len() < playbook.bullets.len() {
            return None;
        }
        let all = Arc::new(all);
        self.playbooks.insert(words, Arc::clone(&all)).await;
        Some(all)
    }

    /// Returns the point between task and recent words, which weigh the same; `None` where the model fails.
    pub async fn of_words(&self, words: &LessonWords) -> Option<Arc<[f32]>> {
        let texts = [words.task.clone(), words.recent.join("\n")].into_iter();
        let texts: Vec<String> = texts.filter(|text| !text.trim().is_empty()).collect();
        if texts.is_empty() {
            return None;
        }
        let points = self.embed(texts).await?;
        let mut between = vec![0.0; points.first()?.len()];
        for point in &points {
            between.iter_mut().zip(point).for_each(|(sum, number)| *sum += number);
        }
        Some(between.into())
    }

    /// As [`Embeddings::of_all`] and [`Embeddings::of_words`], in the background: one after the other.
    pub async fn in_turn(
        &self,
        playbook: &Playbook,
        words: OriginalHash,
        query: Option<&LessonWords>,
    ) -> Option<Arc<[f32]>> {
        // Fails only once the semaphore is closed, which nothing does.
        let _turn = self.turn.acquire().await.ok()?;
        if !self.can_embed() {
            return None;
        }
        self.of_all(playbook, words).await?;
        self.of_words(query?).await
    }

    /// Notes that a playbook waits for its turn. Tells whether it did not before.
    pub fn waits(&self, words: OriginalHash) -> bool {
        self.waiting().insert(words)
    }

    /// Notes that a playbook had its turn.
    pub fn had_its_turn(&self, words: &OriginalHash) {
        self.waiting().remove(words);
    }

    fn waiting(&self) -> MutexGuard<'_, HashSet<OriginalHash>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self) -> Option<&Embedder> {
        self.embedder.as_ref().filter(|embedder| !matches!(embedder.state(), State::Failed(_)))
    }

    /// Has the model embed texts; says so where it fails.
    async fn embed(&self, texts: Vec<String>) -> Option<Vec<Vec<f32>>> {
        let count = texts.len() as u64;
        let embedded = tokio::select! {
            biased;
            () = self.stop.cancelled() => return None,
            embedded = self.usable()?.embed(texts) => embedded,
        };
        let result = if embedded.is_ok() { "made" } else { "failed" };
        metrics::counter!("recapd_playbook_points_total", "result" => result).increment(count);
        embedded
            .inspect_err(|error| {
                self.retry_at_ms.store(self.world.now_ms().saturating_add(PAUSE_MS), Ordering::Relaxed);
                tracing::warn!(%error, "the sentence encoder fails: words alone tell what bullets bear on");
            })
            .ok()
    }
}

/// Returns the contents of a playbook's bullets.
pub fn contents(playbook: &Playbook) -> Vec<Arc<str>> {
    playbook.bullets.iter().map(|bullet| Arc::clone(&bullet.content)).collect()
}

/// Returns the points of a playbook's bullets.
pub fn by_bullet(playbook: &Playbook, points: &Points) -> HashMap<BulletId, Vec<f32>> {
    let bullets = playbook.bullets.iter();
    let point = |content: &str| Some(points.get(&OriginalHash::of(content))?.to_vec());
    bullets.filter_map(|bullet| Some((bullet.id.clone(), point(&bullet.content)?))).collect()
}
