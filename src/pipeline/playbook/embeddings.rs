//! Bullets as points whose nearness is likeness of meaning, where there is a model for it.

use std::collections::HashMap;
use std::sync::Arc;

use moka::future::Cache;
use recap_core::playbook::{BulletId, Playbook};
use recap_core::trajectory::OriginalHash;

use crate::llm::{Embedder, State};

/// Points that are kept.
const CAPACITY: u64 = 10_000;
/// Texts that are embedded at a time.
const BATCH: usize = 32;

/// Points by content.
pub type Points = HashMap<OriginalHash, Arc<[f32]>>;

/// The points of contents that were asked for lately.
pub struct Embeddings {
    embedder: Option<Embedder>,
    known: Cache<OriginalHash, Arc<[f32]>>,
}

impl Embeddings {
    /// Makes an empty store of points.
    #[must_use]
    pub fn new(embedder: Option<Embedder>) -> Self {
        Self { embedder, known: Cache::new(CAPACITY) }
    }

    /// Returns the points of a playbook's contents: none without a model, and those that are known where it fails. What was
    /// embedded until then is known to the next one who asks.
    pub async fn of(&self, playbook: &Playbook) -> Points {
        let usable = |embedder: &&Embedder| !matches!(embedder.state(), State::Failed(_));
        let Some(embedder) = self.embedder.as_ref().filter(usable) else {
            return Points::new();
        };
        let mut points = Points::new();
        let mut missing = HashMap::new();
        for bullet in &playbook.bullets {
            let hash = OriginalHash::of(&bullet.content);
            match self.known.get(&hash).await {
                Some(point) => _ = points.insert(hash, point),
                None => _ = missing.insert(hash, bullet.content.to_string()),
            }
        }
        let missing: Vec<(OriginalHash, String)> = missing.into_iter().collect();
        for batch in missing.chunks(BATCH) {
            let texts = batch.iter().map(|(_, text)| text.clone()).collect();
            let embedded = match embedder.embed(texts).await {
                Ok(embedded) => embedded,
                Err(error) => {
                    tracing::warn!(%error, "duplicates are looked for without the sentence encoder");
                    break;
                }
            };
            for ((hash, _), point) in batch.iter().zip(embedded) {
                let point: Arc<[f32]> = point.into();
                self.known.insert(*hash, Arc::clone(&point)).await;
                points.insert(*hash, point);
            }
        }
        points
    }
}

/// Returns the points of a playbook's bullets.
pub fn by_bullet(playbook: &Playbook, points: &Points) -> HashMap<BulletId, Vec<f32>> {
    let bullets = playbook.bullets.iter();
    let point = |content: &str| Some(points.get(&OriginalHash::of(content))?.to_vec());
    bullets.filter_map(|bullet| Some((bullet.id.clone(), point(&bullet.content)?))).collect()
}
