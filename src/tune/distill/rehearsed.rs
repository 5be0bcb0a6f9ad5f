//! A recorded run served from its first message to its last by rules, and the epochs that this began.

use recap_core::context::{ContextError, ContextRequest, EpochRecord, Include};
use recap_core::trajectory::{OutFormat, WireFormat};
use recap_core::tuning::{self, MessageCache, ServedContext};
use serde_json::Value;

use crate::pipeline::append_messages::Incoming;
use crate::pipeline::failure::Failure;
use crate::pipeline::rehearse::Rehearsal;
use crate::tune::{Budget, RecordedRun, ReplayError, Server};

/// A run after its last context.
pub struct Rehearsed {
    /// All of it.
    pub rehearsal: Rehearsal,
    /// The epochs, in order.
    pub epochs: Vec<EpochRecord>,
}

/// Serves a recorded run at a budget, as the daemon does with rules alone.
///
/// # Errors
///
/// Fails where a message is refused, or a context cannot be served.
pub fn rehearsed(run: &RecordedRun, server: &Server<'_>, budget: Budget) -> Result<Rehearsed, ReplayError> {
    let mut rehearsal = Rehearsal::new(server.config, server.counters, server.guideline, Some(server.model))?;
    let mut epochs = Vec::new();
    let mut rest = run.messages.as_slice();
    let append = |rehearsal: &mut Rehearsal, messages: &[Box<serde_json::value::RawValue>]| {
        rehearsal.append(&Incoming { format: WireFormat::OpenAi, messages: messages.to_vec(), system: None })
    };
    let serve = |sent: &[Value], tokens: i64| -> Result<ServedContext, ReplayError> {
        let (new, later) = rest.split_at_checked(sent.len()).unwrap_or((rest, &[]));
        rest = later;
        append(&mut rehearsal, new)?;
        epochs.extend(epoch_at(&mut rehearsal, u32::try_from(tokens).unwrap_or(u32::MAX))?);
        Ok(ServedContext { messages: Vec::new(), refused: false })
    };
    let mut cache = MessageCache::default();
    match budget {
        Budget::Share { fraction, floor } => {
            tuning::replay(&run.recorded, tuning::Replay { fraction, floor }, &mut cache, serve)?
        }
        Budget::Tokens(tokens) => tuning::replay_at(&run.recorded, i64::from(tokens), &mut cache, serve)?,
    };
    append(&mut rehearsal, rest)?;
    Ok(Rehearsed { rehearsal, epochs })
}

fn epoch_at(rehearsal: &mut Rehearsal, budget: u32) -> Result<Option<EpochRecord>, Failure> {
    let mut request =
        ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
    let answer = rehearsal.serve(&request);
    if let Err(Failure::Context(ContextError::BudgetTooSmall { minimum_budget, .. })) = &answer {
        request.budget = *minimum_budget;
        return Ok(rehearsal.serve(&request)?.new_epoch);
    }
    Ok(answer?.new_epoch)
}
