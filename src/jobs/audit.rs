//! The handler of jobs that look back on what served contexts kept.

use super::{Job, JobFailure, Lease, Runner};
use crate::pipeline::Pipeline;
use crate::pipeline::hindsight::AUDIT;
use crate::tune::{HindsightError, LookedBack, look_back};

/// Adds the handler to a runner.
#[must_use]
pub fn auditing(runner: Runner, pipeline: &Pipeline) -> Runner {
    let own = pipeline.clone();
    runner.handle(AUDIT, move |job, lease| {
        let own = own.clone();
        async move { audit(&own, job, lease).await }
    })
}

async fn audit(pipeline: &Pipeline, job: Job, lease: Lease) -> Result<(), JobFailure> {
    match look_back(pipeline, &job, lease).await {
        Ok(LookedBack::Nothing | LookedBack::Stored) => Ok(()),
        Ok(LookedBack::Gone) => Err(JobFailure::LeaseLost),
        // The messages will not read better the next time.
        Err(error @ (HindsightError::Record(_) | HindsightError::Json(_))) => Err(JobFailure::permanent(error)),
        Err(error @ (HindsightError::Failure(_) | HindsightError::CutOff)) => Err(JobFailure::retry(error)),
    }
}
