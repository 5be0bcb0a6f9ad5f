//! A head trained from stored trajectories in the background, and the record that every trained head bears.

use recap_core::context::{ActiveHead, Compression, FEATURE_SET, Told};
use recap_core::tuning::{Margins, Split};
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::job::{DistillError, End};
use super::samples::Collector;
use super::spec::Spec;
use super::trial::{Outcome, Trial, asking_heads};
use super::{BUDGETS, Course, Lap, Watcher};
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::pipeline::compress::Compressors;
use crate::pipeline::counters::Counters;
use crate::pipeline::keys::Caller;
use crate::store::{DistillationRow, DistillationStep, HeadVerdict, NewHead, TrajectoryRow};
use crate::tune::{RecordedRun, Server, StoredError, stored_run};

/// Trajectories that are listed at once.
const PAGE: usize = 50;
/// The model whose tokenizer counts while runs are served.
const MODEL: &str = "gpt-4o";

/// All that is known of a trained head.
pub struct Made<'a> {
    /// Its file.
    pub file: &'a [u8],
    /// How it was trained.
    pub course: &'a Course,
    /// What it was trained on.
    pub split: Split,
    /// The examples.
    pub samples: &'a Collector,
    /// The curve.
    pub laps: &'a [Lap],
    /// What the trial came to.
    pub outcome: &'a Outcome,
}

/// Returns the head as it is stored: its weights with how it was trained, on what, and what the gate said.
#[must_use]
pub fn made(of: &Made<'_>, actor: &str, now_ms: i64) -> NewHead {
    let Made { file, course, split, samples, laps, outcome } = of;
    let side = |samples: &super::Samples| {
        json!({ "runs": samples.runs, "epochs": samples.epochs, "examples": samples.rows.len(),
            "taught": samples.taught, "passed_over": samples.passed_over })
    };
    let manifest = json!({
        "features": FEATURE_SET, "program": env!("CARGO_PKG_VERSION"), "course": course, "split": split,
        "budgets": BUDGETS.map(crate::tune::Budget::to_json),
        "train": side(&samples.train), "held_out": side(&samples.held_out),
        "curve": laps, "measures": outcome.measures,
    });
    let said = serde_json::to_value(&outcome.verdict).unwrap_or(Value::Null);
    NewHead {
        weights: file.to_vec(),
        manifest,
        verdict: Some(HeadVerdict { said, passes: outcome.verdict.passes, against: outcome.against }),
        actor: actor.to_owned(),
        created_ms: now_ms,
    }
}

/// A run of the daemon.
struct Work<'a> {
    pipeline: &'a Pipeline,
    spec: &'a Spec,
    id: &'a str,
    config: Config,
    counters: Counters,
}

/// Trains a head from stored trajectories, has the gate judge it and stores it. What it stands at is stored after each epoch.
///
/// # Errors
///
/// [`DistillError`]
pub(super) async fn train(pipeline: &Pipeline, spec: &Spec, row: &DistillationRow) -> Result<End, DistillError> {
    let counters = Counters::load(&pipeline.config().tokens)?;
    let config = asking_heads(pipeline.config());
    let work = Work { pipeline, spec, id: &row.id, config, counters };
    let split = spec.split.unwrap_or_default();
    let mut samples = Collector::new(split);
    let Some(()) = work.each("collect", |run, told| work.collect(&mut samples, run, told)).await? else {
        return Ok(End::Cancelled);
    };
    let checkpoint = pipeline.store().distillation_checkpoint(&row.id).await?;
    let mut desk = Desk { work: &work };
    let trained = tokio::task::block_in_place(|| {
        spec.course.train((&samples.train, &samples.held_out), checkpoint.as_deref(), &mut desk)
    });
    let (file, laps) = match trained {
        Err(super::TrainError::Cancelled) => return Ok(End::Cancelled),
        trained => trained?,
    };
    let head = ActiveHead::parse(&String::from_utf8_lossy(&file))?;
    let mut trial = Trial::new(split, &pipeline.guidelines().default_set(), head);
    let Some(()) = work.each("judge", |run, _| work.tried(&mut trial, run)).await? else {
        return Ok(End::Cancelled);
    };
    let outcome = trial.judge(&Margins::default(), spec.course.seed);
    let of = Made { file: &file, course: &spec.course, split, samples: &samples, laps: &laps, outcome: &outcome };
    let head = made(&of, &row.actor, pipeline.world().now_ms());
    let report = json!({
        "curve": laps, "verdict": outcome.verdict, "measured": outcome.against.to_string(), "measures": outcome.measures,
    });
    let hash = pipeline.store().add_head(head).await?;
    Ok(End::Trained(report, hash))
}

