//! One context of a recorded run, served as its replay serves it.

use recap_core::context::{ContextError, ContextRequest, Include};
use recap_core::trajectory::{OutFormat, WireFormat};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::pipeline::append_messages::Incoming;
use crate::pipeline::failure::Failure;
use crate::pipeline::rehearse::Rehearsal;
use crate::tune::recorded::RecordedRun;
use crate::tune::replay::{Budget, Models, ReplayError, Server};

/// Returns the context that a run's action at `step` (its message's place) is served under a budget. Every action before it
/// is served, too: epochs depend on them. What models make for that is noted in `models`.
///
/// # Errors
///
/// [`ReplayError`]
pub(super) fn serve_at(
    server: &Server<'_>,
    run: &RecordedRun,
    (budget, step): (Budget, usize),
    models: &mut Models,
) -> Result<Vec<Value>, ReplayError> {
    let Server { config, counters, guideline, model, compressors } = server;
    let mut rehearsal = Rehearsal::new(config, counters, guideline, Some(model))?;
    let messages = run.recorded.messages();
    let is_action = |at: &usize| messages.get(*at).and_then(|message| message.get("role")) == Some(&"assistant".into());
    let budget = u32::try_from(budget.of_replay().tokens(&run.recorded)).unwrap_or(u32::MAX);
    let mut served = Vec::new();
    let mut sent = 0;
    for at in (0..=step).filter(is_action) {
        let new = run.messages.get(sent..at).unwrap_or_default().to_vec();
        sent = at;
        rehearsal.append(&Incoming { format: WireFormat::OpenAi, messages: new, system: None })?;
        let mut request =
            ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
        let answer = match rehearsal.serve(&request) {
            Err(Failure::Context(ContextError::BudgetTooSmall { minimum_budget, .. })) => {
                request.budget = minimum_budget;
                rehearsal.serve(&request)?
            }
            answer => answer?,
        };
        if at < step && rehearsal.awaits_models(&answer) {
            let began = Instant::now();
            let preparing = rehearsal.prepare(compressors, &request);
            let prepared = tokio::task::block_in_place(|| Handle::current().block_on(preparing));
            models.note(prepared, began.elapsed());
        }
        if at == step {
            served = answer.messages.iter().map(|text| serde_json::from_str(text)).collect::<Result<_, _>>()?;
        }
    }
    Ok(served)
}
