//! Models at work while somebody waits: for messages that are not stored.

use std::future::Future;
use std::time::Duration;

use recap_core::context::Session;
use recap_core::tokens::Counter;
use tokio_util::sync::CancellationToken;

use super::work::{Steered, Work, next_observation, next_of_history};
use super::{Compressors, Unmade};
use crate::llm::Attempt;
use crate::pipeline::Pipeline;
use crate::pipeline::guidelines::GuidelineSet;
use crate::pipeline::policy::Effective;

/// Waits for models. After `limit` they are told to stop, and what they have made by then counts.
pub(in crate::pipeline) async fn in_time<T>(
    limit: Duration,
    cancelled: &CancellationToken,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => done,
        () = tokio::time::sleep(limit) => {
            cancelled.cancel();
            work.await
        }
    }
}

impl Pipeline {
    /// Returns how long models may work while a request waits; the rest of its time is for the answer.
    pub(in crate::pipeline) fn time_for_models(&self) -> Duration {
        self.config().server.request_timeout() * 3 / 4
    }
}

/// What models did for a session.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The account of every call to a chat model.
    pub attempts: Vec<Attempt>,
    /// How many compressions they made that are of use.
    pub made: u32,
    /// Why they made nothing of the others: there rules serve.
    pub failed: Vec<String>,
}

/// Has models make what the next epoch on a line of reads can show: recaps or scores of the turns that it would cover,
/// and shorter results. The line must have been read: before, nobody knows what an epoch would cover.
///
/// What a model cannot do is noted in the session as not done, so that it is not tried again; where models cannot be
/// asked at all, what is left of the kind is left alone.
pub async fn prepare_session(
    compressors: &Compressors,
    session: &mut Session,
    line: &str,
    guidelines: &GuidelineSet,
    counter: &Counter,
    held: &Effective,
    cancelled: &CancellationToken,
) -> Prepared {
    session.prepare(usize::MAX);
    let steered = Steered { guidelines, counter, cancelled };
    let mut prepared = Prepared::default();
    while let Some(work) = next_of_history(session, line, compressors) {
        if !prepared.take(session, &work, compressors, steered).await {
            break;
        }
    }
    if !session.settings().prepares.observations {
        return prepared;
    }
    while let Some(work) = next_observation(session, held, guidelines, compressors) {
        if !prepared.take(session, &work, compressors, steered).await {
            break;
        }
    }
    prepared
}

impl Prepared {
    /// Has one piece of work done. Tells whether to go on.
    async fn take(
        &mut self,
        session: &mut Session,
        work: &Work,
        compressors: &Compressors,
        steered: Steered<'_>,
    ) -> bool {
        if steered.cancelled.is_cancelled() {
            self.failed.push("there was no time left".to_owned());
            return false;
        }
        let product = work.by(compressors, steered).await;
        self.attempts.extend(product.attempts);
        match product.made {
            Ok(made) => {
                let is_of_use = session.take(made);
                self.made += u32::from(is_of_use);
                is_of_use
            }
            Err(unmade) => {
                let why = unmade.to_string();
                self.failed.push(why.clone());
                session.take(work.undone(why)) && matches!(unmade, Unmade::Never(_))
            }
        }
    }
}
