//! Limits of one process: calls at a time, tokens in any hour, dollars a day.
//!
//! Tokens and cost are reserved by an estimate before an attempt and settled after it, so that calls at the
//! same time cannot pass a limit together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{Cap, LlmError};
use crate::world::World;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// Minutes for which a minute's tokens count: an hour, and the rest of the minute itself.
const WINDOW: i64 = 61;
/// Calls that may wait for each one that runs.
const WAITING: usize = 16;

/// The limits; see `[llm]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapLimits {
    /// Calls at the same time.
    pub concurrency: usize,
    /// Tokens, read and written, in any hour.
    pub tokens_per_hour: u64,
    /// Millionths of a US dollar in a UTC day.
    pub cost_per_day_usd_micros: Option<i64>,
}

/// What was spent at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Tokens read and written.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub cost_usd_micros: i64,
}

/// The limits with what was spent under them.
#[derive(Debug)]
pub struct Caps {
    limits: CapLimits,
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    sums: Mutex<Sums>,
    world: World,
}

#[derive(Debug, Default)]
struct Sums {
    /// Tokens by minute since 1970.
    minutes: BTreeMap<i64, u64>,
    /// Days since 1970.
    day: i64,
    cost_usd_micros: i64,
}

/// The right to run a call; given back when dropped.
#[derive(Debug)]
pub struct Turn {
    _place: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

/// An estimate that counts as spent until it is settled; dropped unsettled, it stays, because the call may
/// be charged for.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    caps: Arc<Caps>,
    spent: Spent,
}

impl Caps {
    /// Makes limits under which nothing was spent.
    #[must_use]
    pub fn new(limits: CapLimits, world: World) -> Arc<Self> {
        let places = limits.concurrency.saturating_mul(1 + WAITING).min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            limits,
            places: Arc::new(Semaphore::new(places)),
            turns: Arc::new(Semaphore::new(limits.concurrency.min(Semaphore::MAX_PERMITS))),
            sums: Mutex::default(),
            world,
        })
    }

    /// Adds what was spent before this process began.
    pub fn seed(&self, rows: impl IntoIterator<Item = Spent>) {
        let mut sums = self.sums_at(self.world.now_ms());
        for row in rows {
            sums.add(row);
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// [`Cap::Queue`] at once where too many wait already.
    pub async fn enter(&self) -> Result<Turn, LlmError> {
        let full = |_| LlmError::Capped { which: Cap::Queue, retry_after_s: Some(1) };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(full)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| LlmError::Cancelled)?;
        Ok(Turn { _place: place, _turn: turn })
    }

    /// Counts an estimate as spent.
    ///
    /// # Errors
    ///
    /// [`LlmError::Capped`] where that would pass a limit; nothing is counted then.
    pub fn reserve(self: &Arc<Self>, tokens: u64, cost_usd_micros: i64) -> Result<Reservation, LlmError> {
        let now_ms = self.world.now_ms();
        let spent = Spent { at_ms: now_ms, tokens, cost_usd_micros };
        let mut sums = self.sums_at(now_ms);
        self.check(&sums, spent)?;
        sums.add(spent);
        drop(sums);
        Ok(Reservation { caps: Arc::clone(self), spent })
    }

    fn check(&self, sums: &Sums, wanted: Spent) -> Result<(), LlmError> {
        let most = self.limits.tokens_per_hour;
        if sums.tokens().saturating_add(wanted.tokens) > most {
            let retry_after_s = most.checked_sub(wanted.tokens).and_then(|room| sums.seconds_to(room, wanted.at_ms));
            return Err(LlmError::Capped { which: Cap::TokensPerHour, retry_after_s });
        }
        let Some(most) = self.limits.cost_per_day_usd_micros else {
            return Ok(());
        };
        if sums.cost_usd_micros.saturating_add(wanted.cost_usd_micros) > most {
            let tomorrow = seconds_up(DAY_MS - wanted.at_ms.rem_euclid(DAY_MS));
            let retry_after_s = (wanted.cost_usd_micros <= most).then_some(tomorrow);
            return Err(LlmError::Capped { which: Cap::CostPerDay, retry_after_s });
        }
        Ok(())
    }

    /// Returns the sums without what no longer counts.
    fn sums_at(&self, now_ms: i64) -> MutexGuard<'_, Sums> {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = minute_of(now_ms) - WINDOW + 1;
        sums.minutes = sums.minutes.split_off(&oldest);
        let day = now_ms.div_euclid(DAY_MS);
        if sums.day != day {
            (sums.day, sums.cost_usd_micros) = (day, 0);
        }
        sums
    }
}

impl Sums {
    fn tokens(&self) -> u64 {
        self.minutes.values().fold(0, |sum, tokens| sum.saturating_add(*tokens))
    }

    fn add(&mut self, spent: Spent) {
        let minute = self.minutes.entry(minute_of(spent.at_ms)).or_default();
        *minute = minute.saturating_add(spent.tokens);
        if spent.at_ms.div_euclid(DAY_MS) == self.day {
            self.cost_usd_micros = self.cost_usd_micros.saturating_add(spent.cost_usd_micros);
        }
    }

    fn take(&mut self, spent: Spent) {
        if let Some(minute) = self.minutes.get_mut(&minute_of(spent.at_ms)) {
            *minute = minute.saturating_sub(spent.tokens);
        }
        if spent.at_ms.div_euclid(DAY_MS) == self.day {
            self.cost_usd_micros = self.cost_usd_micros.saturating_sub(spent.cost_usd_micros);
        }
    }

