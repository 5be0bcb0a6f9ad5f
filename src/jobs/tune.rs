//! The handler of the job that works on tuning runs.

use tokio_util::sync::CancellationToken;

use super::{Job, JobFailure, Lease, Runner};
use crate::pipeline::Pipeline;
use crate::tune::run::{Attempts, TUNE, Tuning};

/// Adds the handler to a runner; it stops between two steps once `stopping` is cancelled.
#[must_use]
pub fn tuning(runner: Runner, pipeline: &Pipeline, stopping: CancellationToken) -> Runner {
    let own = Tuning::of(pipeline);
    runner.handle(TUNE, move |job, lease| {
        let (own, stopping) = (own.clone(), stopping.clone());
        async move { tune(&own, job, lease, stopping).await }
    })
}

async fn tune(tuning: &Tuning, job: Job, lease: Lease, stopping: CancellationToken) -> Result<(), JobFailure> {
    let is_last = job.attempts >= tuning.pipeline().config().jobs.max_attempts;
    let attempt = if is_last { Attempts::Last } else { Attempts::More };
    match tuning.work_off(attempt, &stopping).await {
        // A job that is completed is gone: runs that are left need it after the restart.
        Ok(()) if stopping.is_cancelled() => {
            let now_ms = tuning.pipeline().world().now_ms();
            let released = tuning.pipeline().store().release_job(lease, now_ms).await;
            released.map(drop).map_err(JobFailure::retry)
        }
        Ok(()) => Ok(()),
        Err(error) => Err(JobFailure::retry(error)),
    }
}
