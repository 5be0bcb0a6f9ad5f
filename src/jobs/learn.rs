//! The handler of jobs in which models learn from runs.

use super::{Job, JobFailure, Lease, Runner};
use crate::pipeline::Pipeline;
use crate::pipeline::compress::Unmade;
use crate::pipeline::failure::Failure;
use crate::pipeline::playbook::{LEARN, Learned};

/// Adds the handler to a runner.
#[must_use]
pub fn learning(runner: Runner, pipeline: &Pipeline) -> Runner {
    let own = pipeline.clone();
    runner.handle(LEARN, move |job, lease| {
        let own = own.clone();
        async move { learn(&own, job, lease).await }
    })
}

async fn learn(pipeline: &Pipeline, job: Job, lease: Lease) -> Result<(), JobFailure> {
    match pipeline.learn_in_background(&job, lease).await {
        Ok(Learned::Nothing | Learned::Stored(_)) => Ok(()),
        Ok(Learned::Unmade(Unmade::Later { why, after })) => Err(JobFailure::Retry { why, after }),
        Ok(Learned::Unmade(Unmade::Never(why))) => Err(JobFailure::permanent(why)),
        Ok(Learned::Gone) => Err(JobFailure::LeaseLost),
        // Asking the models again would end the same way.
        Err(failure @ Failure::NotFound(_)) => Err(JobFailure::permanent(failure)),
        Err(failure) => Err(JobFailure::retry(failure)),
    }
}
