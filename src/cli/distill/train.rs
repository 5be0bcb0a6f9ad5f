//! `recapd distill train`

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use indicatif::{ProgressBar, ProgressStyle};
use recap_core::context::{ActiveHead, Compression, Told};
use recap_core::tuning::{Margins, Split};
use serde::Serialize;

use super::export::split;
use super::{BadUse, Done, Setting, output};
use crate::cli::import::files;
use crate::cli::runs::{self, Runs};
use crate::cli::setting::Local;
use crate::config::Config;
use crate::pipeline::compress::Compressors;
use crate::pipeline::counters::Counters;
use crate::pipeline::guidelines::GuidelineSet;
use crate::pipeline::keys::Caller;
use crate::store::{TrajectoryFilter, TrajectoryRow};
use crate::tune::distill::{
    Collector, Course, EPOCHS, KeepError, Lap, Made, Trial, TrialOutcome, Watcher, asking_heads, by_rules, made,
};
use crate::tune::{RecordedRun, ReplayError, Server, StoredError, stored_run};

/// Trajectories read from the store at once.
const PAGE: usize = 100;
/// The files of a training's folder.
const CHECKPOINT: &str = "checkpoint.bin";
const HEAD: &str = "head.json";
const REPORT: &str = "report.json";
/// Columns of the curve.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

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

/// What a training came to.
#[derive(Serialize)]
struct Report<'a> {
    /// The head's hash.
    head: String,
    train_examples: u64,
    held_out_examples: u64,
    /// Runs that could not be served.
    unserved: u64,
    curve: &'a [Lap],
    #[serde(flatten)]
    outcome: &'a TrialOutcome,
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
        let mut samples = Collector::new(self.train.split);
        self.each("examples", |run, told| {
            tell_unserved(run, samples.take(run, &self.server(&self.by_rules), told).err().as_ref());
            Ok(())
        })
        .await?;
        let counts = samples.counts();
        let mut desk = Desk::new(self.train)?;
        let from = desk.kept()?;
        let (file, laps) = course.train(samples.into_sides(), from.as_deref(), &mut desk)?;
        desk.bar.finish_and_clear();
        let text = std::str::from_utf8(&file).context("the head's file")?;
        let mut trial = Trial::new(self.train.split, self.guideline, ActiveHead::parse(text)?);
        self.each("judged", |run, _| {
            tell_unserved(run, trial.take(run, &self.server(&self.judged)).as_ref());
            Ok(())
        })
        .await?;
        let outcome = trial.judge(&Margins::default(), self.train.seed);
        let (split, pipeline) = (self.train.split, &self.local.pipeline);
        let of = Made { file: &file, course: &course, split, counts, laps: &laps, outcome: &outcome };
        let head = made(&of, &Caller::local().actor, pipeline.world().now_ms());
        let hash = pipeline.store().add_head(head).await?;
        let report = Report {
            head: hash.to_string(),
            train_examples: counts.train.examples,
            held_out_examples: counts.held_out.examples,
            unserved: counts.unserved,
            curve: &laps,
            outcome: &outcome,
        };
        written(&self.train.path(HEAD), &file)?;
        written(&self.train.path(REPORT), &serde_json::to_vec_pretty(&report)?)?;
        if setting.json {
            output::say_json(&report)?;
        } else {
            output::say(&in_words(&report))?;
        }
        Ok(outcome.verdict.passes)
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
        mut with: impl FnMut(&RecordedRun, &[Told]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.train.stored {
            return self.each_stored(doing, with).await;
        }
        let files = files::found(&self.train.paths)?;
        let bar = runs::bar(&files)?;
        for file in &files {
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

fn in_words(report: &Report<'_>) -> String {
    let verdict = &report.outcome.verdict;
    let mut said = format!(
        "{} examples for training, {} held out\n\n{}\n",
        report.train_examples,
        report.held_out_examples,
        curve(report.curve)
    );
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["budget", "", "grounding", "bound", "first", "billed"]);
    let ratio = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    for measures in &report.outcome.measures {
        for (who, summary) in [("now", &measures.champion), ("head", &measures.candidate)] {
            let budget = measures.budget["fraction"].to_string();
            let shares = [summary.grounding, summary.bound, summary.first, summary.billed].map(ratio);
            table.add_row([budget, who.to_owned()].into_iter().chain(shares));
        }
    }
    let gate = if verdict.passes { "passes" } else { "is refused" };
    let against = report.outcome.against;
    let told = format!("{} {gate} beside {against}: {}", report.head, verdict.reason);
    let _infallible = write!(said, "\n{}\n\n{told}", table.trim_fmt());
    said
}

/// The curve as a row of bars for each side, from the lowest loss to the highest.
fn curve(laps: &[Lap]) -> String {
    let train: Vec<f64> = laps.iter().map(|lap| lap.train).collect();
    let held_out: Vec<f64> = laps.iter().filter_map(|lap| lap.held_out).collect();
    let all = train.iter().chain(&held_out).copied();
    let (least, most) = all.fold((f64::MAX, f64::MIN), |(least, most), loss| (least.min(loss), most.max(loss)));
    let row = |name: &str, losses: &[f64]| {
        let bars: String = losses.iter().map(|loss| bar((loss - least) / (most - least).max(f64::EPSILON))).collect();
        let ends = losses.first().zip(losses.last());
        let ends = ends.map_or_else(String::new, |(first, last)| format!("{first:.4} → {last:.4}"));
        format!("{name:9} {bars} {ends}")
    };
    format!("loss by epoch, nats\n{}\n{}", row("train", &train), row("held out", &held_out))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within the bars")]
fn bar(share: f64) -> char {
    let at = (share.clamp(0.0, 1.0) * 7.0).round() as usize;
    BARS.get(at).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_falls_from_full_bars_to_low_ones() {
        let lap = |epoch, train, held_out| Lap { epoch, train, held_out: Some(held_out) };
        let drawn = curve(&[lap(1, 0.9, 0.8), lap(2, 0.5, 0.6), lap(3, 0.2, 0.45)]);
        assert_eq!(drawn, "loss by epoch, nats\ntrain     █▄▁ 0.9000 → 0.2000\nheld out  ▇▅▄ 0.8000 → 0.4500");
    }
}
