//! The handlers of jobs in which models compress.

use super::{Job, JobFailure, Lease, Runner};
use crate::pipeline::Pipeline;
use crate::pipeline::compress::{COMPRESS_HISTORY, COMPRESS_OBSERVATIONS, Done};
use crate::pipeline::failure::Failure;

/// Adds the handlers to a runner.
#[must_use]
pub fn handlers(runner: Runner, pipeline: &Pipeline) -> Runner {
    [COMPRESS_HISTORY, COMPRESS_OBSERVATIONS].into_iter().fold(runner, |runner, kind| {
        let own = pipeline.clone();
        runner.handle(kind, move |job, lease| {
            let own = own.clone();
            async move { compress(&own, job, lease).await }
        })
    })
}

async fn compress(pipeline: &Pipeline, job: Job, lease: Lease) -> Result<(), JobFailure> {
    match pipeline.compress_in_background(&job, lease).await {
        Ok(Done::Nothing | Done::Stored) => Ok(()),
        Ok(Done::Later { why, after }) => Err(JobFailure::Retry { why, after }),
        Err(Failure::NotFound(_)) => Err(JobFailure::LeaseLost),
        Err(failure) => Err(JobFailure::retry(failure)),
    }
}
