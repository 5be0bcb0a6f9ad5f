//! A head trained from stored trajectories in the background, and the record that every trained head bears.

use std::cell::Cell;
use std::time::Duration;

use recap_core::context::{ActiveHead, Compression, FEATURE_SET, Told};
use recap_core::tuning::{Margins, Side, Split};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::course::KeepError;
use super::job::{DistillError, End, Site};
use super::samples::{Collector, Counts};
use super::spec::Spec;
use super::trial::{Outcome, Trial, asking_heads, by_rules};
use super::{BUDGETS, Course, Elsewhere, Lap, TrainError, Watcher};
use crate::config::Config;
use crate::pipeline::compress::Compressors;
use crate::pipeline::counters::Counters;
use crate::pipeline::guidelines::GuidelineSet;
use crate::pipeline::keys::Caller;
use crate::store::{DistillationRow, DistillationStep, HeadVerdict, NewHead, StoreError, TrajectoryRow};
use crate::tune::{RecordedRun, ReplayError, Server, StoredError, stored_run};

/// Trajectories that are listed at once.
const PAGE: usize = 50;
/// Runs after which a stage's progress is stored again.
const NOTE_EVERY: usize = 8;
/// How often the store is asked whether a training is still wanted.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// The model whose tokenizer counts while runs are served.
const MODEL: &str = "gpt-4o";

/// All that is known of a trained head.
pub struct Made<'a> {
    /// Its file.
    pub file: &'a [u8],
    /// Whether that says which plans are usual.
    pub familiar: bool,
    /// How it was trained.
    pub course: &'a Course,
    /// What it was trained on.
    pub split: Split,
    /// How many examples there were.
    pub counts: Counts,
    /// The curve.
    pub laps: &'a [Lap],
    /// What the trial came to.
    pub outcome: &'a Outcome,
    /// What it does elsewhere, where somebody looked.
    pub elsewhere: Option<&'a Elsewhere>,
}

/// Returns the head as it is stored: its weights with how it was trained, on what, and what the gate said.
#[must_use]
pub fn made(of: &Made<'_>, actor: &str, now_ms: i64) -> NewHead {
    let Made { file, familiar, course, split, counts, laps, outcome, elsewhere } = of;
    let mut manifest = json!({
        "features": FEATURE_SET, "program": env!("CARGO_PKG_VERSION"), "course": course, "split": split,
        "budgets": BUDGETS.map(crate::tune::Budget::to_json),
        "train": counts.train, "held_out": counts.held_out, "unserved": counts.unserved,
        "curve": laps, "measures": outcome.measures, "familiar": familiar,
    });
    if let Some(elsewhere) = elsewhere {
        manifest["elsewhere"] = json!(elsewhere);
    }
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
    site: &'a Site<'a>,
    spec: &'a Spec,
    id: &'a str,
    split: Split,
    counters: Counters,
    compressors: Compressors,
    /// Serves what examples are of.
    by_rules: Config,
    /// Serves what the gate compares.
    judged: Config,
}

/// A trajectory as it was when the run found it.
#[derive(Debug, Serialize, Deserialize)]
struct Case {
    id: String,
    /// Its messages.
    length: u64,
    /// What models had made of it.
    made: usize,
    side: Side,
}

