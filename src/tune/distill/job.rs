//! Distillation runs of the daemon: asked for, done in the background, given up.

use std::path::{Path, PathBuf};

use recap_core::trajectory::OriginalHash;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::course::KeepError;
use super::export::{Export, ExportError, Read};
use super::part::{self, Writer};
use super::spec::{Kind, Spec};
use super::training::train;
use super::{Library, Report, TrainError};
use crate::pipeline::Pipeline;
use crate::pipeline::counters::TokenizerError;
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::store::{
    ChangeError, DistillationEnd, DistillationPage, DistillationRow, DistillationState, DistillationStep, HeadError,
    Job, Lease, NewJob, StoreError,
};

/// The kind of job that does distillation runs.
pub const DISTILL: &str = "distill";
/// The folder of exports in the data folder.
pub const FOLDER: &str = "distillations";
/// Trajectories that are listed at once.
const PAGE: usize = 50;

/// Why a run stops.
#[derive(Debug, thiserror::Error)]
pub enum DistillError {
    /// A use case failed.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An example cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A file cannot be made.
    #[error("{} cannot be written: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A head cannot be trained.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A head cannot be stored.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// What was trained is no head.
    #[error(transparent)]
    Trained(#[from] recap_core::context::HeadError),
    /// A tokenizer cannot be loaded.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// What was asked for is not readable.
    #[error("what was asked for cannot be read: {0}")]
    Spec(#[from] serde_json::Error),
    /// The job is another runner's by now.
    #[error("the lease was lost")]
    LeaseLost,
    /// The run was given up.
    #[error("the run was given up")]
    Cancelled,
    /// The daemon stops; the run goes on later.
    #[error("the daemon stops")]
    Stopped,
}

impl DistillError {
    /// Tells whether another attempt may succeed.
    fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Store(_)
                | Self::Failure(Failure::Store(_))
                | Self::Head(HeadError::Store(_))
                | Self::Train(TrainError::Keep(KeepError::Store(_)))
                | Self::Export(ExportError::Write(_))
                | Self::File { .. }
                | Self::LeaseLost
                | Self::Stopped
        )
    }
}

/// Where runs are done.
pub struct Site<'a> {
    /// The daemon's use cases.
    pub pipeline: &'a Pipeline,
    /// The data folder.
    pub folder: &'a Path,
    /// Cancelled when the daemon stops.
    pub stopping: &'a CancellationToken,
}

impl Site<'_> {
    /// Why a run ends that is not wanted any more.
    pub(super) fn ended(&self) -> DistillError {
        if self.stopping.is_cancelled() { DistillError::Stopped } else { DistillError::Cancelled }
    }
}

/// What came of a run.
pub(super) enum End {
    Done(Value),
    Trained(Value, OriginalHash),
}

/// Asks for a run.
///
/// # Errors
///
/// [`Failure::Invalid`], [`Failure::Namespace`].
pub async fn ask(pipeline: &Pipeline, caller: &Caller, spec: Spec) -> Result<DistillationRow, Failure> {
    let mut spec = spec.checked()?;
    let asked = spec.cases.namespace.take().or_else(|| caller.namespace.clone());
    let namespace = asked.unwrap_or_else(|| "default".to_owned());
    if !caller.reaches(&namespace) {
        return Err(Failure::Namespace(namespace));
    }
    if spec.kind == Kind::Train && caller.namespace.is_some() {
        // a head scores in every namespace
        return Err(Failure::Namespace("*".to_owned()));
    }
    spec.cases.namespace = Some(namespace.clone());
    let world = pipeline.world();
    let (id, now_ms) = (world.new_id(), world.now_ms());
    let row = DistillationRow {
        id: id.clone(),
        namespace: namespace.clone(),
        spec: serde_json::to_value(&spec).map_err(|_| Failure::CutOff("a request cannot be put into JSON"))?,
        state: DistillationState::Queued,
        stage: "queued".to_owned(),
        report: json!({}),
        head: None,
        error: None,
        actor: caller.actor.clone(),
        created_ms: now_ms,
        updated_ms: now_ms,
    };
    let job = NewJob {
        id: world.new_id(),
        kind: DISTILL.to_owned(),
        key: id.clone(),
        trajectory: None,
        namespace: namespace.clone(),
        payload: json!({ "id": id }),
        run_after_ms: now_ms,
        now_ms,
    };
    pipeline.store().add_distillation(row.clone(), job).await.map_err(|error| Failure::of_change(error, &id))?;
    pipeline.audit(caller, Some(&namespace), "distillation.create", &id, row.spec.clone()).await?;
    Ok(row)
}

/// Returns a run.
///
/// # Errors
///
/// [`Failure::NotFound`]
pub async fn find(pipeline: &Pipeline, caller: &Caller, id: &str) -> Result<DistillationRow, Failure> {
    let row = pipeline.store().distillation(id).await?;
    let reached = row.filter(|row| caller.reaches(&row.namespace));
    reached.ok_or_else(|| Failure::NotFound(format!("distillation `{id}`")))
}

/// Returns runs that the caller reaches, newest first.
///
/// # Errors
///
/// Fails when the store does.
pub async fn list(
    pipeline: &Pipeline,
    caller: &Caller,
    cursor: Option<&str>,
    limit: usize,
) -> Result<DistillationPage, Failure> {
    Ok(pipeline.store().list_distillations(caller.namespace.as_deref(), cursor, limit).await?)
}

