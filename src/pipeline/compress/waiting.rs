//! Waiting for what background jobs prepare.

use std::sync::Arc;
use std::time::Duration;

use recap_core::context::{ContextRequest, Prepares};
use tokio::time::{Instant, sleep, sleep_until};

use super::schedule::Wanted;
use crate::pipeline::events::Event;
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::pipeline::live::Live;
use crate::pipeline::serve_context::{Ask, Context, Way};
use crate::pipeline::{Pipeline, compute};
use crate::store::{JobRow, JobState, NewJob};

/// The longest time without a look: jobs may be done by other daemons.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How far the preparation of a line's next epoch is.
enum Preparation {
    NoModel,
    Pending,
    Done,
    Failed,
}

impl Pipeline {
    /// Begins the next epoch of a line of reads once models have prepared it, and serves from it. The receipt warns with
    /// `no_model` where no model prepares anything, with `model_failed` where one failed or was not done in three quarters
    /// of a request's time: then rules serve what is missing.
    ///
    /// # Errors
    ///
    /// As [`Pipeline::serve_context`].
    pub async fn compact_prepared(&self, caller: &Caller, id: &str, ask: Ask) -> Result<Arc<Context>, Failure> {
        let until = Instant::now() + self.time_for_models();
        let mut events = self.events().listen(id);
        let mut has_failed = false;
        let mut preparation = Box::pin(self.first_look(caller, id, &ask)).await?;
        while matches!(preparation, Preparation::Pending) && Instant::now() < until {
            tokio::select! {
                () = sleep_until(until) => {}
                () = sleep(LOOK_EVERY) => {}
                event = events.recv() => has_failed |= is_failure(event.as_ref().ok()),
            }
            preparation = self.preparation(caller, id, &ask, false).await?;
        }
        while let Ok(event) = events.try_recv() {
            has_failed |= is_failure(Some(&event));
        }
        let warning = match preparation {
            Preparation::Done => has_failed.then_some("model_failed"),
            Preparation::NoModel => Some("no_model"),
            Preparation::Pending | Preparation::Failed => Some("model_failed"),
        };
        self.serve_context(caller, id, ask, Way::Compact { warning }).await
    }

    /// Looks, and has a line that was never read served: before, nobody knows what its epochs cover.
    async fn first_look(&self, caller: &Caller, id: &str, ask: &Ask) -> Result<Preparation, Failure> {
        let (mut slot, live) = self.take_for(caller, id).await?;
        let was_served = live.session.was_served(&ask.request(live.budget()).line_key());
        let prepares = live.session.settings().prepares;
        *slot = Some(live);
        drop(slot);
        if prepares == Prepares::default() {
            return Ok(Preparation::NoModel);
        }
        if !was_served {
            self.serve_context(caller, id, ask.clone(), Way::Read).await?;
        }
        self.preparation(caller, id, ask, true).await
    }

    /// Looks how far it is, and asks for what nobody does. What is given up for good is asked for again on the first look.
    async fn preparation(&self, caller: &Caller, id: &str, ask: &Ask, is_first: bool) -> Result<Preparation, Failure> {
        let (mut slot, live) = self.take_for(caller, id).await?;
        let request = ask.request(live.budget());
        let (live, wanted) = compute(usize::MAX, move || left(live, &request)).await?;
        let wanted: Vec<NewJob> = wanted.into_iter().map(|wanted| self.job_for(&live.row, wanted)).collect();
        *slot = Some(live);
        drop(slot);
        let mut preparation = Preparation::Done;
        for job in wanted {
            let known = self.store().job(&job.namespace, &job.kind, &job.key).await?;
            let is_asked = known.as_ref().is_some_and(|known| !(is_first && known.state == JobState::Dead));
            if known.filter(|_| is_asked).is_some_and(|known| has_failed(&known)) {
                return Ok(Preparation::Failed);
            }
            if !is_asked {
                self.store().enqueue_job(job).await.map_err(|error| Failure::of_change(error, id))?;
            }
            preparation = Preparation::Pending;
        }
        Ok(preparation)
    }
}

/// What is left to do for the next epoch on a request's line.
fn left(mut live: Live, request: &ContextRequest) -> (Live, Vec<Wanted>) {
    live.session.prepare(usize::MAX);
    let wanted = [Wanted::History(request.line_key()), Wanted::Observation];
    let left = wanted.into_iter().filter(|wanted| wanted.is_left(&live)).collect();
    (live, left)
}

/// What no model can do counts as done: only its event tells.
fn is_failure(event: Option<&Event>) -> bool {
    matches!(event, Some(Event::CompressionFailed { .. }))
}

fn has_failed(job: &JobRow) -> bool {
    match job.state {
        JobState::Dead => true,
        JobState::Ready => job.last_error.is_some(),
        JobState::Running => false,
    }
}
