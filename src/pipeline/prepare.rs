//! What the next epoch needs, prepared beside the requests that brought the turns.

use super::live::Live;
use super::{Pipeline, compute};

/// Turns that are prepared before requests for the trajectory get in between.
const TURNS: usize = 16;

impl Pipeline {
    /// Prepares a trajectory's next epoch in the background, unless that is done already. One trajectory at a time
    /// is prepared in this process; an epoch that begins before does what is left itself.
    pub(super) fn prepare_later(&self, id: &str, live: &mut Live) {
        if live.preparing || !live.session.is_behind() {
            return;
        }
        live.preparing = true;
        let (own, id) = (self.clone(), id.to_owned());
        self.inner.tasks.spawn(async move { own.prepare(&id).await });
    }

    async fn prepare(&self, id: &str) {
        let mut behind = true;
        while behind && !self.inner.tasks.is_closed() {
            // Fails only once the semaphore is closed, which nothing does.
            let Ok(_turn) = self.inner.preparing.acquire().await else { return };
            let mut slot = self.inner.sessions.slot(id).await;
            // Nothing is live after a failure or an erasure: then nothing is to be done.
            let Some(mut live) = slot.take() else { return };
            let prepared = compute(usize::MAX, move || {
                live.preparing = live.session.prepare(TURNS);
                live
            });
            match prepared.await {
                Ok(live) => {
                    behind = live.preparing;
                    *slot = Some(live);
                }
                Err(error) => {
                    tracing::error!(%error, trajectory = id, "an epoch cannot be prepared");
                    return;
                }
            }
        }
    }
}
