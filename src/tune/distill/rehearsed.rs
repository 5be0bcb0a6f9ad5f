//! A recorded run served from its first message to its last by rules, and the epochs that this began.

use recap_core::context::{ContextError, ContextRequest, EpochRecord, Include};
use recap_core::trajectory::{OutFormat, WireFormat};
use recap_core::tuning::{ContextServer, Lost, MessageCache, ServedContext, replay_with};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::pipeline::append_messages::Incoming;
use crate::pipeline::failure::Failure;
use crate::pipeline::rehearse::Rehearsal;
use crate::tune::{Budget, RecordedRun, ReplayError, Server};

/// Serves a recorded run at a budget, as the daemon does without models, and tells of each epoch as it begins: the run so
/// far, how many messages that is, and the epoch. Returns the whole run.
///
/// # Errors
///
/// Fails where a message is refused, or a context cannot be served.
pub fn rehearsed(
    run: &RecordedRun,
    server: &Server<'_>,
    budget: Budget,
    told: &mut dyn FnMut(&Rehearsal, usize, EpochRecord),
) -> Result<Rehearsal, ReplayError> {
    let rehearsal = Rehearsal::new(server.config, server.counters, server.guideline, Some(server.model))?;
    let mut stage = Stage { rehearsal, messages: &run.messages, handed: 0, told };
    replay_with(&run.recorded, budget.of_replay(), &mut MessageCache::default(), &mut stage)?;
    stage.append(run.messages.len())?;
    Ok(stage.rehearsal)
}

/// One run as it is served.
struct Stage<'a> {
    rehearsal: Rehearsal,
    messages: &'a [Box<RawValue>],
    /// How many of them were handed over.
    handed: usize,
    told: &'a mut dyn FnMut(&Rehearsal, usize, EpochRecord),
}

impl Stage<'_> {
    fn append(&mut self, until: usize) -> Result<(), Failure> {
        let new = self.messages.get(self.handed..until).unwrap_or_default().to_vec();
        self.handed = until;
        self.rehearsal.append(&Incoming { format: WireFormat::OpenAi, messages: new, system: None })
    }

    fn epoch_at(&mut self, budget: u32) -> Result<Option<EpochRecord>, Failure> {
        let mut request =
            ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
        let answer = self.rehearsal.serve(&request);
        if let Err(Failure::Context(ContextError::BudgetTooSmall { minimum_budget, .. })) = &answer {
            request.budget = *minimum_budget;
            return Ok(self.rehearsal.serve(&request)?.new_epoch);
        }
        Ok(answer?.new_epoch)
    }
}

impl ContextServer for Stage<'_> {
    type Error = ReplayError;

    fn serve(&mut self, sent: &[Value], budget: i64) -> Result<ServedContext, ReplayError> {
        self.append(self.handed + sent.len())?;
        if let Some(epoch) = self.epoch_at(u32::try_from(budget).unwrap_or(u32::MAX))? {
            (self.told)(&self.rehearsal, self.handed, epoch);
        }
        Ok(ServedContext { messages: Vec::new(), refused: false })
    }

    fn lost(&mut self, _: &Lost) {}
}