/// Gives a run up; one that is over stays as it is.
///
/// # Errors
///
/// [`Failure::NotFound`]
pub async fn cancel(pipeline: &Pipeline, caller: &Caller, id: &str) -> Result<DistillationRow, Failure> {
    let row = find(pipeline, caller, id).await?;
    if pipeline.store().cancel_distillation(id, pipeline.world().now_ms()).await? {
        pipeline.audit(caller, Some(&row.namespace), "distillation.cancel", id, json!({})).await?;
    }
    find(pipeline, caller, id).await
}

/// Does a run as a background job. An export that stopped begins anew, a training goes on with the epochs that are left.
///
/// # Errors
///
/// [`DistillError`] that may pass, [`DistillError::Stopped`] among them; what cannot is stored with the run.
pub async fn work(site: &Site<'_>, job: &Job, lease: Lease) -> Result<(), DistillError> {
    let failed = |source| DistillError::File { path: out_of(site, &job.key), source };
    let Some(row) = site.pipeline.store().distillation(&job.key).await?.filter(|row| !row.state.is_over()) else {
        return part::clear(&out_of(site, &job.key)).map_err(failed);
    };
    let result = match done(site, &row).await {
        Err(DistillError::Cancelled) => return Ok(()),
        Err(error) if error.may_pass() => return Err(error),
        Ok(End::Done(report)) => Ok((report, None)),
        Ok(End::Trained(report, hash)) => Ok((report, Some(hash))),
        Err(error) => Err(error.to_string()),
    };
    let end = DistillationEnd { id: row.id, result, now_ms: site.pipeline.world().now_ms() };
    site.pipeline.store().end_distillation(end, lease).await.map_err(|error| match error {
        ChangeError::Store(error) => DistillError::Store(error),
        _ => DistillError::LeaseLost,
    })
}

async fn done(site: &Site<'_>, row: &DistillationRow) -> Result<End, DistillError> {
    let spec: Spec = serde_json::from_value(row.spec.clone())?;
    match spec.kind {
        Kind::Export => Box::pin(export(site, (&spec, &row.id))).await,
        Kind::Train => Box::pin(train(site, &spec, row)).await,
    }
}

fn out_of(site: &Site<'_>, id: &str) -> PathBuf {
    site.folder.join(FOLDER).join(format!("{id}.jsonl"))
}

async fn export(site: &Site<'_>, (spec, id): (&Spec, &str)) -> Result<End, DistillError> {
    let out = out_of(site, id);
    let failed = |source| DistillError::File { path: out.clone(), source };
    std::fs::create_dir_all(site.folder.join(FOLDER)).map_err(failed)?;
    let library = Library::stored(site.pipeline).await?;
    let (parts, train, held_out) = match spec.split {
        None => part::one(&out).map(|(parts, train)| (parts, train, None)),
        Some(_) => part::sides(&out).map(|(parts, [train, held_out])| (parts, train, Some(held_out))),
    }
    .map_err(failed)?;
    let mut export = Export::new(spec.terms(), &library, train, held_out);
    take_all(site, spec, id, &mut export).await?;
    let (train, held_out, report) = export.finish()?;
    let paths = parts.keep(train, held_out).map_err(failed)?;
    let names = paths.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let mut report = serde_json::to_value(report)?;
    report["files"] = json!(names.map(|name| format!("{FOLDER}/{name}")).collect::<Vec<_>>());
    Ok(End::Done(report))
}

/// Takes one trajectory after the other.
async fn take_all(site: &Site<'_>, spec: &Spec, id: &str, export: &mut Export<'_, Writer>) -> Result<(), DistillError> {
    let (caller, cases) = (Caller::local(), &spec.cases);
    let filter = cases.filter();
    let (mut cursor, mut left) = (None, cases.limit.unwrap_or(u32::MAX));
    loop {
        if !note(site.pipeline, id, export.report()).await? {
            return Err(DistillError::Cancelled);
        }
        let page = site.pipeline.list_trajectories(&caller, filter.clone(), cursor.as_deref(), PAGE).await?;
        for trajectory in page.trajectories {
            if site.stopping.is_cancelled() {
                return Err(DistillError::Stopped);
            }
            if left == 0 {
                return Ok(());
            }
            if trajectory.full_tokens < u64::from(cases.min_peak.unwrap_or(0)) {
                continue;
            }
            left -= 1;
            match Read::of(site.pipeline.stored_run(&caller, &trajectory.id).await)? {
                Read::Run(run) => tokio::task::block_in_place(|| export.take_stored(&run))?,
                Read::Gone => {}
                Read::Unreadable(failure) => {
                    tracing::warn!(trajectory = trajectory.id, %failure, "a trajectory is left out of an export");
                    export.unreadable(1);
                }
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

async fn note(pipeline: &Pipeline, id: &str, report: &Report) -> Result<bool, DistillError> {
    let (report, now_ms) = (serde_json::to_value(report)?, pipeline.world().now_ms());
    let step = DistillationStep { id: id.to_owned(), stage: "export".to_owned(), report, checkpoint: None, now_ms };
    Ok(pipeline.store().note_distillation(step).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_store_may_pass_wherever_it_is_met() {
        let kept = DistillError::Train(TrainError::Keep(KeepError::Store(StoreError::Closed)));
        let written = DistillError::Export(ExportError::Write(std::io::ErrorKind::StorageFull.into()));
        for passing in [StoreError::Closed.into(), Failure::Store(StoreError::Closed).into(), kept, written] {
            assert!(passing.may_pass(), "{passing}");
        }
        for lasting in [DistillError::Train(TrainError::TooFew { found: 3 }), Failure::NotFound(String::new()).into()] {
            assert!(!lasting.may_pass(), "{lasting}");
        }
    }
}
