//! A recorded run, read once: its messages as they go in, and what its actions need.

use recap_core::trajectory::WireFormat;
use recap_core::tuning::{RecordError, Recorded};
use serde_json::Value;
use serde_json::value::RawValue;

/// Why a recorded run cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The measures read another form.
    #[error("not in OpenAI's format, which the measures read")]
    Format,
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
    /// Its messages as recorded.
    pub messages: Vec<Box<RawValue>>,
    /// What its actions need.
    pub recorded: Recorded,
}

impl RecordedRun {
    /// Reads messages in `OpenAI`'s form. `task` is the run's own name where it is not known.
    ///
    /// # Errors
    ///
    /// [`Unusable`]
    pub fn read(
        id: String,
        task: Option<String>,
        success: Option<bool>,
        (format, messages): (WireFormat, Vec<Box<RawValue>>),
    ) -> Result<Self, Unusable> {
        if format != WireFormat::OpenAi {
            return Err(Unusable::Format);
        }
        let values = messages.iter().enumerate().map(|(index, message)| {
            serde_json::from_str::<Value>(message.get()).map_err(|source| Unusable::Json { index, source })
        });
        let recorded = Recorded::new(values.collect::<Result<_, _>>()?)?;
        Ok(Self { task: task.unwrap_or_else(|| id.clone()), id, success, messages, recorded })
    }

    /// Tells whether its full contexts reach this many tokens, the system prompt apart.
    #[must_use]
    pub fn reaches(&self, min_peak: i64) -> bool {
        self.recorded.body_tokens() >= min_peak && self.recorded.full_peak() >= min_peak
    }
}
