//! The guideline sets: those that ship in the program, and those of the operator's folder.

mod folder;
mod shipped;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use recap_core::compress::{Guideline, RulesError, RulesMatcher};
use recap_core::trajectory::OriginalHash;

use super::failure::Failure;

/// The set of who names none.
pub const DEFAULT_SET: &str = "default";

/// What a guideline speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Single tool results.
    Observation,
    /// The past turns.
    History,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Observation, Self::History];

    /// Returns the name, which is the file's without `.md`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::History => "history",
        }
    }
}

/// One guideline, ready to steer.
#[derive(Debug, Clone)]
pub struct Steering {
    /// Its compiled front matter.
    pub rules: Arc<RulesMatcher>,
    /// The address of its whole text.
    pub hash: OriginalHash,
    /// Set, kind and the hash's beginning, as in `coding/history@b3:0123abcd`.
    pub label: String,
}

/// The guidelines of one set.
#[derive(Debug, Clone)]
pub struct GuidelineSet {
    /// For single tool results.
    pub observation: Steering,
    /// For the past turns.
    pub history: Steering,
}

/// A guideline that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GuidelineFault {
    /// A file or folder cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than a guideline may be.
    #[error("{path} has more than {most} bytes")]
    Large {
        /// The file.
        path: PathBuf,
        /// Most bytes.
        most: u64,
    },
    /// A file is not UTF-8.
    #[error("{path}: line {line}, column {column}: not UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
    },
    /// A folder's name cannot be that of a set.
    #[error("{path}: the name of a set has 1 to 64 of `a-z 0-9 _ -`")]
    SetName {
        /// The folder.
        path: PathBuf,
    },
    /// A file's name is that of no kind.
    #[error("{path}: a set holds `observation.md` and `history.md`, no other `.md`")]
    KindName {
        /// The file.
        path: PathBuf,
    },
    /// The text is no guideline.
    #[error("{path}: {source}")]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: RulesError,
    },
}

/// Every guideline that cannot be used.
#[derive(Debug)]
pub struct GuidelineFaults(pub Vec<GuidelineFault>);

impl fmt::Display for GuidelineFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|fault| format!("guidelines.dir: {fault}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for GuidelineFaults {}

/// All sets by name. There always is [`DEFAULT_SET`].
#[derive(Debug, Clone)]
pub struct Guidelines {
    default: Arc<GuidelineSet>,
    sets: BTreeMap<String, Arc<GuidelineSet>>,
}

impl Guidelines {
    /// Reads and compiles the shipped guidelines, and over them those of the configured folder.
    ///
    /// # Errors
    ///
    /// [`GuidelineFaults`], naming every fault at once.
    pub fn load(config: &crate::config::Guidelines) -> Result<Self, GuidelineFaults> {
        let mut files = shipped::files();
        let mut faults = Vec::new();
        if let Some(dir) = &config.dir {
            files.extend(folder::files(dir, &mut faults));
        }
        let mut found: BTreeMap<String, [Option<Steering>; 2]> = BTreeMap::new();
        for file in files {
            match file.steering() {
                Ok(steering) => {
                    let [observation, history] = found.entry(file.set).or_default();
                    *(if file.kind == Kind::Observation { observation } else { history }) = Some(steering);
                }
                Err(source) => faults.push(GuidelineFault::Rules { path: file.path, source }),
            }
        }
        let Some([Some(observation), Some(history)]) = found.get(DEFAULT_SET).cloned() else {
            return Err(GuidelineFaults(faults));
        };
        if !faults.is_empty() {
            return Err(GuidelineFaults(faults));
        }
        let default = Arc::new(GuidelineSet { observation, history });
        let complete = |[observation, history]: [Option<Steering>; 2]| GuidelineSet {
            observation: observation.unwrap_or_else(|| default.observation.clone()),
            history: history.unwrap_or_else(|| default.history.clone()),
        };
        let sets = found.into_iter().map(|(name, kinds)| (name, Arc::new(complete(kinds)))).collect();
        Ok(Self { default, sets })
    }

    /// Returns a set by name; the default set where none is named.
    #[must_use]
    pub fn get(&self, name: Option<&str>) -> Option<&GuidelineSet> {
        match name {
            None => Some(&self.default),
            Some(name) => self.sets.get(name).map(Arc::as_ref),
        }
    }

    /// Returns the default set.
    #[must_use]
    pub fn default_set(&self) -> &GuidelineSet {
        &self.default
    }

    /// Returns the set that a request names.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with the names that there are.
    pub fn asked(&self, name: Option<&str>) -> Result<&GuidelineSet, Failure> {
        self.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.sets.keys().map(String::as_str).collect();
            let detail = format!("no such set; there are {}", names.join(", "));
            Failure::field("/guideline_set", detail)
        })
    }

    /// Returns all sets, ordered by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &GuidelineSet)> {
        self.sets.iter().map(|(name, set)| (name.as_str(), set.as_ref()))
    }
}

/// A guideline's text and where it stands.
struct File {
    set: String,
    kind: Kind,
    path: PathBuf,
    text: String,
}

impl File {
    fn steering(&self) -> Result<Steering, RulesError> {
        const LABEL_BYTES: usize = "b3:".len() + 8;
        let guideline = Guideline::parse(&self.text)?;
        let rules = Arc::new(RulesMatcher::new(&guideline.rules)?);
        let hash = guideline.hash.to_string();
        let short = hash.get(..LABEL_BYTES).unwrap_or_default();
        let label = format!("{}/{}@{short}", self.set, self.kind.name());
        Ok(Steering { rules, hash: guideline.hash, label })
    }
}

#[cfg(test)]
mod tests;
