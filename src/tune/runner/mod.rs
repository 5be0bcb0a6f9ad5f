//! A user's own agent, run for each task with full and with compressed context: live evidence.
//!
//! `tasks` and `command` read what is to be run, `process` runs it, `verdict` reads how it ended, `daemon` makes the
//! trajectories and takes the outcomes. Every run is handed to the caller when it is done: what it has kept is not run again.
//! `crew` runs the agent under one guideline set or another, `evidence` says what of it a tuning run can learn from.

mod command;
mod crew;
mod daemon;
mod evidence;
mod process;
mod run;
mod tasks;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use command::{Template, TemplateError};
pub use crew::{Crew, Successes, Told};
pub use evidence::pairs;
pub use run::{known, run_tasks};
pub use tasks::{Task, TasksError};
pub use verdict::End;

use super::replay::Budget;
use crate::pipeline::Pipeline;
use crate::pipeline::guidelines::GuidelineSet;

/// What is run.
#[derive(Clone)]
pub struct Spec {
    /// How an agent is started.
    pub command: Template,
    /// The daemon's address.
    pub url: String,
    /// The key for it, which agents get, too.
    pub key: Option<String>,
    /// Which arms; without the full one its results must be known where the budget is a share.
    pub arms: Vec<Arm>,
    /// Agents at the same time; at least 1.
    pub parallel: usize,
    /// Longest time of one run.
    pub timeout: Duration,
    /// The compressed arm's budget. A share is one of the tokens of the task's full run.
    pub budget: Budget,
    /// The compressed arm's guideline set; the default one where there is none.
    pub guideline_set: Option<String>,
    /// What steers the compressed arm in place of that set's champions, if anything does.
    pub pin: Option<Pin>,
    /// The name under which the compressed arm's results are kept: what compresses it.
    pub version: String,
    /// The name of what is run: agent and settings. Results of another one are not known to it.
    pub series: String,
    /// The namespace of the trajectories; the key's own, or `default`.
    pub namespace: Option<String>,
    /// The agent's model, whose tokenizer counts.
    pub model: Option<String>,
}

/// Guidelines that steer trajectories of the daemon in this process while an agent works on them.
#[derive(Clone)]
pub struct Pin {
    /// The daemon's.
    pub pipeline: Pipeline,
    /// What steers.
    pub set: Arc<GuidelineSet>,
}

/// One side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Contexts hold everything.
    Full,
    /// Contexts hold what fits the budget.
    Compressed,
}

impl Arm {
    /// Returns the name as agents are told it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Compressed => "compressed",
        }
    }
}

/// One run of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunnerResult {
    /// The task.
    pub task: String,
    /// The side.
    pub arm: Arm,
    /// What compressed it; absent on the full arm.
    pub version: Option<String>,
    /// The trajectory.
    pub trajectory: String,
    /// The budget; absent on the full arm.
    pub budget: Option<u32>,
    /// Whether the agent succeeded.
    pub success: bool,
    /// Its score on its own scale.
    pub score: Option<f64>,
    /// How the process ended.
    pub end: End,
    /// Messages that it appended.
    pub messages: u64,
    /// Tokens of all of them.
    pub tokens: u64,
    /// Whether it read a context.
    pub has_read: bool,
    /// The largest context that was served, system prompt apart, and the largest full one.
    pub peak_tokens: Option<(u64, u64)>,
    /// What its steps cost as served, and in full: the sum of `(n_in + 2 n_out) n_out / 2`.
    pub dependency: Option<(f64, f64)>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// The end of its standard output, at most 4,000 characters.
    pub stdout: String,
    /// The end of its standard error, likewise.
    pub stderr: String,
}

impl RunnerResult {
    /// Tells whether the run says anything of contexts: the agent kept its messages here, read a context, and ended by itself
    /// or by its time limit.
    #[must_use]
    pub fn is_evidence(&self) -> bool {
        self.messages > 0 && self.has_read && self.end != End::Cancelled
    }
}

/// Why the agents cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// The program cannot be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The daemon cannot be reached.
    #[error("{url} cannot be reached: {source}")]
    Unreachable {
        /// Its address.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The daemon refuses.
    #[error("the daemon answers {status}: {detail}")]
    Refused {
        /// Its answer's status.
        status: u16,
        /// Its words.
        detail: String,
    },
    /// The daemon's answer cannot be read.
    #[error("the daemon's answer cannot be read: {source}")]
    Answer {
        /// Why.
        source: serde_json::Error,
    },
    /// The budget is a share of the task's full run, of which nothing is known.
    #[error("nothing is known of the run of `{0}` with full contexts, of which the budget is a share")]
    NoFullRun(String),
    /// A result cannot be kept.
    #[error("a result cannot be kept: {0}")]
    Keep(Box<dyn std::error::Error + Send + Sync>),
}
