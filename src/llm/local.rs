//! A chat model in this process, asked as a remote one is. It costs no money and is asked once: what fails here fails
//! again.

use std::time::Duration;

use recap_model::causal::{Chat, Finish as Ended, Generated, Generation};
use recap_model::{Health, ModelError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::{Cap, LlmError};
use super::prompt::{Answer, Attempt, Finish, Prompt, Reply, Site};
use super::{Outcome, State};
use crate::world::World;

/// A chat model on its thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Local {
    chat: Chat,
    timeout: Duration,
    max_reply_tokens: u32,
    world: World,
}

impl Local {
    /// Takes a model that was started. A request is given up after `timeout`.
    #[must_use]
    pub fn new(chat: Chat, timeout: Duration, max_reply_tokens: u32, world: World) -> Self {
        Self { chat, timeout, max_reply_tokens, world }
    }

    /// Returns the model's name as configured.
    #[must_use]
    pub fn model(&self) -> &str {
        self.chat.name()
    }

    /// Returns the name with the beginning of the hash of its weights, once they are loaded.
    #[must_use]
    pub fn label(&self) -> String {
        super::label(self.chat.name(), self.chat.hash())
    }

    /// Tells whether it can be asked.
    #[must_use]
    pub fn state(&self) -> State {
        state(self.chat.health())
    }

    /// Asks the model.
    pub async fn complete(&self, prompt: &Prompt, cancelled: &CancellationToken) -> Answer {
        let (started_ms, start) = (self.world.now_ms(), Instant::now());
        let result = self.within(prompt, cancelled).await;
        let generated = result.as_ref().ok();
        let reply = result.as_ref().map_err(Clone::clone).and_then(|generated| self.reply(prompt, generated));
        let attempt = Attempt {
            purpose: prompt.purpose,
            model: self.model().to_owned(),
            backend: Site::Local,
            started_ms,
            ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            prompt_tokens: generated.map_or(0, |generated| generated.prompt_tokens as u64),
            cached_tokens: generated.map_or(0, |generated| generated.reused_tokens as u64),
            reply_tokens: generated.map_or(0, |generated| generated.tokens as u64),
            cost_usd_micros: Some(0),
            outcome: reply.as_ref().map_or_else(LlmError::outcome, |_| Outcome::Ok),
            error: reply.as_ref().err().map(ToString::to_string),
        };
        Answer { result: reply, attempts: vec![attempt] }
    }

    async fn within(&self, prompt: &Prompt, cancelled: &CancellationToken) -> Result<Generated, LlmError> {
        let generation = Generation {
            max_tokens: prompt.max_tokens.min(self.max_reply_tokens) as usize,
            temperature: f64::from(prompt.temperature),
            seed: 0,
            schema: prompt.schema.as_ref().map(|schema| schema.json.clone()),
        };
        let asked = self.chat.complete(prompt.system.clone(), prompt.user.clone(), generation);
        let timeout = prompt.within.unwrap_or(self.timeout).min(self.timeout);
        let timed = tokio::time::timeout(timeout, asked);
        match cancelled.run_until_cancelled(timed).await {
            None => Err(LlmError::Cancelled),
            Some(Err(_)) => Err(LlmError::Timeout { after_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX) }),
            Some(Ok(generated)) => generated.map_err(failed),
        }
    }

    fn reply(&self, prompt: &Prompt, generated: &Generated) -> Result<Reply, LlmError> {
        if generated.finish == Ended::Length {
            return Err(LlmError::Cut);
        }
        if generated.text.trim().is_empty() {
            return Err(LlmError::Empty);
        }
        Ok(Reply {
            text: generated.text.clone(),
            constrained: prompt.schema.is_some(),
            model: self.model().to_owned(),
            finish: Finish::Stop,
        })
    }
}

fn failed(error: ModelError) -> LlmError {
    match error {
        ModelError::Busy { .. } => LlmError::Capped { which: Cap::Queue, retry_after_s: Some(5) },
        ModelError::Cancelled | ModelError::Stopped => LlmError::Cancelled,
        ModelError::TooLong { .. } | ModelError::Schema { .. } => {
            LlmError::Rejected { status: 422, reason: error.to_string() }
        }
        other => LlmError::Transport { reason: other.to_string() },
    }
}

/// What scores the lines of texts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Scorer {
    reranker: recap_model::Reranker,
    timeout: Duration,
}

impl Scorer {
    /// Takes a model that was started. A request is given up after `timeout`.
    #[must_use]
    pub fn new(reranker: recap_model::Reranker, timeout: Duration) -> Self {
        Self { reranker, timeout }
    }

    /// Returns the name with the beginning of the hash of its weights, once they are loaded.
    #[must_use]
    pub fn label(&self) -> String {
        super::label(self.reranker.name(), self.reranker.hash())
    }

    /// Tells whether it can be asked.
    #[must_use]
    pub fn state(&self) -> State {
        state(self.reranker.health())
    }

    /// Returns how well each text answers the query, from 0 to 1; `None` for those beyond `most_tokens` in all.
    ///
    /// # Errors
    ///
    /// Says why there are no scores.
    pub async fn score(
        &self,
        query: String,
        texts: Vec<String>,
        most_tokens: usize,
    ) -> Result<Vec<Option<f32>>, LlmError> {
        let scored = tokio::time::timeout(self.timeout, self.reranker.score_units(query, texts, most_tokens)).await;
        let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        scored.map_err(|_| LlmError::Timeout { after_ms })?.map_err(failed)
    }
}

/// What makes texts points whose nearness is likeness of meaning. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Embedder {
    encoder: recap_model::Encoder,
    timeout: Duration,
}

impl Embedder {
    /// Takes a model that was started. A request is given up after `timeout`.
    #[must_use]
    pub fn new(encoder: recap_model::Encoder, timeout: Duration) -> Self {
        Self { encoder, timeout }
    }

    /// Returns the name with the beginning of the hash of its weights, once they are loaded.
    #[must_use]
    pub fn label(&self) -> String {
        super::label(self.encoder.name(), self.encoder.hash())
    }

    /// Tells whether it can be asked.
    #[must_use]
    pub fn state(&self) -> State {
        state(self.encoder.health())
    }

    /// Returns a point of length 1 for each text.
    ///
    /// # Errors
    ///
    /// Says why there are none.
    pub async fn embed(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, LlmError> {
        let embedded = tokio::time::timeout(self.timeout, self.encoder.embed(texts)).await;
        let after_ms = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        embedded.map_err(|_| LlmError::Timeout { after_ms })?.map_err(failed)
    }
}

/// What a model's health means to who would ask it.
fn state(health: Health) -> State {
    match health {
        Health::Loading => State::Loading,
        Health::Ready => State::Ready,
        Health::Failed { why } => State::Failed(why),
        Health::Stopped => State::Failed("it was stopped".to_owned()),
    }
}
