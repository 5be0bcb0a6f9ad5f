//! What is asked of a model, what it answers, and the account of each attempt.

use std::time::Duration;

use serde_json::Value as Json;

use super::error::{LlmError, Outcome};

/// What a call is for. The names are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A tool result is shortened.
    CompressObservation,
    /// Old turns become a recap.
    CompressHistory,
    /// A run is looked back on for lessons.
    Reflect,
    /// Lessons are merged into a playbook.
    Curate,
    /// Pairs of runs are compared for what compression lost.
    Analyse,
    /// A better guideline is written.
    Propose,
    /// Whether the model answers at all.
    Probe,
}

impl Purpose {
    /// Returns the stored name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CompressObservation => "compress_observation",
            Self::CompressHistory => "compress_history",
            Self::Reflect => "reflect",
            Self::Curate => "curate",
            Self::Analyse => "analyse",
            Self::Propose => "propose",
            Self::Probe => "probe",
        }
    }
}

/// A JSON schema that a reply must hold to.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// Its name: letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// The schema. For OpenAI's strict mode each object lists all of its properties as required and sets
    /// `additionalProperties` to false.
    pub json: Json,
}

/// One question to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// What it is for.
    pub purpose: Purpose,
    /// The instructions; without any, none are sent.
    pub system: String,
    /// The text that is worked on.
    pub user: String,
    /// What the reply must hold to, where the model can be held to it.
    pub schema: Option<Schema>,
    /// Most tokens of the reply; never more than `llm.max_reply_tokens`.
    pub max_tokens: u32,
    /// From 0 (the likeliest reply) to 2.
    pub temperature: f32,
    /// Longest time for the call with all its attempts and waits; `None` for what the configuration allows.
    pub within: Option<Duration>,
}

/// Why a model stopped writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The reply was complete.
    Stop,
    /// It did not say.
    Unsaid,
}

/// What a model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The text; never blank.
    pub text: String,
    /// Whether the model was held to the prompt's schema. The text may still be no JSON.
    pub constrained: bool,
    /// The model as it names itself.
    pub model: String,
    /// Why it stopped.
    pub finish: Finish,
}

/// Where a model runs. The names are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// Behind an endpoint.
    Remote,
    /// In this process.
    Local,
}

impl Site {
    /// Returns the stored name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Local => "local",
        }
    }
}

/// The account of one attempt at a call: one row of the ledger.
///
/// Where the server did not report tokens of an attempt that it may charge for, they are the estimate that
/// the limits count, too: the ledger errs on the side of the bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What the call was for.
    pub purpose: Purpose,
    /// The model's name as configured.
    pub model: String,
    /// Where it runs.
    pub backend: Site,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// Tokens read, those from the provider's cache included.
    pub prompt_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens written.
    pub reply_tokens: u64,
    /// Millionths of a US dollar; `None` where the price is unknown.
    pub cost_usd_micros: Option<i64>,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, in at most a few hundred bytes, without secrets. May quote the endpoint.
    pub error: Option<String>,
}

/// The result of a call with the account of every attempt at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The reply, or why there is none.
    pub result: Result<Reply, LlmError>,
    /// The attempts, oldest first; none where the call was given up before the first one.
    pub attempts: Vec<Attempt>,
}