    /// Returns the seconds until at most `room` tokens count.
    fn seconds_to(&self, room: u64, now_ms: i64) -> Option<u64> {
        let mut left = self.tokens();
        for (minute, tokens) in &self.minutes {
            left = left.saturating_sub(*tokens);
            if left <= room {
                return Some(seconds_up((minute + WINDOW) * MINUTE_MS - now_ms));
            }
        }
        None
    }
}

impl Reservation {
    /// Replaces the estimate by what was spent.
    pub fn settle(self, tokens: u64, cost_usd_micros: i64) {
        let mut sums = self.caps.sums_at(self.caps.world.now_ms());
        sums.take(self.spent);
        sums.add(Spent { at_ms: self.spent.at_ms, tokens, cost_usd_micros });
    }
}

fn minute_of(ms: i64) -> i64 {
    ms.div_euclid(MINUTE_MS)
}

fn seconds_up(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    /// Noon of a day.
    const NOON: i64 = 20_000 * DAY_MS + DAY_MS / 2;

    struct Clock(Arc<AtomicI64>);

    impl Clock {
        fn set(&self, ms: i64) {
            self.0.store(ms, Ordering::Relaxed);
        }
    }

    fn caps(tokens_per_hour: u64, cost_per_day_usd_micros: Option<i64>) -> (Arc<Caps>, Clock) {
        let now = Arc::new(AtomicI64::new(NOON));
        let clock = Clock(Arc::clone(&now));
        let world = World::new(move || now.load(Ordering::Relaxed), String::new);
        (Caps::new(CapLimits { concurrency: 1, tokens_per_hour, cost_per_day_usd_micros }, world), clock)
    }

    fn capped(result: Result<Reservation, LlmError>) -> (Cap, Option<u64>) {
        match result {
            Err(LlmError::Capped { which, retry_after_s }) => (which, retry_after_s),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn estimates_count_until_they_are_settled() {
        let (caps, _) = caps(100, None);
        let first = caps.reserve(80, 0).unwrap();
        assert_eq!(capped(caps.reserve(30, 0)), (Cap::TokensPerHour, Some(61 * 60)));
        first.settle(10, 0);
        caps.reserve(90, 0).unwrap().settle(90, 0);
        capped(caps.reserve(1, 0));
    }

    #[test]
    fn a_dropped_estimate_stays() {
        let (caps, _) = caps(100, None);
        drop(caps.reserve(80, 0).unwrap());
        capped(caps.reserve(30, 0));
    }

    #[test]
    fn the_hour_slides() {
        let (caps, clock) = caps(100, None);
        caps.reserve(60, 0).unwrap().settle(60, 0);
        clock.set(NOON + 30 * MINUTE_MS);
        caps.reserve(40, 0).unwrap().settle(40, 0);
        assert_eq!(capped(caps.reserve(50, 0)), (Cap::TokensPerHour, Some(31 * 60)));
        assert_eq!(capped(caps.reserve(70, 0)), (Cap::TokensPerHour, Some(61 * 60)));
        assert_eq!(capped(caps.reserve(101, 0)), (Cap::TokensPerHour, None));
        clock.set(NOON + 61 * MINUTE_MS - 1);
        capped(caps.reserve(50, 0));
        clock.set(NOON + 61 * MINUTE_MS);
        caps.reserve(60, 0).unwrap().settle(60, 0);
    }

    #[test]
    fn cost_counts_by_day() {
        let (caps, clock) = caps(u64::MAX, Some(1000));
        caps.reserve(1, 900).unwrap().settle(1, 950);
        assert_eq!(capped(caps.reserve(1, 51)), (Cap::CostPerDay, Some(12 * 3600)));
        assert_eq!(capped(caps.reserve(1, 1001)), (Cap::CostPerDay, None));
        let late = caps.reserve(1, 50).unwrap();
        clock.set(NOON + DAY_MS / 2);
        late.settle(1, 999);
        caps.reserve(1, 1000).unwrap().settle(1, 0);
    }

    #[test]
    fn seeds_count_as_spent() {
        let (caps, _) = caps(100, Some(1000));
        let old = Spent { at_ms: NOON - 62 * MINUTE_MS, tokens: 100, cost_usd_micros: 600 };
        let new = Spent { at_ms: NOON - MINUTE_MS, tokens: 70, cost_usd_micros: 300 };
        let yesterday = Spent { at_ms: NOON - DAY_MS, tokens: 0, cost_usd_micros: 900 };
        caps.seed([old, new, yesterday]);
        assert_eq!(capped(caps.reserve(10, 101)).0, Cap::CostPerDay);
        assert_eq!(capped(caps.reserve(31, 0)).0, Cap::TokensPerHour);
        caps.reserve(30, 100).unwrap().settle(30, 100);
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let (caps, _) = caps(100, None);
        let first = caps.enter().await.unwrap();
        let waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(caps.enter())).collect();
        let mut waiting = futures::future::join_all(waiting);
        assert!(futures::poll!(&mut waiting).is_pending());
        assert_eq!(caps.enter().await.unwrap_err(), LlmError::Capped { which: Cap::Queue, retry_after_s: Some(1) });
        drop(waiting);
        drop(first);
        caps.enter().await.unwrap();
    }
}