impl Work<'_> {
    /// Does something with each run and what a teacher wrote of it. `None` where it is not wanted any more.
    async fn each(
        &self,
        stage: &str,
        mut with: impl FnMut(&RecordedRun, &[Told]) -> Result<(), DistillError> + Send,
    ) -> Result<Option<()>, DistillError> {
        let (mut cursor, mut done) = (None, 0_u32);
        let most = self.spec.cases.limit.unwrap_or(u32::MAX);
        loop {
            if !self.note(stage, json!({ "runs": done }), None).await? {
                return Ok(None);
            }
            let filter = self.spec.cases.filter();
            let page = self.pipeline.list_trajectories(&Caller::local(), filter, cursor.as_deref(), PAGE).await?;
            for row in page.trajectories {
                if done >= most {
                    return Ok(Some(()));
                }
                let Some((run, told)) = self.read(&row).await? else { continue };
                with(&run, &told)?;
                done += 1;
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(Some(()));
            }
        }
    }

    /// Reads a run; `None` for one that cannot be replayed, or was changed meanwhile.
    async fn read(&self, row: &TrajectoryRow) -> Result<Option<(RecordedRun, Vec<Told>)>, DistillError> {
        let run = match stored_run(self.pipeline.store(), row).await {
            Ok(run) => run,
            Err(StoredError::Store(error)) => return Err(error.into()),
            Err(StoredError::Changed(_) | StoredError::Unusable(_)) => return Ok(None),
        };
        let made = self.pipeline.store().compressions(&row.id).await?;
        let told = made.iter().filter_map(|record| match serde_json::from_str(record) {
            Ok(Compression::Told(told)) => Some(told),
            _ => None,
        });
        Ok(Some((run, told.collect())))
    }

    fn collect(&self, samples: &mut Collector, run: &RecordedRun, told: &[Told]) -> Result<(), DistillError> {
        let guideline = self.pipeline.guidelines().default_set();
        Ok(tokio::task::block_in_place(|| samples.take(run, &self.server(&guideline, &Compressors::default()), told))?)
    }

    fn tried(&self, trial: &mut Trial, run: &RecordedRun) -> Result<(), DistillError> {
        let guideline = self.pipeline.guidelines().default_set();
        tokio::task::block_in_place(|| trial.take(run, &self.server(&guideline, &Compressors::default())))?;
        Ok(())
    }

    fn server<'a>(
        &'a self,
        guideline: &'a crate::pipeline::guidelines::GuidelineSet,
        compressors: &'a Compressors,
    ) -> Server<'a> {
        Server { config: &self.config, counters: &self.counters, guideline, model: MODEL, compressors }
    }

    async fn note(&self, stage: &str, report: Value, checkpoint: Option<Vec<u8>>) -> Result<bool, DistillError> {
        let now_ms = self.pipeline.world().now_ms();
        let step = DistillationStep { id: self.id.to_owned(), stage: stage.to_owned(), report, checkpoint, now_ms };
        Ok(self.pipeline.store().note_distillation(step).await?)
    }
}

/// Where the daemon keeps what a training stands at.
struct Desk<'a> {
    work: &'a Work<'a>,
}

impl Watcher for Desk<'_> {
    fn keep(&mut self, laps: &[Lap], checkpoint: Vec<u8>) -> Result<bool, String> {
        let noted = self.work.note("train", json!({ "curve": laps }), Some(checkpoint));
        Handle::current().block_on(noted).map_err(|error| error.to_string())
    }
}