/// Trains a head from stored trajectories, has the gate judge it and stores it. What it stands at is stored after each epoch.
///
/// # Errors
///
/// [`DistillError`]
pub(super) async fn train(site: &Site<'_>, spec: &Spec, row: &DistillationRow) -> Result<End, DistillError> {
    let pipeline = site.pipeline;
    let split = spec.split.unwrap_or_default();
    let counters = Counters::load(&pipeline.config().tokens)?;
    let (by_rules, judged) = (by_rules(pipeline.config()), asking_heads(pipeline.config()));
    let compressors = Compressors::default();
    let work = Work { site, spec, id: &row.id, split, counters, compressors, by_rules, judged };
    let mut samples = Collector::new(split);
    let cases = work.collect(&mut samples).await?;
    let counts = samples.counts();
    let (file, laps) = work.trained(samples).await?;
    let head = ActiveHead::parse(&String::from_utf8_lossy(&file))?;
    let familiar = head.head.familiar.is_some();
    let outcome = work.judged(&cases, head).await?;
    let (course, laps, told) = (&spec.course, &laps[..], &outcome);
    let of = Made { file: &file, familiar, course, split, counts, laps, outcome: told, elsewhere: None };
    let head = made(&of, &row.actor, pipeline.world().now_ms());
    let report = json!({
        "runs": cases.len(), "unserved": counts.unserved, "unjudged": outcome.unjudged, "curve": laps, "verdict": outcome.verdict,
        "measured": outcome.against.to_string(), "measures": outcome.measures, "familiar": familiar,
    });
    let hash = pipeline.store().add_head(head).await?;
    Ok(End::Trained(report, hash))
}

impl Work<'_> {
    /// Takes the examples of all cases: of those that the run found before, where it is taken up again.
    async fn collect(&self, samples: &mut Collector) -> Result<Vec<Case>, DistillError> {
        let store = self.site.pipeline.store();
        let Some(known) = store.distillation_cases(self.id).await? else {
            let found = self.found(samples).await?;
            store.keep_distillation_cases(self.id, &serde_json::to_value(&found)?).await?;
            return Ok(found);
        };
        let known: Vec<Case> = serde_json::from_value(known)?;
        for (n, case) in known.iter().enumerate() {
            self.go_on("collect", n).await?;
            if let Some((run, told)) = self.read(case).await? {
                self.take(samples, &run, &told);
            }
        }
        Ok(known)
    }

    /// Finds the cases, newest first, and takes their examples.
    async fn found(&self, samples: &mut Collector) -> Result<Vec<Case>, DistillError> {
        let (mut cursor, mut found) = (None, Vec::new());
        let (most, min_peak) = (self.spec.cases.limit.unwrap_or(u32::MAX) as usize, self.spec.min_peak());
        loop {
            let (caller, filter) = (Caller::local(), self.spec.cases.filter());
            let page = self.site.pipeline.list_trajectories(&caller, filter, cursor.as_deref(), PAGE).await?;
            for row in page.trajectories {
                self.go_on("collect", found.len()).await?;
                if found.len() >= most {
                    return Ok(found);
                }
                if row.full_tokens < u64::from(min_peak) {
                    continue;
                }
                let Some((run, told)) = self.of_row(&row, usize::MAX).await? else { continue };
                if run.reaches(i64::from(min_peak)) {
                    self.take(samples, &run, &told);
                    let (side, made) = (self.split.side(&run.task), told.len());
                    found.push(Case { id: row.id, length: row.length, made, side });
                }
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    async fn trained(&self, samples: Collector) -> Result<(Vec<u8>, Vec<Lap>), DistillError> {
        let checkpoint = self.site.pipeline.store().distillation_checkpoint(self.id).await?;
        let mut desk = Desk { work: self, asked: Cell::new(Instant::now()) };
        let trained = tokio::task::block_in_place(|| {
            self.spec.course.train(samples.into_sides(), checkpoint.as_deref(), &mut desk)
        });
        match trained {
            Err(TrainError::Cancelled) => Err(self.site.ended()),
            trained => Ok(trained?),
        }
    }

    async fn judged(&self, cases: &[Case], head: ActiveHead) -> Result<Outcome, DistillError> {
        let set = self.site.pipeline.guidelines().default_set();
        let mut trial = Trial::new(self.split, &set, head);
        for (n, case) in cases.iter().filter(|case| case.side == Side::HeldOut).enumerate() {
            self.go_on("judge", n).await?;
            let Some((run, _)) = self.read(case).await? else { continue };
            let failed = tokio::task::block_in_place(|| trial.take(&run, &self.server(&self.judged, &set)));
            tell_unserved(&run, failed.as_ref());
        }
        Ok(trial.judge(&Margins::default(), self.spec.course.seed))
    }

    /// Reads a case as it was when it was found; `None` where it is gone, or its task stands on another side by now.
    async fn read(&self, case: &Case) -> Result<Option<(RecordedRun, Vec<Told>)>, DistillError> {
        let Some(row) = self.site.pipeline.store().trajectory(&case.id).await? else { return Ok(None) };
        let row = TrajectoryRow { length: row.length.min(case.length), ..row };
        let read = self.of_row(&row, case.made).await?;
        Ok(read.filter(|(run, _)| self.split.side(&run.task) == case.side))
    }

    /// Reads a run and the first words of teachers on it; `None` for one that cannot be replayed, or was changed meanwhile.
    async fn of_row(&self, row: &TrajectoryRow, most: usize) -> Result<Option<(RecordedRun, Vec<Told>)>, DistillError> {
        let store = self.site.pipeline.store();
        let run = match stored_run(store, row).await {
            Ok(run) => run,
            Err(StoredError::Store(error)) => return Err(error.into()),
            Err(StoredError::Changed(_) | StoredError::Unusable(_)) => return Ok(None),
        };
        let made = store.compressions(&row.id).await?;
        let told = made.iter().filter_map(|record| match serde_json::from_str(record) {
            Ok(Compression::Told(told)) => Some(told),
            _ => None,
        });
        Ok(Some((run, told.take(most).collect())))
    }

    fn take(&self, samples: &mut Collector, run: &RecordedRun, told: &[Told]) {
        let set = self.site.pipeline.guidelines().default_set();
        let server = self.server(&self.by_rules, &set);
        let taken = tokio::task::block_in_place(|| samples.take(run, &server, told));
        tell_unserved(run, taken.err().as_ref());
    }

    fn server<'a>(&'a self, config: &'a Config, guideline: &'a GuidelineSet) -> Server<'a> {
        Server { config, counters: &self.counters, guideline, model: MODEL, compressors: &self.compressors }
    }

    /// Notes how far a stage is, and goes on only where that is wanted.
    async fn go_on(&self, stage: &str, done: usize) -> Result<(), DistillError> {
        if self.site.stopping.is_cancelled() {
            return Err(DistillError::Stopped);
        }
        if !done.is_multiple_of(NOTE_EVERY) || self.note(stage, json!({ "runs": done }), None).await? {
            return Ok(());
        }
        Err(DistillError::Cancelled)
    }

    async fn note(&self, stage: &str, report: Value, checkpoint: Option<Vec<u8>>) -> Result<bool, StoreError> {
        let now_ms = self.site.pipeline.world().now_ms();
        let step = DistillationStep { id: self.id.to_owned(), stage: stage.to_owned(), report, checkpoint, now_ms };
        self.site.pipeline.store().note_distillation(step).await
    }
}

