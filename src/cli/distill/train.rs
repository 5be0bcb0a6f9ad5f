//! `recapd distill train`

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use recap_core::context::{ActiveHead, Compression, Told};
use recap_core::tuning::{Margins, Split};

use super::export::split;
use super::report::Report;
use super::{BadUse, Done, Setting, output};
use crate::cli::import::files::{self, Source};
use crate::cli::runs::{self, Runs};
use crate::cli::setting::Local;
use crate::config::Config;
use crate::pipeline::compress::Compressors;
use crate::pipeline::counters::Counters;
use crate::pipeline::guidelines::GuidelineSet;
use crate::pipeline::keys::Caller;
use crate::store::{TrajectoryFilter, TrajectoryRow};
use crate::tune::distill::{
    Collector, Course, EPOCHS, Elsewhere, KeepError, Lap, Look, Made, Trial, TrialOutcome, Watcher, asking_heads,
    by_rules, made,
};
use crate::tune::{RecordedRun, ReplayError, Server, StoredError, stored_run};

/// Trajectories read from the store at once.
const PAGE: usize = 100;
/// The files of a training's folder.
const CHECKPOINT: &str = "checkpoint.bin";
const HEAD: &str = "head.json";
const REPORT: &str = "report.json";

/// Train the head that `extract` asks, and have the gate judge it.
///
/// Each run is served by rules at two budgets. Whenever an epoch begins, the values that it stands for are examples: their
/// label is whether a later action uses them, halfway to what a chat model's recap of the same turns says where one is
/// stored. Tasks are parted first: what is held out is never trained on, and the gate judges on it alone. What the training stands at
/// is kept in the folder after each epoch; the same command goes on from there. The head is stored in the data folder with
/// its verdict, and scores nothing until it is activated.
#[derive(Debug, Args)]
pub struct Train {
    /// Files, or folders that are searched for .json, .jsonl and .gz of both
    #[arg(value_name = "FILE", required_unless_present = "stored", conflicts_with = "stored")]
    paths: Vec<PathBuf>,
    /// The stored trajectories instead of files
    #[arg(long)]
    stored: bool,
    /// Only stored ones of this namespace
    #[arg(long, requires = "stored", value_name = "NAME")]
    namespace: Option<String>,
    /// Only stored ones of this agent
    #[arg(long, requires = "stored", value_name = "NAME")]
    agent: Option<String>,
    /// Runs of another domain, files or folders; may be given more than once. What the head does there is told and not
    /// judged: none of them is trained on, and verdict and exit code are those without them
    #[arg(long, value_name = "FILE")]
    elsewhere: Vec<PathBuf>,
    /// The folder for what the training stands at, the head and the report; it is made
    #[arg(long, short, value_name = "DIR")]
    out: PathBuf,
    /// What weights and the order of examples are drawn from
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How often all examples are gone through
    #[arg(long, default_value_t = 6, value_name = "COUNT")]
    epochs: u32,
    /// Part the runs by task: a seed, and the share of tasks that is held out
    #[arg(long, default_value = "0,0.3", value_name = "SEED,SHARE", value_parser = split)]
    split: Split,
    #[command(flatten)]
    runs: Runs,
    /// The model whose tokenizer counts while runs are served
    #[arg(long, default_value = "gpt-4o")]
    model: String,
}

/// What a training is done with.
struct Site<'a> {
    train: &'a Train,
    local: &'a Local,
    by_rules: Config,
    judged: Config,
    counters: Counters,
    guideline: &'a GuidelineSet,
    compressors: Compressors,
    /// The files with runs of another domain.
    elsewhere: Vec<Source>,
}

impl Train {
    /// Trains.
    ///
    /// # Errors
    ///
    /// Fails where there is too little to learn from, a context cannot be served, or the store fails.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        if !EPOCHS.contains(&self.epochs) {
            let (least, most) = (EPOCHS.start(), EPOCHS.end());
            return Err(BadUse(format!("--epochs: {} is not from {least} to {most}", self.epochs)).into());
        }
        let elsewhere = files::found(&self.elsewhere)?;
        std::fs::create_dir_all(&self.out).with_context(|| format!("{} cannot be made", self.out.display()))?;
        let local = setting.open().await?;
        let guideline = local.pipeline.guidelines().default_set();
        let site = Site {
            train: &self,
            by_rules: by_rules(local.pipeline.config()),
            judged: asking_heads(local.pipeline.config()),
            counters: Counters::load(&local.pipeline.config().tokens)?,
            guideline: &guideline,
            compressors: Compressors::default(),
            elsewhere,
            local: &local,
        };
        let passed = site.run(setting).await?;
        drop(site);
        local.close().await?;
        Ok(if passed { Done::Well } else { Done::Badly })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }
}

