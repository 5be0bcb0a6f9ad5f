//! Why a tuning run cannot go on.

use tokio::task::JoinError;

use crate::pipeline::failure::Failure;
use crate::store::{ChangeError, StoreError};
use crate::tune::runner::RunnerError;

/// Why a tuning run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The store fails: the same step may succeed later.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to measure on.
    #[error(
        "there is no run to measure on: {found} found, {small} of them with contexts that are too small, {unusable} unusable"
    )]
    NoCases {
        /// Runs that the filter finds.
        found: usize,
        /// Of these, below the least peak.
        small: usize,
        /// Of these, that cannot be replayed.
        unusable: usize,
    },
    /// Nothing would be held out, or nothing be left to learn from.
    #[error(
        "all {tasks} tasks are on one side of the split: another `split.seed` or `split.held_out`, or more tasks, divide them"
    )]
    OneSided {
        /// Different tasks.
        tasks: usize,
    },
    /// Nothing is left to learn from.
    #[error(
        "no training task is evidence for the objective: another `split.seed` or `split.held_out`, or more tasks, may bring some"
    )]
    NoEvidence,
    /// An agent cannot be run: the same step may succeed later.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// Most runs of an agent on held-out tasks say nothing of contexts.
    #[error(
        "{silent} of {of} runs of the agent on held-out tasks kept no message or read no context: does it fail for another reason?"
    )]
    Silent {
        /// Such runs.
        silent: usize,
        /// All under the version.
        of: usize,
    },
    /// A case of a file is not in the files of now.
    #[error("the files of the run do not hold `{0}` as it was: they must hold the same runs when it goes on")]
    NotInFiles(String),
    /// The champion's text is not stored any more.
    #[error("the version {0} is not stored")]
    NoVersion(String),
    /// The head that scored when the run began is not there.
    #[error(
        "the head {0} that scored when the run began cannot be read any more: another one would change the measure"
    )]
    NoHead(String),
    /// A stored step cannot be read by this version.
    #[error("a stored step of the run cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Its proposer cannot be asked here.
    #[error("there is no chat model to propose: set `llm.model` or `models.chat`")]
    NoTeacher,
    /// The winner cannot be saved.
    #[error("the candidate that passed cannot be saved: {0}")]
    Unsaved(String),
    /// Somebody else changed where the run stands.
    #[error("the run does not stand any more where its worker left it")]
    Moved,
    /// The program failed on this run, and would again. What it said then can quote a trajectory and is not kept.
    #[error("recapd failed inside: {0}; its log says more")]
    Broken(&'static str),
    /// Work was ended from outside.
    #[error("work was cut off: {0}")]
    CutOff(&'static str),
}

impl RunError {
    /// Tells why work on a thread of its own did not come back: it failed, or the program ends.
    pub(super) fn of_thread(what: &'static str) -> impl FnOnce(JoinError) -> Self {
        move |error| if error.is_panic() { Self::Broken(what) } else { Self::CutOff(what) }
    }

    /// Tells whether the same step may succeed later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Store(_) | Self::CutOff(_) | Self::Runner(_))
    }
}

impl From<ChangeError> for RunError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Store(error) => Self::Store(error),
            _ => Self::CutOff("a change of a tuning run was refused"),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Store(error) => Self::Store(error),
            RunError::CutOff(what) => Self::CutOff(what),
            other => Self::field("", other.to_string()),
        }
    }
}
