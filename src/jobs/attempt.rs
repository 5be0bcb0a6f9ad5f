//! One attempt at one job: the handler, the heartbeat beside it, and what becomes of the job.

use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::runner::{Handler, Site};
use super::{Job, JobFailure, Lease};
use crate::store::{JobState, StoreError};

/// The wait after the first failure; each further one is four times as long: 5 s, 20 s, 80 s, 5 min, 21 min, …
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const MAX_BACKOFF: Duration = Duration::from_hours(1);

/// An attempt under a lease.
pub(super) struct Attempt {
    pub(super) site: Site,
    pub(super) job: Job,
    pub(super) lease: Lease,
    /// A time at which the lease was whole.
    pub(super) held_since: Instant,
}

/// How a handler ended.
enum End {
    Done,
    Failed(JobFailure),
    CutOff,
}

impl Attempt {
    pub(super) async fn run(self, handler: Handler) {
        let began = Instant::now();
        let end = self.end_of(handler).await;
        let result = match self.record(end).await {
            Ok(result) => result,
            Err(error) => {
                let Job { id, kind, key, .. } = &self.job;
                tracing::error!(%error, job = id, kind, key, "how a job ended is not stored; it will run again");
                "unrecorded"
            }
        };
        let kind = || self.job.kind.clone();
        metrics::counter!("recapd_jobs_total", "kind" => kind(), "result" => result).increment(1);
        metrics::histogram!("recapd_job_seconds", "kind" => kind()).record(began.elapsed().as_secs_f64());
    }

    /// Runs the handler in a task of its own, so that heartbeats go on while it computes and a panic stays there.
    async fn end_of(&self, handler: Handler) -> End {
        let (job, lease) = (self.job.clone(), self.lease.clone());
        let mut task = AbortOnDropHandle::new(self.site.tasks.spawn(async move { handler(job, lease).await }));
        let cut = tokio::select! {
            biased;
            ended = &mut task => return of_task(ended),
            () = self.site.cut_off.cancelled() => End::CutOff,
            () = self.lost() => End::Failed(JobFailure::LeaseLost),
        };
        task.abort();
        // What it did before it could be stopped counts.
        match task.await {
            Err(stopped) if stopped.is_cancelled() => cut,
            ended => of_task(ended),
        }
    }

    /// Sends heartbeats; returns when the lease is lost.
    async fn lost(&self) {
        let whole = Duration::from_millis(self.site.config.lease_ms);
        let mut held_since = self.held_since;
        loop {
            tokio::time::sleep_until(held_since + whole / 3).await;
            let ends = held_since + whole;
            let Ok(kept) = tokio::time::timeout_at(ends, self.keep(whole / 3)).await else {
                return;
            };
            match kept {
                Some(since) => held_since = since,
                None => return,
            }
        }
    }

    /// Extends the lease, again after a failure of the store. Returns since when it is whole, and `None` if it is
    /// another's.
    async fn keep(&self, pause: Duration) -> Option<Instant> {
        let Site { store, config, world, .. } = &self.site;
        loop {
            let asked = Instant::now();
            let until_ms = world.now_ms().saturating_add_unsigned(config.lease_ms);
            match store.extend_lease(self.lease.clone(), until_ms).await {
                Ok(held) => return held.then_some(asked),
                Err(error) => tracing::warn!(%error, job = self.job.id, "a heartbeat failed"),
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Stores how the attempt ended and returns its name in the metrics.
    async fn record(&self, end: End) -> Result<&'static str, StoreError> {
        let Site { store, world, .. } = &self.site;
        let (lease, now_ms) = (self.lease.clone(), world.now_ms());
        match end {
            // One that stored its effect with it has completed the job already.
            End::Done => store.complete_job(lease, now_ms).await.map(|_| "done"),
            End::CutOff => store.release_job(lease, now_ms).await.map(|_| "released"),
            End::Failed(JobFailure::LeaseLost) => {
                tracing::warn!(job = self.job.id, kind = self.job.kind, key = self.job.key, "a job's lease was lost");
                Ok("lost")
            }
            End::Failed(JobFailure::Permanent { why }) => self.fail(&why, None, now_ms).await,
            End::Failed(JobFailure::Retry { why, after }) => {
                let wait = backoff(self.job.attempts).max(after.unwrap_or_default());
                let at_ms = now_ms.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
                let retry_at_ms = (self.job.attempts < self.site.config.max_attempts).then_some(at_ms);
                self.fail(&why, retry_at_ms, now_ms).await
            }
        }
    }

    async fn fail(&self, why: &str, retry_at_ms: Option<i64>, now_ms: i64) -> Result<&'static str, StoreError> {
        let Job { id, kind, key, attempts, .. } = &self.job;
        let state = self.site.store.fail_job(self.lease.clone(), why, retry_at_ms, now_ms).await?;
        if state == Some(JobState::Dead) {
            tracing::error!(job = id, kind, key, attempts, why, "a job failed and is dead");
            return Ok("dead");
        }
        tracing::warn!(job = id, kind, key, attempts, why, "a job failed and will run again");
        Ok("failed")
    }
}

fn of_task(ended: Result<Result<(), JobFailure>, JoinError>) -> End {
    match ended {
        Ok(Ok(())) => End::Done,
        Ok(Err(failure)) => End::Failed(failure),
        Err(error) if error.is_cancelled() => End::CutOff,
        Err(panic) => End::Failed(JobFailure::retry(said(panic))),
    }
}

/// Returns what a panic said.
fn said(panic: JoinError) -> String {
    let cause = panic.try_into_panic();
    let cause = cause.as_ref().ok().and_then(|cause| {
        cause.downcast_ref::<String>().map(String::as_str).or_else(|| cause.downcast_ref::<&str>().copied())
    });
    format!("the handler panicked: {}", cause.unwrap_or("it did not say why"))
}

/// Returns how long a job waits after its `attempts`th failure.
fn backoff(attempts: u32) -> Duration {
    let factor = 4_u32.saturating_pow(attempts.saturating_sub(1));
    FIRST_BACKOFF.saturating_mul(factor).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour() {
        let seconds = [1, 2, 3, 4, 5, 6, 7, 100].map(|attempts| backoff(attempts).as_secs());
        assert_eq!(seconds, [5, 20, 80, 320, 1280, 3600, 3600, 3600]);
    }
}
