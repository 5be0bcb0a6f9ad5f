//! A model behind an OpenAI-compatible endpoint.

use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::Config;
use async_openai::error::OpenAIError;
use secrecy::SecretString;
use serde_json::Value as Json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::caps::{CapLimits, Caps, Spent, Turn};
use super::dialect::{Dialect, Form};
use super::error::{LlmError, Outcome};
use super::prices::{ModelPrice, Usage, micros_of_usd};
use super::prompt::{Answer, Attempt, Prompt, Reply, Site};
use super::retry::{Retry, parse_retry_after};
use super::transport::{Endpoint, EndpointError, Fault, Sender};
use super::wire;
use crate::config::Llm;
use crate::tls;
use crate::world::World;

/// Bytes of an answer for each token that its reply may have, and those that are there in any case.
const BYTES_PER_REPLY_TOKEN: usize = 32;
const BYTES_BESIDE_REPLY: usize = 64 * 1024;

/// Why a remote model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No model is named.
    #[error("llm.model is not set")]
    NoModel,
    /// The endpoint or its key is wrong.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The price of the model is unknown, and its cost is to be limited.
    #[error("llm.max_cost_per_day_usd is set, and llm.prices has no price of `{model}`")]
    UnknownPrice {
        /// The model.
        model: String,
    },
    /// TLS cannot start: the system trusts no certificate.
    #[error("TLS cannot start: {0}")]
    Tls(String),
}

/// The remote model of `[llm]`. Cheap to clone; all clones share limits.
#[derive(Clone)]
pub struct Remote {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client<Arc<dyn Config>>,
    endpoint: Arc<Endpoint>,
    model: String,
    price: ModelPrice,
    caps: Arc<Caps>,
    dialect: Dialect,
    retry: Retry,
    timeout: Duration,
    max_reply_tokens: u32,
    world: World,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("model", &self.inner.model).finish_non_exhaustive()
    }
}

impl Remote {
    /// Makes the model that `[llm]` names. `key` is `llm.api_key` or what `llm.api_key_file` holds.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]
    pub fn new(config: &Llm, key: Option<SecretString>, world: World) -> Result<Self, RemoteError> {
        Self::with_retry(config, key, world, Retry::of(config.max_attempts))
    }

    /// Makes the model with other rules for retries.
    ///
    /// # Errors
    ///
    /// [`RemoteError`]
    pub fn with_retry(
        config: &Llm,
        key: Option<SecretString>,
        world: World,
        retry: Retry,
    ) -> Result<Self, RemoteError> {
        let model = config.model.clone().ok_or(RemoteError::NoModel)?;
        let price = ModelPrice::of(&model, &config.prices);
        if config.max_cost_per_day_usd.is_some() && !price.is_known() {
            return Err(RemoteError::UnknownPrice { model });
        }
        let endpoint = Arc::new(Endpoint::new(&config.base_url, key)?);
        // A redirected POST would lose its body, and its key might go elsewhere.
        let client = tls::client_builder(&config.base_url).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| RemoteError::Tls(Fault::from(error).to_string()))?;
        let max_body_bytes = BYTES_BESIDE_REPLY + BYTES_PER_REPLY_TOKEN * config.max_reply_tokens as usize;
        let sender = Sender::new(client.clone(), max_body_bytes);
        let limits = CapLimits {
            concurrency: config.concurrency,
            tokens_per_hour: config.max_tokens_per_hour,
            cost_per_day_usd_micros: config.max_cost_per_day_usd.map(micros_of_usd),
        };
        let shared: Arc<dyn Config> = Arc::clone(&endpoint) as Arc<dyn Config>;
        let inner = Inner {
            client: Client::build(client, shared).with_http_service(sender),
            endpoint,
            model,
            price,
            caps: Caps::new(limits, world.clone()),
            dialect: Dialect::new(config.json_schema),
            retry,
            timeout: Duration::from_millis(config.timeout_ms),
            max_reply_tokens: config.max_reply_tokens,
            world,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the model's name as configured.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.inner.model
    }

    /// Counts what the ledger says was spent before this process began.
    pub fn seed(&self, rows: impl IntoIterator<Item = Spent>) {
        self.inner.caps.seed(rows);
    }

    /// Asks the model. Ends when `cancelled` does, or after the prompt's own time, which is at most
    /// `llm.timeout_ms` for each of `llm.max_attempts`, waits included.
    pub async fn complete(&self, prompt: &Prompt, cancelled: &CancellationToken) -> Answer {
        let inner = &*self.inner;
        let longest = inner.timeout.saturating_mul(inner.retry.max_attempts);
        let within = prompt.within.map_or(longest, |within| within.min(longest));
        let call = Call { inner, prompt, cancelled, within, deadline: Instant::now() + within };
        let mut attempts = Vec::new();
        let result = call.run(&mut attempts).await;
        Answer { result, attempts }
    }
}

/// One call with its attempts.
struct Call<'c> {
    inner: &'c Inner,
    prompt: &'c Prompt,
    cancelled: &'c CancellationToken,
    within: Duration,
    deadline: Instant,
}

/// What became of an attempt.
struct End {
    result: Result<Reply, LlmError>,
    /// What may be charged for.
    usage: Usage,
    /// Whether the same call can be put otherwise.
    is_learned: bool,
}

