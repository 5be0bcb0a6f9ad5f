//! Messages in: read, admitted, stored durably, taken by the live session.

use std::sync::Arc;

use recap_core::context::{Admitted, Reformatting, admit};
use recap_core::tokens::Counter;
use recap_core::trajectory::{Limits, Message, WireFormat, parse_messages, parse_system};
use serde_json::value::RawValue;

use super::events::Event;
use super::failure::{Failure, Fault};
use super::keys::Caller;
use super::{Pipeline, compute};
use crate::config::Config;
use crate::store::{AppendRequest, Appended, IdempotencyKey, NewMessage};

/// Messages as they came.
pub struct Incoming {
    /// Their format.
    pub format: WireFormat,
    /// Their JSON.
    pub messages: Vec<Box<RawValue>>,
    /// Anthropic's system prompt; it goes before the messages.
    pub system: Option<Box<RawValue>>,
}

/// An append as it came.
pub struct Append {
    /// The messages.
    pub incoming: Incoming,
    /// The length that the caller believes the trajectory has.
    pub expected_length: Option<u64>,
    /// Makes a retry safe.
    pub idempotency: Option<IdempotencyKey>,
}

impl Incoming {
    fn bytes(&self) -> usize {
        let system = self.system.as_ref().map_or(0, |system| system.get().len());
        self.messages.iter().map(|message| message.get().len()).sum::<usize>() + system
    }

    /// Reads the messages.
    ///
    /// # Errors
    ///
    /// Every fault of every message.
    pub fn parse(&self, limits: &Limits) -> Result<Vec<Message>, Vec<Fault>> {
        if self.system.is_some() && self.format != WireFormat::Anthropic {
            let detail = "only format `anthropic` has it; send a message with role `system`".to_owned();
            return Err(vec![Fault { pointer: "/system".to_owned(), detail }]);
        }
        let raw: Vec<&RawValue> = self.messages.iter().map(AsRef::as_ref).collect();
        let mut messages = parse_messages(self.format, &raw, limits)?;
        if let Some(system) = &self.system {
            messages.insert(0, parse_system(system, limits)?);
        }
        Ok(messages)
    }

    /// Reads and admits the messages, beside the async workers where they are large.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with every fault.
    pub(super) async fn admitted(
        self,
        limits: Limits,
        counter: Counter,
        reformatting: Reformatting,
    ) -> Result<Vec<Admitted>, Failure> {
        compute(self.bytes(), move || {
            let messages = self.parse(&limits).map_err(Failure::Invalid)?;
            Ok(messages.into_iter().map(|message| admit(message, counter.as_ref(), reformatting)).collect())
        })
        .await?
    }
}

/// Returns the core's limits under a configuration.
pub(super) fn limits(config: &Config) -> Limits {
    Limits {
        depth: config.limits.max_depth,
        messages: config.limits.max_messages_per_append,
        message_bytes: config.limits.max_message_bytes,
        total_bytes: config.limits.max_body_bytes,
    }
}

impl Pipeline {
    /// Appends messages, all or none. When it returns they are durable.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`], [`Failure::NotFound`], [`Failure::Length`], [`Failure::Idempotency`], and what
    /// the store fails with.
    pub async fn append_messages(&self, caller: &Caller, id: &str, append: Append) -> Result<Appended, Failure> {
        let (counter, reformatting) = self.admission(caller, id).await?;
        let messages = append.incoming.admitted(limits(self.config()), counter, reformatting).await?;
        let request = AppendRequest {
            trajectory: id.to_owned(),
            messages: messages.iter().map(new_message).collect(),
            expected_length: append.expected_length,
            idempotency: append.idempotency,
            job: None,
            now_ms: self.world().now_ms(),
        };
        let own = self.clone();
        self.to_the_end(async move { Box::pin(own.store_and_take(request, messages)).await }).await
    }

    /// Returns how messages of a trajectory are admitted.
    async fn admission(&self, caller: &Caller, id: &str) -> Result<(Counter, Reformatting), Failure> {
        let (mut slot, live) = self.take_for(caller, id).await?;
        let held = (live.counter.clone(), live.held.reformatting);
        *slot = Some(live);
        Ok(held)
    }

    async fn store_and_take(&self, mut request: AppendRequest, messages: Vec<Admitted>) -> Result<Appended, Failure> {
        let id = request.trajectory.clone();
        let (mut slot, mut live) = self.take(&id).await?;
        let largest = messages.iter().map(|admitted| admitted.served_tokens).max().unwrap_or(0);
        request.job = self.observation_job(&live, largest);
        let appended = match self.store().append(request).await {
            Ok(appended) => appended,
            Err(error) => {
                let failure = Failure::of_change(error, &id);
                // A refusal changed nothing; after a failure the stored state is read again.
                if !matches!(failure, Failure::Store(_)) {
                    *slot = Some(live);
                }
                return Err(failure);
            }
        };
        if appended.replayed {
            *slot = Some(live);
            return Ok(appended);
        }
        if appended.first == live.row.length {
            let agent = live.row.agent.clone();
            live.append(messages);
            live.row.version += 1;
            live.row.updated_ms = self.world().now_ms();
            self.count_append(&live.row.namespace, agent.as_deref(), &appended);
            self.prepare_later(&id, &mut live);
            self.embed_task_later(&mut live).await;
            let audited = Box::pin(self.audit_along(live.row.clone(), appended.appended));
            *slot = Some(live);
            drop(slot);
            audited.await;
        }
        let (length, tokens) = (appended.length, appended.tokens);
        self.events().tell(&id, Event::Appended { appended: appended.appended, length, tokens });
        Ok(appended)
    }
}

fn new_message(admitted: &Admitted) -> NewMessage {
    let message = &admitted.message;
    NewMessage {
        native: Arc::clone(&message.native),
        format: message.format,
        role: message.role,
        origin: message.origin,
        tokens: admitted.tokens,
        admitted: admitted
            .reformatted
            .iter()
            .flat_map(|edits| &edits.texts)
            .filter_map(|(block, text)| Some((u32::try_from(*block).ok()?, Arc::clone(text))))
            .collect(),
        originals: admitted.originals.iter().copied().zip(message.originals().map(Arc::clone)).collect(),
    }
}
