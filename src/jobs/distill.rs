//! The handler of jobs that distil.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Job, JobFailure, Lease, Runner};
use crate::pipeline::Pipeline;
use crate::tune::distill::{DISTILL, DistillError, work};

/// Adds the handler to a runner. `folder` is the data folder.
#[must_use]
pub fn distilling(runner: Runner, pipeline: &Pipeline, folder: PathBuf) -> Runner {
    let (own, folder) = (pipeline.clone(), Arc::new(folder));
    runner.handle(DISTILL, move |job, lease| {
        let (own, folder) = (own.clone(), Arc::clone(&folder));
        async move { distil(&own, &folder, job, lease).await }
    })
}

async fn distil(pipeline: &Pipeline, folder: &PathBuf, job: Job, lease: Lease) -> Result<(), JobFailure> {
    match work(pipeline, folder, &job, lease).await {
        Ok(()) => Ok(()),
        Err(DistillError::LeaseLost) => Err(JobFailure::LeaseLost),
        Err(error) => Err(JobFailure::retry(error)),
    }
}
