//! A recorded run, read once: its messages as they go in, and what its actions need.

use recap_core::trajectory::{Limits, Message, OutFormat, RenderItem, WireFormat, parse_messages, render_sequence};
use recap_core::tuning::{RecordError, Recorded};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::pipeline::task::TaskTold;

/// Why a recorded run cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It is not in its provider's format.
    #[error("{pointer}: {detail}")]
    Message {
        /// Where, as a JSON pointer.
        pointer: String,
        /// What was expected and what stands there.
        detail: String,
    },
    /// A message is no JSON that can be read.
    #[error("message {index}: {source}")]
    Json {
        /// Its place, from 0.
        index: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A message is no message.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// A recorded run.
#[derive(Debug)]
pub struct RecordedRun {
    /// Its name.
    pub id: String,
    /// Its task's name: runs of one task stand on one side of every split.
    pub task: String,
    /// Whether the agent succeeded, where that was recorded.
    pub success: Option<bool>,
    /// Its messages in `OpenAI`'s form, which the measures read: as recorded where that was theirs.
    pub messages: Vec<Box<RawValue>>,
    /// What its actions need.
    pub recorded: Recorded,
}

impl RecordedRun {
    /// Reads messages in any provider's form. The task has the name that [`TaskTold::name`] gives, else the run's own.
    ///
    /// # Errors
    ///
    /// [`Unusable`]
    pub fn read(
        id: String,
        told: TaskTold<'_>,
        success: Option<bool>,
        (format, messages): (WireFormat, Vec<Box<RawValue>>),
    ) -> Result<Self, Unusable> {
        let messages = match format {
            WireFormat::OpenAi => messages,
            WireFormat::Anthropic => rendered(&parsed(format, &messages)?)?,
        };
        let values = messages.iter().enumerate().map(|(index, message)| {
            serde_json::from_str::<Value>(message.get()).map_err(|source| Unusable::Json { index, source })
        });
        let recorded = Recorded::new(values.collect::<Result<_, _>>()?)?;
        let task = told.name(messages.iter().map(|message| message.get())).unwrap_or_else(|| id.clone());
        Ok(Self { id, task, success, messages, recorded })
    }

    /// Tells whether its full contexts reach this many tokens, the system prompt apart.
    #[must_use]
    pub fn reaches(&self, min_peak: i64) -> bool {
        self.recorded.body_tokens() >= min_peak && self.recorded.full_peak() >= min_peak
    }
}

fn parsed(format: WireFormat, messages: &[Box<RawValue>]) -> Result<Vec<Message>, Unusable> {
    let raw: Vec<&RawValue> = messages.iter().map(AsRef::as_ref).collect();
    parse_messages(format, &raw, &Limits::unbounded()).map_err(|faults| {
        let first = faults.into_iter().next();
        first.map_or(Unusable::Message { pointer: String::new(), detail: "no message".to_owned() }, |fault| {
            Unusable::Message { pointer: fault.pointer, detail: fault.detail }
        })
    })
}

/// Writes messages in `OpenAI`'s form.
///
/// # Errors
///
/// None that rendered JSON leads to.
pub fn rendered(messages: &[Message]) -> Result<Vec<Box<RawValue>>, Unusable> {
    let items: Vec<RenderItem<'_>> =
        messages.iter().map(|message| RenderItem::Message { message, edits: None }).collect();
    let texts = render_sequence(&items, OutFormat::OpenAi).messages.into_iter().enumerate();
    texts.map(|(index, text)| RawValue::from_string(text).map_err(|source| Unusable::Json { index, source })).collect()
}