impl Call<'_> {
    async fn run(&self, attempts: &mut Vec<Attempt>) -> Result<Reply, LlmError> {
        let _turn = self.turn(attempts).await?;
        let mut pauses = self.inner.retry.begin();
        loop {
            let end = self.attempt(attempts).await;
            let failure = match end.result {
                Ok(reply) => return Ok(reply),
                Err(_) if end.is_learned => continue,
                Err(failure) => failure,
            };
            let left = self.deadline.saturating_duration_since(Instant::now());
            let Some(pause) = pauses.after(&failure, left) else {
                return Err(failure);
            };
            tokio::select! {
                biased;
                () = self.cancelled.cancelled() => return Err(LlmError::Cancelled),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn turn(&self, attempts: &mut Vec<Attempt>) -> Result<Turn, LlmError> {
        let turn = tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(LlmError::Cancelled),
            turn = self.inner.caps.enter() => turn,
            () = tokio::time::sleep_until(self.deadline) => Err(timeout(self.within)),
        };
        if let Err(failure @ LlmError::Capped { .. }) = &turn {
            attempts.push(self.account(self.inner.world.now_ms(), Duration::ZERO, Usage::default(), Some(failure)));
        }
        turn
    }

    async fn attempt(&self, attempts: &mut Vec<Attempt>) -> End {
        let max_tokens = self.prompt.max_tokens.min(self.inner.max_reply_tokens);
        let estimate = wire::estimate(self.prompt, max_tokens);
        let started_ms = self.inner.world.now_ms();
        let started = Instant::now();
        let cost = |usage| self.inner.price.cost_usd_micros(usage).unwrap_or(0);
        let reserved = self.inner.caps.reserve(estimate.total(), cost(estimate));
        let end = match reserved {
            Ok(reservation) => {
                let end = self.send(max_tokens, estimate).await;
                reservation.settle(end.usage.total(), cost(end.usage));
                end
            }
            Err(failure) => End { result: Err(failure), usage: Usage::default(), is_learned: false },
        };
        attempts.push(self.account(started_ms, started.elapsed(), end.usage, end.result.as_ref().err()));
        end
    }

    /// Sends the request once.
    async fn send(&self, max_tokens: u32, estimate: Usage) -> End {
        let form = self.inner.dialect.form(self.prompt.schema.is_some());
        let request = wire::request(self.prompt, &self.inner.model, max_tokens, form);
        let chat = self.inner.client.chat();
        let left = self.deadline.saturating_duration_since(Instant::now());
        let limit = self.inner.timeout.min(left);
        let result = tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(LlmError::Cancelled),
            answer = chat.create_byot::<_, Json>(request) => match answer {
                Ok(answer) => return read(answer, form, estimate),
                Err(error) => return self.fault(error, form, estimate),
            },
            () = tokio::time::sleep(limit) => Err(timeout(limit)),
        };
        End { result, usage: estimate, is_learned: false }
    }

    fn fault(&self, error: OpenAIError, form: Form, estimate: Usage) -> End {
        let fault = match error {
            OpenAIError::Boxed(error) => match error.downcast::<Fault>() {
                Ok(fault) => *fault,
                Err(_) => Fault::Broken("the request failed".to_owned()),
            },
            OpenAIError::Reqwest(error) => Fault::from(error),
            _ => Fault::Broken("the request failed".to_owned()),
        };
        let show = |text: &str| self.inner.endpoint.presentable(text);
        let (failure, usage) = match fault {
            Fault::Status { status, retry_after, body } => {
                let body = String::from_utf8_lossy(&body);
                let is_learned = matches!(status, 400 | 422) && self.inner.dialect.learn(form, &body);
                let failure = self.status(status, retry_after.as_deref(), &body);
                return End { result: Err(failure), usage: Usage::default(), is_learned };
            }
            Fault::TooLarge(limit_bytes) => (LlmError::TooLarge { limit_bytes }, estimate),
            Fault::NotJson(reason) => (LlmError::Garbage { reason: reason.to_owned() }, estimate),
            Fault::Unconnected(reason) => (LlmError::Transport { reason: show(&reason) }, Usage::default()),
            Fault::Broken(reason) => (LlmError::Transport { reason: show(&reason) }, estimate),
        };
        End { result: Err(failure), usage, is_learned: false }
    }

    /// Sorts an answer that is no success by what to do about it.
    fn status(&self, status: u16, retry_after: Option<&str>, body: &str) -> LlmError {
        let retry_after = retry_after.and_then(|header| parse_retry_after(header, self.inner.world.now_ms()));
        let error = serde_json::from_str::<Json>(body).unwrap_or_default();
        let word = |name: &str| error.pointer(&format!("/error/{name}")).and_then(Json::as_str);
        let reason = self.inner.endpoint.presentable(word("message").unwrap_or(body));
        match status {
            429 => {
                let is_quota = [word("code"), word("type")].contains(&Some("insufficient_quota"));
                LlmError::RateLimited { retry_after, is_quota, reason }
            }
            408 | 409 | 500.. => LlmError::Server { status, retry_after },
            _ => LlmError::Rejected { status, reason },
        }
    }

    fn account(&self, started_ms: i64, took: Duration, usage: Usage, failure: Option<&LlmError>) -> Attempt {
        Attempt {
            purpose: self.prompt.purpose,
            model: self.inner.model.clone(),
            backend: Site::Remote,
            started_ms,
            ms: millis(took),
            prompt_tokens: usage.prompt,
            cached_tokens: usage.cached,
            reply_tokens: usage.reply,
            cost_usd_micros: self.inner.price.cost_usd_micros(usage),
            outcome: failure.map_or(Outcome::Ok, LlmError::outcome),
            error: failure.map(LlmError::to_string),
        }
    }
}

fn read(answer: Json, form: Form, estimate: Usage) -> End {
    let (result, usage) = wire::read(answer, form);
    let usage = usage.unwrap_or_else(|| match &result {
        Ok(reply) => wire::estimate_of(reply, estimate),
        Err(_) => estimate,
    });
    End { result, usage, is_learned: false }
}

fn timeout(limit: Duration) -> LlmError {
    LlmError::Timeout { after_ms: millis(limit) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
