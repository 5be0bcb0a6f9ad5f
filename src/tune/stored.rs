//! Stored trajectories as recorded runs.

use recap_core::trajectory::{Limits, Message, WireFormat, parse_messages};
use serde_json::value::RawValue;

use super::recorded::{RecordedRun, Unusable, rendered};
use crate::store::{OutcomeStatus, Store, StoreError, TrajectoryRow};

/// Messages read at once.
const CHUNK: u64 = 1_000;

/// Why a stored trajectory is no recorded run.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was deleted or cut while it was read.
    #[error("trajectory `{0}` was changed while it was read")]
    Changed(String),
    /// It cannot be replayed.
    #[error(transparent)]
    Unusable(#[from] Unusable),
}

/// Reads a stored trajectory; `partial` counts as no success.
///
/// # Errors
///
/// [`StoredError`]
pub async fn stored_run(store: &Store, row: &TrajectoryRow) -> Result<RecordedRun, StoredError> {
    let mut messages = Vec::new();
    while (messages.len() as u64) < row.length {
        let from = messages.len() as u64;
        let rows = store.messages(&row.id, from..row.length.min(from + CHUNK)).await?;
        if rows.is_empty() {
            return Err(StoredError::Changed(row.id.clone()));
        }
        messages.extend(rows.into_iter().map(|row| (row.format, row.native)));
    }
    let success = row.outcome.as_ref().and_then(|outcome| match outcome.status {
        OutcomeStatus::Success => Some(true),
        OutcomeStatus::Failure | OutcomeStatus::Partial => Some(false),
        OutcomeStatus::Unknown => None,
    });
    let messages = (WireFormat::OpenAi, in_openai(messages)?);
    Ok(RecordedRun::read(row.id.clone(), row.into(), success, messages)?)
}

/// The messages in `OpenAI`'s form, whichever each was sent in.
fn in_openai(messages: Vec<(WireFormat, std::sync::Arc<str>)>) -> Result<Vec<Box<RawValue>>, Unusable> {
    let is_own = messages.iter().all(|(format, _)| *format == WireFormat::OpenAi);
    let raw = messages.into_iter().enumerate().map(|(index, (format, native))| {
        let raw = RawValue::from_string(native.to_string()).map_err(|source| Unusable::Json { index, source })?;
        Ok((format, raw))
    });
    let raw = raw.collect::<Result<Vec<_>, Unusable>>()?;
    if is_own {
        return Ok(raw.into_iter().map(|(_, raw)| raw).collect());
    }
    let mut parsed: Vec<Message> = Vec::with_capacity(raw.len());
    for (index, (format, raw)) in raw.iter().enumerate() {
        let message = parse_messages(*format, &[raw], &Limits::unbounded());
        let detail = || format!("message {index} cannot be read again");
        parsed.extend(message.map_err(|_| Unusable::Message { pointer: "/messages".to_owned(), detail: detail() })?);
    }
    rendered(&parsed)
}
