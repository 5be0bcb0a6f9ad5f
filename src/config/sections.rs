//! The sections of the configuration. Meanings, units and defaults stand in `recapd.example.toml`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::policy::Policy;

/// Everything that an operator can set.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[storage]`
    pub storage: Storage,
    /// `[limits]`
    pub limits: Limits,
    /// `[auth]`
    pub auth: Auth,
    /// `[context]`
    pub context: Context,
    /// `[compress]`
    pub compress: Compress,
    /// `[policies]`: by `namespace:<name>` or `agent:<name>`.
    pub policies: BTreeMap<String, Policy>,
    /// `[llm]`
    pub llm: Llm,
    /// `[models]`
    pub models: Models,
    /// `[jobs]`
    pub jobs: Jobs,
    /// `[guidelines]`
    pub guidelines: Guidelines,
    /// `[playbook]`
    pub playbook: Playbook,
    /// `[tuning]`
    pub tuning: Tuning,
    /// `[tokens]`
    pub tokens: Tokens,
    /// `[log]`
    pub log: Log,
}

/// `[server]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Longest time for one request.
    pub request_timeout_ms: u64,
    /// Requests in work at the same time.
    pub max_concurrent_requests: usize,
    /// Longest wait for requests in work at a stop.
    pub shutdown_grace_ms: u64,
}

impl Server {
    /// Returns the longest time for one request.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Returns the longest wait at a stop.
    #[must_use]
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_millis(self.shutdown_grace_ms)
    }
}

/// `[storage]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// A PostgreSQL URL.
    pub database_url: Option<SecretString>,
    /// A file that holds one.
    pub database_url_file: Option<PathBuf>,
}

/// `[limits]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest request body.
    pub max_body_bytes: usize,
    /// Deepest nesting of a body.
    pub max_depth: usize,
    /// Most messages at once.
    pub max_messages_per_append: usize,
    /// Largest single message.
    pub max_message_bytes: usize,
    /// Live trajectories kept in memory.
    pub cache_sessions: usize,
    /// Event streams at the same time.
    pub sse_clients: usize,
    /// Events that a stream may lag behind.
    pub sse_buffer: usize,
}

/// `[auth]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Ask for keys on loopback, too, even where there is none yet.
    pub keys_required: bool,
    /// A file with one static key.
    pub key_file: Option<PathBuf>,
}

/// `[context]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Tokens of a context where nobody names a budget.
    pub budget: u32,
    /// Share of the room above which the next epoch is prepared.
    pub soft_mark: f64,
    /// Share of the room at which a new epoch lands.
    pub low_mark: f64,
    /// Share of the room up to which turns before the last one stay as messages when an epoch begins.
    pub tail_share: f64,
    /// Largest share of the room for human words kept as they were said.
    pub pinned_share: f64,
}

/// `[compress]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compress {
    /// For tool results.
    pub observation: Compressor,
    /// For old turns.
    pub history: Compressor,
    /// Tokens above which a model shortens a tool result.
    pub t_obs: u32,
    /// Tokens of covered turns above which a model writes their recap.
    pub t_hist: u32,
}

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compressor {
    /// Deterministic rules.
    Rules,
    /// A small local encoder.
    Extract,
    /// A language model.
    Llm,
    /// None.
    Off,
}

impl Compressor {
    /// Returns the name as it is written in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rules => "rules",
            Self::Extract => "extract",
            Self::Llm => "llm",
            Self::Off => "off",
        }
    }
}

/// `[llm]`: a remote model behind an OpenAI-compatible endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Llm {
    /// The endpoint's base URL, up to and with `/v1`.
    pub base_url: String,
    /// The model's name; without one there is no remote model.
    pub model: Option<String>,
    /// The key.
    pub api_key: Option<SecretString>,
    /// A file that holds it.
    pub api_key_file: Option<PathBuf>,
    /// Longest time for one attempt.
    pub timeout_ms: u64,
    /// Attempts at one call.
    pub max_attempts: u32,
    /// Calls at the same time.
    pub concurrency: usize,
    /// Tokens, read and written, in any hour.
    pub max_tokens_per_hour: u64,
    /// US dollars a day (UTC).
    pub max_cost_per_day_usd: Option<f64>,
    /// Tokens of the model's window, reply included.
    pub window_tokens: u32,
    /// Most tokens of a reply.
    pub max_reply_tokens: u32,
    /// Whether replies are constrained by a JSON schema.
    pub json_schema: JsonSchemaUse,
    /// Prices by model name; a model that is not there has an unknown price.
    pub prices: BTreeMap<String, Price>,
}

/// Whether replies are constrained by a JSON schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JsonSchemaUse {
    /// Until the server refuses it.
    Auto,
    /// Always.
    On,
    /// Never: replies are plain text.
    Off,
}

/// What a model's tokens cost.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// US dollars for a million tokens read.
    pub input: f64,
    /// US dollars for a million tokens read from the provider's cache; as `input` where it is absent.
    pub cached: Option<f64>,
    /// US dollars for a million tokens written.
    pub output: f64,
}

/// `[models]`: models that run in this process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// Where pulled models are; `models` in the data folder where it is absent.
    pub dir: Option<PathBuf>,
    /// The sentence encoder: a name in `dir`, or a path.
    pub encoder: Option<String>,
    /// The cross-encoder that scores lines: a name in `dir`, or a path.
    pub reranker: Option<String>,
    /// The chat model: a name in `dir`, or the path of a GGUF file.
    pub chat: Option<String>,
    /// Threads that one model computes with.
    pub threads: usize,
    /// Requests that wait for one model.
    pub queue: usize,
    /// Tokens of the chat model's window, reply included.
    pub window_tokens: u32,
    /// Longest time for one request.
    pub timeout_ms: u64,
}

/// `[jobs]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    /// Jobs in work at the same time in this process.
    pub workers: usize,
    /// How long a claimed job stays a process's own without a heartbeat.
    pub lease_ms: u64,
    /// Attempts before a job is dead.
    pub max_attempts: u32,
}

/// `[guidelines]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guidelines {
    /// A folder with `<set>/<kind>.md`, over the shipped ones.
    pub dir: Option<PathBuf>,
    /// How often the folder is looked at for changes; 0 for never.
    pub watch_ms: u64,
}

/// `[playbook]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Most tokens of a playbook.
    pub budget: u32,
    /// Largest share of the room that an excerpt takes.
    pub share: f64,
    /// Whether what changes a playbook's words waits until somebody accepts it.
    pub review: bool,
    /// Whether models learn from outcomes.
    pub learn: bool,
    /// What models are told of how a run ended.
    pub labels: Labels,
    /// Most rounds of looking back on one run.
    pub rounds: u32,
}

/// What models are told of how a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Labels {
    /// Its outcome, score and feedback.
    Outcome,
    /// Nothing: what tools answered must do.
    None,
}

/// `[tuning]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tuning {
    /// Whether live trajectories are audited for grounding.
    pub audit: bool,
}

/// `[tokens]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    /// Model name to the path of its `tokenizer.json`.
    pub tokenizers: BTreeMap<String, PathBuf>,
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Filter in the syntax of `RUST_LOG`.
    pub filter: String,
    /// Form of the lines.
    pub format: LogFormat,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}
