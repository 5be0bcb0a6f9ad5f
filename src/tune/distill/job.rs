//! Distillation runs of the daemon: asked for, done in the background, given up.

use std::path::{Path, PathBuf};

use recap_core::trajectory::OriginalHash;
use serde_json::{Value, json};

use super::export::{Export, ExportError};
use super::part::{self, Writer};
use super::spec::{Kind, Spec};
use super::training::train;
use super::{Library, Report, TrainError};
use crate::pipeline::Pipeline;
use crate::pipeline::counters::TokenizerError;
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::store::{
    DistillationEnd, DistillationPage, DistillationRow, DistillationState, DistillationStep, HeadError, Job, Lease,
    NewJob, StoreError,
};
use crate::tune::ReplayError;

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
    /// A context cannot be served.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// What was asked for is not readable.
    #[error("what was asked for cannot be read: {0}")]
    Spec(#[from] serde_json::Error),
    /// The job is another runner's by now.
    #[error("the lease was lost")]
    LeaseLost,
}

/// How a run ended.
pub(super) enum End {
    Done(Value),
    Trained(Value, OriginalHash),
    /// It is not wanted any more.
    Cancelled,
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

/// Does a run as a background job. `folder` is the data folder. A run that stopped begins anew: its file gets its name only
/// when it is whole.
///
/// # Errors
///
/// [`DistillError`] that may pass; what cannot is stored with the run.
pub async fn work(pipeline: &Pipeline, folder: &Path, job: &Job, lease: Lease) -> Result<(), DistillError> {
    let Some(row) = pipeline.store().distillation(&job.key).await?.filter(|row| !row.state.is_over()) else {
        return Ok(());
    };
    let spec: Spec = serde_json::from_value(row.spec.clone())?;
    let done = match spec.kind {
        Kind::Export => Box::pin(export(pipeline, folder, (&spec, &row.id))).await,
        Kind::Train => Box::pin(train(pipeline, &spec, &row)).await,
    };
    let result = match done {
        Ok(End::Cancelled) => return Ok(()),
        Ok(End::Done(report)) => Ok((report, None)),
        Ok(End::Trained(report, hash)) => Ok((report, Some(hash))),
        Err(error @ (DistillError::Failure(Failure::Store(_)) | DistillError::Store(_))) => return Err(error),
        Err(error) => Err(error.to_string()),
    };
    let end = DistillationEnd { id: row.id, result, now_ms: pipeline.world().now_ms() };
    pipeline.store().end_distillation(end, lease).await.map_err(|_| DistillError::LeaseLost)
}

async fn export(pipeline: &Pipeline, folder: &Path, (spec, id): (&Spec, &str)) -> Result<End, DistillError> {
    let folder = folder.join(FOLDER);
    let out = folder.join(format!("{id}.jsonl"));
    let failed = |source| DistillError::File { path: out.clone(), source };
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let library = Library::stored(pipeline).await?;
    let (parts, train, held_out) = match spec.split {
        None => part::one(&out).map(|(parts, train)| (parts, train, None)),
        Some(_) => part::sides(&out).map(|(parts, [train, held_out])| (parts, train, Some(held_out))),
    }
    .map_err(failed)?;
    let mut export = Export::new(spec.terms(), &library, train, held_out);
    if !take_all(pipeline, spec, id, &mut export).await? {
        return Ok(End::Cancelled);
    }
    let (train, held_out, report) = export.finish()?;
    let paths = parts.keep(train, held_out).map_err(failed)?;
    let names = paths.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let mut report = serde_json::to_value(report)?;
    report["files"] = json!(names.map(|name| format!("{FOLDER}/{name}")).collect::<Vec<_>>());
    Ok(End::Done(report))
}

/// Takes one trajectory after the other. Tells whether the run was wanted to its end.
async fn take_all(
    pipeline: &Pipeline,
    spec: &Spec,
    id: &str,
    export: &mut Export<'_, Writer>,
) -> Result<bool, DistillError> {
    let (caller, cases) = (Caller::local(), &spec.cases);
    let filter = cases.filter();
    let (mut cursor, mut left) = (None, cases.limit.unwrap_or(u32::MAX));
    loop {
        if !note(pipeline, id, export.report()).await? {
            return Ok(false);
        }
        let page = pipeline.list_trajectories(&caller, filter.clone(), cursor.as_deref(), PAGE).await?;
        for trajectory in page.trajectories {
            if left == 0 {
                return Ok(true);
            }
            left -= 1;
            match pipeline.stored_run(&caller, &trajectory.id).await {
                Ok(run) => tokio::task::block_in_place(|| export.take_stored(&run))?,
                // it was deleted meanwhile
                Err(Failure::NotFound(_)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(true);
        }
    }
}

async fn note(pipeline: &Pipeline, id: &str, report: &Report) -> Result<bool, DistillError> {
    let (report, now_ms) = (serde_json::to_value(report)?, pipeline.world().now_ms());
    let step = DistillationStep { id: id.to_owned(), stage: "export".to_owned(), report, checkpoint: None, now_ms };
    Ok(pipeline.store().note_distillation(step).await?)
}
