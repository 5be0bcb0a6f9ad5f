//! The live trajectories: a bounded map, each entry behind its own lock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::live::Live;

type Entry = Arc<AsyncMutex<Option<Live>>>;

/// The place of one trajectory's live state: empty until it is loaded, and after a failure.
pub type Slot = OwnedMutexGuard<Option<Live>>;

/// The live trajectories.
pub struct Sessions {
    capacity: usize,
    map: Mutex<Map>,
}

#[derive(Default)]
struct Map {
    clock: u64,
    entries: HashMap<String, (Entry, u64)>,
}

impl Sessions {
    /// Makes room for about `capacity` live trajectories; those in use at the same time may be more.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, map: Mutex::default() }
    }

    /// Waits for a trajectory's turn. Work on one trajectory is done one after the other, in the order of
    /// asking; there is never a second live state of the same trajectory in this process.
    pub async fn slot(&self, id: &str) -> Slot {
        let entry = self.entry(id);
        entry.lock_owned().await
    }

    /// Gives a place back. It makes room at once where nothing is loaded into it and nobody waits for it.
    pub fn give_back(&self, id: &str, slot: Slot) {
        if slot.is_some() {
            return;
        }
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits took a reference under this map's lock: two are the map's and the slot's.
        let own = Slot::mutex(&slot);
        if map.entries.get(id).is_some_and(|(entry, _)| Arc::ptr_eq(entry, own) && Arc::strong_count(own) == 2) {
            map.entries.remove(id);
        }
        drop(map);
        drop(slot);
    }

    fn entry(&self, id: &str) -> Entry {
        // The map is whole after a panic elsewhere: its changes do not panic halfway.
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        map.clock += 1;
        let now = map.clock;
        if let Some((entry, used)) = map.entries.get_mut(id) {
            *used = now;
            return Arc::clone(entry);
        }
        if map.entries.len() >= self.capacity {
            map.evict(self.capacity);
        }
        let entry = Entry::default();
        map.entries.insert(id.to_owned(), (Arc::clone(&entry), now));
        entry
    }
}

impl Map {
    /// Drops the eighth of the entries that was used longest ago and that nobody holds. A holder has its own
    /// reference, taken under this map's lock.
    fn evict(&mut self, capacity: usize) {
        let mut ages: Vec<u64> = self.entries.values().map(|(_, used)| *used).collect();
        ages.sort_unstable();
        let oldest = ages.get(capacity / 8).copied().unwrap_or(u64::MAX);
        self.entries.retain(|_, (entry, used)| *used > oldest || Arc::strong_count(entry) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn empty_places_are_given_back_but_not_from_under_who_waits() {
        let sessions = Sessions::new(8);
        let slot = sessions.slot("unknown").await;
        let waiting = sessions.entry("unknown");
        sessions.give_back("unknown", slot);
        assert!(Arc::ptr_eq(&waiting, &sessions.entry("unknown")));
        sessions.give_back("unknown", waiting.lock_owned().await);
        assert!(sessions.map.lock().unwrap_or_else(PoisonError::into_inner).entries.is_empty());
    }

    #[tokio::test]
    async fn entries_in_use_are_never_dropped_and_others_make_room() {
        let sessions = Sessions::new(8);
        let held = sessions.slot("held").await;
        for n in 0..100 {
            drop(sessions.slot(&n.to_string()).await);
        }
        let entry = sessions.entry("held");
        assert!(entry.try_lock().is_err(), "a second live state stands beside the held one");
        drop(held);
        assert!(sessions.map.lock().unwrap_or_else(PoisonError::into_inner).entries.len() <= 9);
    }
}
