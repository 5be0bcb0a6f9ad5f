//! The handler of jobs that distil.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Job, JobFailure, Lease, Runner};
use crate::pipeline::Pipeline;
use crate::tune::distill::{DISTILL, DistillError, Site, work};

/// Adds the handler to a runner. `folder` is the data folder. Once `stopping` is cancelled, a run stops between two steps
/// and is given back.
#[must_use]
pub fn distilling(runner: Runner, pipeline: &Pipeline, folder: PathBuf, stopping: CancellationToken) -> Runner {
    let (own, folder) = (pipeline.clone(), Arc::new(folder));
    runner.handle(DISTILL, move |job, lease| {
        let (own, folder, stopping) = (own.clone(), Arc::clone(&folder), stopping.clone());
        async move { distil(&Site { pipeline: &own, folder: &folder, stopping: &stopping }, job, lease).await }
    })
}

async fn distil(site: &Site<'_>, job: Job, lease: Lease) -> Result<(), JobFailure> {
    match work(site, &job, lease.clone()).await {
        Ok(()) => Ok(()),
        Err(DistillError::LeaseLost) => Err(JobFailure::LeaseLost),
        Err(DistillError::Stopped) => {
            let now_ms = site.pipeline.world().now_ms();
            site.pipeline.store().release_job(lease, now_ms).await.map(drop).map_err(JobFailure::retry)
        }
        Err(error) => Err(JobFailure::retry(error)),
    }
}
