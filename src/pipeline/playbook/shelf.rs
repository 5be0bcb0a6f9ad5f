//! Playbooks at hand for reads: what a context is served with without reading the store anew.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::Op;
use recap_core::playbook::{Playbook, tokens};
use recap_core::tokens::Counter;

use super::bounds;
use crate::pipeline::failure::Failure;
use crate::pipeline::{Pipeline, compute};
use crate::store::{Engine, PlaybookKey, PlaybookRow};

/// Playbooks at hand.
const CAPACITY: u64 = 512;
/// For how long one is at hand without being read again.
const KEPT: Duration = Duration::from_mins(5);

/// A playbook at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shelved {
    /// What it holds.
    pub playbook: Arc<Playbook>,
    /// Tokens of its text.
    pub tokens: u32,
    /// Its own budget; the configuration's where it has none.
    pub budget: Option<u32>,
    /// Whether changes of words wait; as the configuration says where it has no word of its own.
    pub review: Option<bool>,
    changes: u64,
}

/// Playbooks at hand, the newest state of each that this process knows.
pub struct Shelf {
    at_hand: Cache<PlaybookKey, Arc<Shelved>>,
    counter: Counter,
}

impl Shelf {
    /// Makes an empty shelf. Playbooks are counted with one counter, whichever model reads them.
    #[must_use]
    pub fn new(counter: Counter) -> Self {
        let at_hand = Cache::builder().max_capacity(CAPACITY).time_to_live(KEPT).build();
        Self { at_hand, counter }
    }

    /// Returns the counter of playbooks.
    #[must_use]
    pub fn counter(&self) -> &Counter {
        &self.counter
    }

    /// Takes a playbook as it was read or written, unless a newer one is at hand, and returns the one that is.
    pub(super) async fn put(&self, row: &PlaybookRow) -> Result<Arc<Shelved>, Failure> {
        let known = self.at_hand.get(&row.key).await;
        let tokens = match known {
            Some(known) if known.changes >= row.changes => return Ok(known),
            Some(known) if bounds::same_words(&known.playbook, &row.playbook) => known.tokens,
            _ => self.tokens(Arc::clone(&row.playbook)).await?,
        };
        let shelved = Arc::new(Shelved {
            playbook: Arc::clone(&row.playbook),
            tokens,
            budget: row.budget,
            review: row.review,
            changes: row.changes,
        });
        let taken = self.at_hand.entry_by_ref(&row.key).and_compute_with(|entry| {
            let newer = entry.is_some_and(|entry| entry.value().changes >= shelved.changes);
            let op = if newer { Op::Nop } else { Op::Put(Arc::clone(&shelved)) };
            std::future::ready(op)
        });
        Ok(taken.await.into_entry().map_or(shelved, moka::Entry::into_value))
    }

    /// Counts a playbook's text.
    pub(super) async fn tokens(&self, playbook: Arc<Playbook>) -> Result<u32, Failure> {
        let counter = Arc::clone(&self.counter);
        let bytes = playbook.bullets.iter().map(|bullet| bullet.content.len()).sum();
        compute(bytes, move || tokens(&playbook, &*counter)).await
    }
}

impl Pipeline {
    /// Returns a playbook as it stands, for a read that changes nothing.
    ///
    /// # Errors
    ///
    /// Fails when the store does.
    pub async fn playbook_for(&self, namespace: &str, name: &str) -> Result<Option<Arc<Shelved>>, Failure> {
        let key = PlaybookKey { namespace: namespace.to_owned(), name: name.to_owned() };
        let shelf = &self.inner.playbooks;
        if let Some(known) = shelf.at_hand.get(&key).await
            && self.is_newest(&key, &known).await?
        {
            return Ok(Some(known));
        }
        match self.store().playbook(&key).await? {
            Some(row) => shelf.put(&row).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes playbooks as they are in the store now.
    pub(in crate::pipeline) async fn reshelve(&self, keys: &[PlaybookKey]) -> Result<(), Failure> {
        for key in keys {
            if let Some(row) = self.store().playbook(key).await? {
                self.inner.playbooks.put(&row).await?;
            }
        }
        Ok(())
    }

    /// On PostgreSQL another daemon may have written.
    async fn is_newest(&self, key: &PlaybookKey, known: &Shelved) -> Result<bool, Failure> {
        match self.store().engine() {
            Engine::Sqlite => Ok(true),
            Engine::Postgres => Ok(self.store().playbook_changes(key).await? == Some(known.changes)),
        }
    }
}
