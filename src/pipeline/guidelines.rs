//! The guideline sets: those that ship in the program, those of the operator's folder, and what operators activate.
//!
//! `folder` and `shipped` read files, `current` is what steers now, `watch` keeps it up to date with folder and store,
//! `versions` are the use cases of operators, `attempt` tries a version on a stored trajectory, `models` with models.
//! `pinned` lets a version steer one trajectory.

mod attempt;
mod current;
mod faults;
mod folder;
mod models;
mod pinned;
mod shipped;
mod versions;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use recap_core::compress::{Guideline, RulesError, RulesMatcher};
use recap_core::context::ActiveHead;
use recap_core::trajectory::OriginalHash;

pub use attempt::{Attempt, Outcome, Trial};
use current::{Current, Place};
pub use faults::{GuidelineFault, GuidelineFaults};
pub use pinned::Pinned;
use pinned::Pins;
pub use recap_core::compress::GuidelineKind as Kind;
pub use versions::{Activation, Draft, GuidelineState};
use watch::Watched;

use super::failure::Failure;
use crate::store::GuidelineKey;

/// The set of who names none.
pub const DEFAULT_SET: &str = "default";

/// One guideline, ready to steer.
#[derive(Debug, Clone)]
pub struct Steering {
    /// All of it: words for models, sections, thresholds.
    pub guideline: Arc<Guideline>,
    /// Its compiled rules.
    pub rules: Arc<RulesMatcher>,
    /// The address of its whole text.
    pub hash: OriginalHash,
    /// Set, kind and the hash's beginning, as in `coding/history@b3:0123abcd`.
    pub label: String,
}

impl Steering {
    /// Reads and compiles a text.
    ///
    /// # Errors
    ///
    /// [`RulesError`]
    pub fn read(set: &str, kind: Kind, text: &str) -> Result<Self, RulesError> {
        let guideline = Guideline::parse_as(kind, text)?;
        let rules = Arc::new(RulesMatcher::new(&guideline.rules)?);
        let hash = guideline.hash;
        let label = format!("{set}/{}@{}", kind.name(), hash.handle());
        Ok(Self { guideline: Arc::new(guideline), rules, hash, label })
    }
}

/// The guidelines of one set that compressors follow.
#[derive(Debug, Clone)]
pub struct GuidelineSet {
    /// For single tool results.
    pub observation: Steering,
    /// For the past turns.
    pub history: Steering,
    /// The trained head that `extract` asks, where one is active.
    pub head: Option<Arc<ActiveHead>>,
}

impl GuidelineSet {
    /// Tells whether both steer in the same way and under the same names.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |one: &Steering, other: &Steering| one.hash == other.hash && one.label == other.label;
        let heads = [self, other].map(|set| set.head.as_ref().map(|head| head.hash));
        same(&self.observation, &other.observation) && same(&self.history, &other.history) && heads[0] == heads[1]
    }
}

/// All guidelines, and which of them steer now. There always is [`DEFAULT_SET`].
#[derive(Debug)]
pub struct Guidelines {
    dir: Option<PathBuf>,
    shipped: BTreeMap<Place, Steering>,
    current: ArcSwap<Current>,
    pins: Pins,
    watched: tokio::sync::Mutex<Watched>,
}

impl Guidelines {
    /// Reads and compiles the shipped guidelines, and over them those of the configured folder. What operators
    /// activated comes with the store, see `Pipeline::open_guidelines`.
    ///
    /// # Errors
    ///
    /// [`GuidelineFaults`], naming every fault at once.
    pub fn load(config: &crate::config::Guidelines) -> Result<Self, GuidelineFaults> {
        let mut faults = Vec::new();
        let shipped = steering_of(&shipped::files(), &mut faults);
        let files = config.dir.as_deref().map(|dir| folder::files(dir, &mut faults)).unwrap_or_default();
        let own = steering_of(&files, &mut faults);
        let mut champions = shipped.clone();
        champions.extend(own);
        let Some(current) = Current::of_champions(champions).filter(|_| faults.is_empty()) else {
            return Err(GuidelineFaults(faults));
        };
        let current = ArcSwap::from_pointee(current);
        Ok(Self {
            dir: config.dir.clone(),
            shipped,
            current,
            pins: Pins::default(),
            watched: tokio::sync::Mutex::default(),
        })
    }

    /// Returns the champions of a set by name; those of the default set where none is named.
    #[must_use]
    pub fn get(&self, name: Option<&str>) -> Option<Arc<GuidelineSet>> {
        self.current.load().champions(name.unwrap_or(DEFAULT_SET))
    }

    /// Returns what steers a trajectory: the set that is pinned to it, else the champions of its set, or a version on trial
    /// if the trajectory is in its share. The default set where none is named; `None` where there is no such set.
    #[must_use]
    pub fn for_trajectory(&self, set: Option<&str>, trajectory: &str) -> Option<Arc<GuidelineSet>> {
        self.pins.of(trajectory).or_else(|| self.current.load().for_trajectory(set.unwrap_or(DEFAULT_SET), trajectory))
    }

    /// Returns the champions of the default set.
    #[must_use]
    pub fn default_set(&self) -> Arc<GuidelineSet> {
        self.current.load().default_set()
    }

    /// Returns the champion of any kind, which is the default set's where the set has none.
    #[must_use]
    pub fn champion(&self, set: Option<&str>, kind: Kind) -> Option<Steering> {
        let current = self.current.load();
        current
            .champion(&Place { set: set.unwrap_or(DEFAULT_SET).to_owned(), kind })
            .or_else(|| current.champion(&Place { set: DEFAULT_SET.to_owned(), kind }))
            .cloned()
    }

    /// Returns the set that a request names.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with the names that there are.
    pub fn asked(&self, name: Option<&str>) -> Result<Arc<GuidelineSet>, Failure> {
        self.get(name).ok_or_else(|| {
            let names: Vec<String> = self.all().into_iter().map(|(name, _)| name).collect();
            let detail = format!("no such set; there are {}", names.join(", "));
            Failure::field("/guideline_set", detail)
        })
    }

    /// Makes a trained head the one that `extract` asks, from the next epochs on; none where there is none.
    #[expect(clippy::needless_pass_by_value, reason = "it is handed over")]
    pub fn set_head(&self, head: Option<Arc<ActiveHead>>) {
        self.current.rcu(|current| current.with_head(head.clone()));
    }

    /// Returns the champions of all sets, ordered by name.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Arc<GuidelineSet>)> {
        self.current.load().all()
    }

    /// Returns what is wrong with the operator's files, and with stored versions that cannot be used.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        self.current.load().faults.clone()
    }
}

/// A guideline's text and where it stands.
#[derive(Debug, Clone)]
struct File {
    place: Place,
    path: PathBuf,
    text: String,
}

impl Place {
    fn key(&self) -> GuidelineKey {
        GuidelineKey { set: self.set.clone(), kind: self.kind.name().to_owned() }
    }
}

fn steering_of(files: &[File], faults: &mut Vec<GuidelineFault>) -> BTreeMap<Place, Steering> {
    let mut found = BTreeMap::new();
    for File { place, path, text } in files {
        match Steering::read(&place.set, place.kind, text) {
            Ok(steering) => drop(found.insert(place.clone(), steering)),
            Err(source) => faults.push(GuidelineFault::Rules { path: path.clone(), source }),
        }
    }
    found
}

#[cfg(test)]
mod tests;