impl Site<'_> {
    /// Tells whether the gate let the head pass.
    async fn run(&self, setting: &Setting) -> anyhow::Result<bool> {
        let course = Course { epochs: self.train.epochs, ..Course::new(self.train.seed) };
        let (samples, tasks) = self.collected().await?;
        let counts = samples.counts();
        let (file, laps) = self.trained(&course, samples)?;
        let head = ActiveHead::parse(std::str::from_utf8(&file).context("the head's file")?)?;
        let familiar = head.head.familiar.is_some();
        let outcome = self.judged(head.clone()).await?;
        let elsewhere = self.looked_elsewhere(tasks, head)?;
        let elsewhere = elsewhere.as_ref();
        let (split, pipeline) = (self.train.split, &self.local.pipeline);
        let (course, laps, outcome) = (&course, &laps[..], &outcome);
        let of = Made { file: &file, familiar, course, split, counts, laps, outcome, elsewhere };
        let head = made(&of, &Caller::local().actor, pipeline.world().now_ms());
        let hash = pipeline.store().add_head(head).await?;
        let report = Report {
            head: hash.to_string(),
            train_examples: counts.train.examples,
            held_out_examples: counts.held_out.examples,
            unserved: counts.unserved,
            curve: laps,
            familiar,
            outcome,
            elsewhere,
        };
        written(&self.train.path(HEAD), &file)?;
        written(&self.train.path(REPORT), &serde_json::to_vec_pretty(&report)?)?;
        if setting.json {
            output::say_json(&report)?;
        } else {
            output::say(&report.in_words())?;
        }
        Ok(outcome.verdict.passes)
    }

    /// Returns the examples of all runs, and the tasks of these.
    async fn collected(&self) -> anyhow::Result<(Collector, HashSet<String>)> {
        let (mut samples, mut tasks) = (Collector::new(self.train.split), HashSet::new());
        self.each("examples", |run, told| {
            tasks.insert(run.task.clone());
            tell_unserved(run, samples.take(run, &self.server(&self.by_rules), told).err().as_ref());
            Ok(())
        })
        .await?;
        Ok((samples, tasks))
    }

    /// Trains, from what an earlier training in the folder stood at, and returns the head's file with the curve.
    fn trained(&self, course: &Course, samples: Collector) -> anyhow::Result<(Vec<u8>, Vec<Lap>)> {
        let mut desk = Desk::new(self.train)?;
        let from = desk.kept()?;
        let trained = course.train(samples.into_sides(), from.as_deref(), &mut desk)?;
        desk.bar.finish_and_clear();
        Ok(trained)
    }

    async fn judged(&self, head: ActiveHead) -> anyhow::Result<TrialOutcome> {
        let mut trial = Trial::new(self.train.split, self.guideline, head);
        self.each("judged", |run, _| {
            tell_unserved(run, trial.take(run, &self.server(&self.judged)).as_ref());
            Ok(())
        })
        .await?;
        Ok(trial.judge(&Margins::default(), self.train.seed))
    }

    /// Compares a head with what scores now on the runs of another domain; `None` where none were given. `known` are the tasks of
    /// all runs that the training was given.
    fn looked_elsewhere(&self, known: HashSet<String>, head: ActiveHead) -> anyhow::Result<Option<Elsewhere>> {
        if self.elsewhere.is_empty() {
            return Ok(None);
        }
        let mut look = Look::new(known, self.guideline, head);
        self.each_of(&self.elsewhere, |run, _| {
            tell_unserved(run, look.take(run, &self.server(&self.judged)).as_ref());
            Ok(())
        })?;
        Ok(Some(look.told(&Margins::default(), self.train.seed)))
    }

    fn server<'a>(&'a self, config: &'a Config) -> Server<'a> {
        Server {
            config,
            counters: &self.counters,
            guideline: self.guideline,
            model: &self.train.model,
            compressors: &self.compressors,
        }
    }

    /// Does something with each run and what a teacher wrote of it.
    async fn each(
        &self,
        doing: &str,
        with: impl FnMut(&RecordedRun, &[Told]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.train.stored {
            return self.each_stored(doing, with).await;
        }
        self.each_of(&files::found(&self.train.paths)?, with)
    }

    fn each_of(
        &self,
        files: &[Source],
        mut with: impl FnMut(&RecordedRun, &[Told]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let bar = runs::bar(files)?;
        for file in files {
            let before = bar.position();
            self.train.runs.each(file, &bar, |run| with(run, &[]))?;
            bar.set_position(before + file.bytes);
        }
        bar.finish_and_clear();
        Ok(())
    }

    async fn each_stored(
        &self,
        doing: &str,
        mut with: impl FnMut(&RecordedRun, &[Told]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let pipeline = &self.local.pipeline;
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {pos} trajectories {msg} {elapsed}")?);
        bar.set_message(doing.to_owned());
        let filter = TrajectoryFilter {
            namespace: self.train.namespace.clone(),
            agent: self.train.agent.clone(),
            ..TrajectoryFilter::default()
        };
        let (mut cursor, mut left) = (None, self.train.runs.limit.unwrap_or(usize::MAX));
        loop {
            let page = pipeline.list_trajectories(&Caller::local(), filter.clone(), cursor.as_deref(), PAGE).await?;
            for row in page.trajectories {
                let Some((run, told)) = self.stored(&row).await? else { continue };
                if left == 0 {
                    return Ok(());
                }
                left -= 1;
                with(&run, &told)?;
                bar.inc(1);
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                bar.finish_and_clear();
                return Ok(());
            }
        }
    }

    async fn stored(&self, row: &TrajectoryRow) -> anyhow::Result<Option<(RecordedRun, Vec<Told>)>> {
        let store = self.local.pipeline.store();
        let run = match stored_run(store, row).await {
            Ok(run) => run,
            Err(StoredError::Store(error)) => return Err(error.into()),
            Err(error @ (StoredError::Changed(_) | StoredError::Unusable(_))) => {
                output::complain(&format!("{}: {error}", row.id));
                return Ok(None);
            }
        };
        if !run.reaches(self.train.runs.min_peak) {
            return Ok(None);
        }
        let made = store.compressions(&row.id).await?;
        let told = made.iter().filter_map(|record| match serde_json::from_str(record) {
            Ok(Compression::Told(told)) => Some(told),
            _ => None,
        });
        Ok(Some((run, told.collect())))
    }
}

/// Where what a training stands at is kept.
struct Desk {
    path: PathBuf,
    bar: ProgressBar,
}

impl Desk {
    fn new(train: &Train) -> anyhow::Result<Self> {
        let bar = ProgressBar::new(u64::from(train.epochs));
        bar.set_style(ProgressStyle::with_template("{bar:32} epoch {pos} of {len} {msg} {eta}")?);
        Ok(Self { path: train.path(CHECKPOINT), bar })
    }

    fn kept(&self) -> anyhow::Result<Option<Vec<u8>>> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", self.path.display())),
        }
    }
}

impl Watcher for Desk {
    fn keep(&mut self, laps: &[Lap], checkpoint: Vec<u8>) -> Result<bool, KeepError> {
        written(&self.path, &checkpoint).map_err(|error| KeepError::Write(format!("{error:#}")))?;
        self.bar.set_position(laps.len() as u64);
        if let Some(lap) = laps.last() {
            let held_out = lap.held_out.map_or_else(String::new, |loss| format!(", held out {loss:.4}"));
            self.bar.set_message(format!("loss {:.4}{held_out}", lap.train));
        }
        Ok(true)
    }
}

/// Writes a file so that it is never there in part.
fn written(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let said = || format!("{} cannot be written", path.display());
    let temporary = path.with_extension("part");
    std::fs::write(&temporary, bytes).with_context(said)?;
    std::fs::rename(&temporary, path).with_context(said)
}

fn tell_unserved(run: &RecordedRun, failed: Option<&ReplayError>) {
    if let Some(error) = failed {
        output::complain(&format!("{} cannot be served and is left out: {error}", run.id));
    }
}
