//! What steers now: a whole that is swapped at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use recap_core::context::ActiveHead;

use super::{DEFAULT_SET, GuidelineSet, Kind, Steering};

/// Shares are in millionths.
pub(super) const WHOLE_PPM: u32 = 1_000_000;

/// Which guideline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) set: String,
    pub(super) kind: Kind,
}

/// What steers at one place.
#[derive(Debug, Clone, Default)]
pub(super) struct Served {
    pub(super) champion: Option<Steering>,
    /// The version on trial and its share.
    pub(super) canary: Option<(Steering, u32)>,
}

/// What steers now.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) served: BTreeMap<Place, Served>,
    sets: BTreeMap<String, Arc<GuidelineSet>>,
    default: Arc<GuidelineSet>,
    /// The trained head of all sets.
    pub(super) head: Option<Arc<ActiveHead>>,
    /// The store's number for it.
    pub(super) state: u64,
    /// What cannot be used.
    pub(super) faults: Vec<String>,
}

impl Current {
    pub(super) fn of_champions(champions: BTreeMap<Place, Steering>) -> Option<Self> {
        let served =
            champions.into_iter().map(|(place, champion)| (place, Served { champion: Some(champion), canary: None }));
        Self::new(served.collect(), 0, Vec::new())
    }

    /// Completes the sets: a kind that a set lacks is the default set's. `None` without a whole default set.
    pub(super) fn new(served: BTreeMap<Place, Served>, state: u64, faults: Vec<String>) -> Option<Self> {
        let champion = |set: &str, kind| {
            let served: Option<&Served> = served.get(&Place { set: set.to_owned(), kind });
            served.and_then(|served| served.champion.clone())
        };
        let observation = champion(DEFAULT_SET, Kind::Observation)?;
        let history = champion(DEFAULT_SET, Kind::History)?;
        let default = Arc::new(GuidelineSet { observation, history, head: None });
        let mut sets = BTreeMap::new();
        for (Place { set, .. }, found) in &served {
            if found.champion.is_none() && found.canary.is_none() || sets.contains_key(set) {
                continue;
            }
            let complete = GuidelineSet {
                observation: champion(set, Kind::Observation).unwrap_or_else(|| default.observation.clone()),
                history: champion(set, Kind::History).unwrap_or_else(|| default.history.clone()),
                head: None,
            };
            sets.insert(set.clone(), Arc::new(complete));
        }
        Some(Self { served, sets, default, head: None, state, faults })
    }

    /// The same with a trained head.
    pub(super) fn with_head(&self, head: Option<Arc<ActiveHead>>) -> Self {
        let with = |set: &Arc<GuidelineSet>| Arc::new(GuidelineSet { head: head.clone(), ..(**set).clone() });
        let sets = self.sets.iter().map(|(name, set)| (name.clone(), with(set))).collect();
        Self { sets, default: with(&self.default), head: head.clone(), ..self.clone() }
    }

    pub(super) fn champions(&self, set: &str) -> Option<Arc<GuidelineSet>> {
        self.sets.get(set).cloned()
    }

    pub(super) fn default_set(&self) -> Arc<GuidelineSet> {
        Arc::clone(&self.default)
    }

    pub(super) fn all(&self) -> Vec<(String, Arc<GuidelineSet>)> {
        self.sets.iter().map(|(name, set)| (name.clone(), Arc::clone(set))).collect()
    }

    pub(super) fn champion(&self, place: &Place) -> Option<&Steering> {
        self.served.get(place)?.champion.as_ref()
    }

    pub(super) fn for_trajectory(&self, set: &str, trajectory: &str) -> Option<Arc<GuidelineSet>> {
        let champions = self.champions(set)?;
        let on_trial = |kind| {
            let (steering, ppm) = self.served.get(&Place { set: set.to_owned(), kind })?.canary.as_ref()?;
            is_in_share(trajectory, *ppm).then(|| steering.clone())
        };
        Some(match (on_trial(Kind::Observation), on_trial(Kind::History)) {
            (None, None) => champions,
            (observation, history) => Arc::new(GuidelineSet {
                observation: observation.unwrap_or_else(|| champions.observation.clone()),
                history: history.unwrap_or_else(|| champions.history.clone()),
                head: self.head.clone(),
            }),
        })
    }
}

/// Tells whether a trajectory is in a share. It stays in every larger one.
pub(super) fn is_in_share(trajectory: &str, ppm: u32) -> bool {
    let hash = blake3::hash(trajectory.as_bytes());
    let [a, b, c, d, ..] = *hash.as_bytes();
    u64::from(u32::from_le_bytes([a, b, c, d])) * u64::from(WHOLE_PPM) < u64::from(ppm) << 32
}