fn tell_unserved(run: &RecordedRun, failed: Option<&ReplayError>) {
    if let Some(error) = failed {
        tracing::warn!(trajectory = run.id, %error, "a trajectory cannot be served and is left out of a training");
    }
}

/// Where the daemon keeps what a training stands at.
struct Desk<'a> {
    work: &'a Work<'a>,
    /// When the store was last asked whether the run is wanted.
    asked: Cell<Instant>,
}

impl Watcher for Desk<'_> {
    fn keep(&mut self, laps: &[Lap], checkpoint: Vec<u8>) -> Result<bool, KeepError> {
        let noted = self.work.note("train", json!({ "curve": laps }), Some(checkpoint));
        let wanted = Handle::current().block_on(noted)?;
        Ok(wanted && !self.work.site.stopping.is_cancelled())
    }

    fn is_wanted(&self) -> bool {
        if self.work.site.stopping.is_cancelled() {
            return false;
        }
        if self.asked.get().elapsed() < ASK_EVERY {
            return true;
        }
        self.asked.set(Instant::now());
        let row = Handle::current().block_on(self.work.site.pipeline.store().distillation(self.work.id));
        // a store that cannot be asked now is asked again
        row.map_or(true, |row| row.is_some_and(|row| !row.state.is_over()))
    }
}
