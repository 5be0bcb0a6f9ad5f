//! A recorded trajectory served in this process, as the daemon serves it, with nothing stored.

use recap_core::context::{ContextRequest, Handles, Served, Session, admit};
use recap_core::tokens::Counter;
use recap_core::trajectory::Limits;

use tokio_util::sync::CancellationToken;

use super::append_messages::{Incoming, limits};
use super::compress::{Compressors, Prepared, prepare_session};
use super::counters::Counters;
use super::failure::Failure;
use super::guidelines::GuidelineSet;
use super::policy::{Effective, over};
use super::settings::settings;
use crate::config::{Config, Policy};

/// A trajectory's session under the configuration's settings.
pub struct Rehearsal {
    session: Session,
    guidelines: GuidelineSet,
    held: Effective,
    counter: Counter,
    limits: Limits,
}

impl Rehearsal {
    /// Begins a trajectory without messages and without tools.
    ///
    /// # Errors
    ///
    /// None that a configuration which was checked leads to.
    pub fn new(
        config: &Config,
        counters: &Counters,
        guideline: &GuidelineSet,
        model: Option<&str>,
    ) -> Result<Self, Failure> {
        let counter = counters.of(model);
        let held = over(&Policy::default(), config);
        let settings = settings(guideline, Counter::clone(&counter), &held, None, Handles::Shown)?;
        let session = Session::new(settings);
        Ok(Self { session, guidelines: guideline.clone(), held, counter, limits: limits(config) })
    }

    /// Returns the session.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Tells whether models have something to do after this was served.
    #[must_use]
    pub fn awaits_models(&self, served: &Served) -> bool {
        served.receipt.next.compaction == "preparing" || self.session.settings().prepares.observations
    }

    /// Has models make what the next epoch on a request's line can show, as background jobs do; here it is waited for.
    pub async fn prepare(&mut self, compressors: &Compressors, request: &ContextRequest) -> Prepared {
        let Self { session, guidelines, counter, held, .. } = self;
        let cancelled = CancellationToken::new();
        prepare_session(compressors, session, &request.line_key(), guidelines, counter, held, &cancelled).await
    }

    /// Admits messages and takes them.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] with every fault; then none is taken.
    pub fn append(&mut self, incoming: &Incoming) -> Result<(), Failure> {
        let messages = incoming.parse(&self.limits).map_err(Failure::Invalid)?;
        let admitted =
            messages.into_iter().map(|message| admit(message, self.counter.as_ref(), self.held.reformatting));
        self.session.append(admitted.collect());
        Ok(())
    }

    /// Serves a context.
    ///
    /// # Errors
    ///
    /// [`Failure::Context`]
    pub fn serve(&mut self, request: &ContextRequest) -> Result<Served, Failure> {
        Ok(self.session.serve(request)?)
    }
}
