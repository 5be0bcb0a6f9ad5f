//! `recapd distill export`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use recap_core::tuning::{By, Split};

use super::{BadUse, Done, Setting, output};
use crate::cli::import::files;
use crate::cli::runs::{self, Runs};
use crate::pipeline::Pipeline;
use crate::pipeline::compress::Compressors;
use crate::pipeline::counters::Counters;
use crate::pipeline::guidelines::Guidelines;
use crate::pipeline::keys::Caller;
use crate::store::TrajectoryFilter;
use crate::tune::distill::part::{self, Writer};
use crate::tune::distill::{Export as Writing, Library, Material, Outcomes, Read, Report, Terms, rehearsed};
use crate::tune::{Budget, RecordedRun, Server};

/// Trajectories that are listed at once.
const PAGE: usize = 200;

/// Write what compressors were asked and wrote, one example a line: system, user and assistant of a chat.
///
/// Of recorded files, each run is served by rules at one budget, and each section of its epochs is an example. Of stored
/// trajectories, the sections that rules made for their epochs, and the recaps and shortened results that chat models wrote.
/// Secrets are masked wherever they stand in the run.
#[derive(Debug, Args)]
pub struct Export {
    /// Files, or folders that are searched for .json, .jsonl and .gz of both
    #[arg(value_name = "FILE", required_unless_present = "stored", conflicts_with = "stored")]
    paths: Vec<PathBuf>,
    /// The stored trajectories instead of files
    #[arg(long)]
    stored: bool,
    /// Only stored ones of this namespace
    #[arg(long, requires = "stored")]
    namespace: Option<String>,
    /// Only stored ones of this agent
    #[arg(long, requires = "stored")]
    agent: Option<String>,
    /// Write to this file; with --split, to two that end in .train.jsonl and .held-out.jsonl
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Whose work
    #[arg(long, value_enum, default_value_t = Compressor::Any)]
    compressor: Compressor,
    /// Runs that did not succeed, too, and those of which that is not known
    #[arg(long)]
    all: bool,
    /// Part the examples by task: a seed, and the share of tasks that is held out
    #[arg(long, value_name = "SEED,SHARE", value_parser = split)]
    split: Option<Split>,
    /// Leave out examples with a longer input
    #[arg(long, default_value_t = 32_000, value_name = "TOKENS")]
    max_source_tokens: u32,
    /// The budget that files are served at, as a share of a run's largest full context
    #[arg(long, default_value_t = 0.46, value_name = "SHARE")]
    fraction: f64,
    /// Least budget that a share gives, beside the system prompt
    #[arg(long, default_value_t = 1500, value_name = "TOKENS")]
    floor: u32,
    /// The model whose tokenizer counts while files are served
    #[arg(long, default_value = "gpt-4o")]
    model: String,
    #[command(flatten)]
    runs: Runs,
}

/// Whose work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compressor {
    /// What rules made
    Rules,
    /// What chat models wrote
    Llm,
    /// Both
    Any,
}

/// Reads a seed and a share.
pub(super) fn split(text: &str) -> Result<Split, String> {
    let (seed, share) = text.split_once(',').ok_or("expected a seed and a share, as in 7,0.3")?;
    let seed = seed.trim().parse().map_err(|_| "the seed is no whole number of 0 or more".to_owned())?;
    let share = share.trim().parse().map_err(|_| "the share is no number".to_owned())?;
    Split::new(seed, share).map_err(|error| error.to_string())
}

impl Export {
    /// Exports.
    ///
    /// # Errors
    ///
    /// Fails where the store does, a context cannot be served, or a file cannot be written.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        if !(0.0..=1.0).contains(&self.fraction) {
            return Err(BadUse(format!("--fraction: {} is not from 0 to 1", self.fraction)).into());
        }
        if !self.stored && self.compressor == Compressor::Llm {
            return Err(BadUse("files hold no work of models: use --stored".to_owned()).into());
        }
        let written = || format!("{} cannot be written", self.out.display());
        let (parts, files) = match self.split {
            None => part::one(&self.out).map(|(parts, train)| (parts, (train, None))),
            Some(_) => part::sides(&self.out).map(|(parts, [train, held_out])| (parts, (train, Some(held_out)))),
        }
        .with_context(written)?;
        let (train, held_out, report) =
            if self.stored { self.export_stored(setting, files).await? } else { self.export_files(setting, files)? };
        parts.keep(train, held_out).with_context(written)?;
        tell(&report, setting)?;
        Ok(if report.unreadable == 0 { Done::Well } else { Done::Badly })
    }

    fn terms(&self) -> Terms {
        Terms {
            by: match self.compressor {
                Compressor::Rules => By::Rules,
                Compressor::Llm => By::Llm,
                Compressor::Any => By::Any,
            },
            outcomes: if self.all { Outcomes::Any } else { Outcomes::Succeeded },
            most_source_tokens: self.max_source_tokens,
            split: self.split,
        }
    }

    async fn export_stored(
        &self,
        setting: &Setting,
        (train, held_out): (Writer, Option<Writer>),
    ) -> anyhow::Result<(Writer, Option<Writer>, Report)> {
        let local = setting.open().await?;
        let library = Library::stored(&local.pipeline).await?;
        let mut export = Writing::new(self.terms(), &library, train, held_out);
        self.take_stored(&local.pipeline, &mut export).await?;
        local.close().await?;
        Ok(export.finish()?)
    }

    async fn take_stored(&self, pipeline: &Pipeline, export: &mut Writing<'_, Writer>) -> anyhow::Result<()> {
        let caller = Caller::local();
        let bar = ProgressBar::no_length();
        bar.set_style(ProgressStyle::with_template("{spinner} {pos} trajectories {msg}")?);
        let filter = TrajectoryFilter {
            namespace: self.namespace.clone(),
            agent: self.agent.clone(),
            ..TrajectoryFilter::default()
        };
        let (mut cursor, mut left) = (None, self.runs.limit.unwrap_or(usize::MAX));
        loop {
            let page = pipeline.list_trajectories(&caller, filter.clone(), cursor.as_deref(), PAGE).await?;
            for row in page.trajectories {
                if left == 0 {
                    break;
                }
                left -= 1;
                match Read::of(pipeline.stored_run(&caller, &row.id).await)? {
                    Read::Run(run) => export.take_stored(&run)?,
                    Read::Gone => {}
                    Read::Unreadable(failure) => {
                        bar.suspend(|| output::complain(&format!("{} is left out: {failure}", row.id)));
                        export.unreadable(1);
                    }
                }
                bar.inc(1);
                bar.set_message(format!("{} examples", export.report().examples));
            }
            cursor = page.next_cursor.filter(|_| left > 0);
            if cursor.is_none() {
                bar.finish_and_clear();
                return Ok(());
            }
        }
    }

    fn export_files(
        &self,
        setting: &Setting,
        (train, held_out): (Writer, Option<Writer>),
    ) -> anyhow::Result<(Writer, Option<Writer>, Report)> {
        let config = setting.load(&[])?.config;
        let counters = Counters::load(&config.tokens)?;
        let guidelines = Guidelines::load(&config.guidelines)?;
        let guideline = guidelines.default_set();
        let compressors = Compressors::default();
        let server = Server {
            config: &config,
            counters: &counters,
            guideline: &guideline,
            model: &self.model,
            compressors: &compressors,
        };
        let library = Library::of_set(&guideline);
        let mut export = Writing::new(self.terms(), &library, train, held_out);
        let files = files::found(&self.paths)?;
        let bar = runs::bar(&files)?;
        for file in &files {
            let before = bar.position();
            let tally = self.runs.each(file, &bar, |run| self.take_recorded(run, &server, &mut export))?;
            export.unreadable(tally.unreadable);
            bar.set_position(before + file.bytes);
        }
        bar.finish_and_clear();
        Ok(export.finish()?)
    }

    fn take_recorded(
        &self,
        run: &RecordedRun,
        server: &Server<'_>,
        export: &mut Writing<'_, Writer>,
    ) -> anyhow::Result<()> {
        if !self.all && run.success != Some(true) {
            export.unsuccessful();
            return Ok(());
        }
        let budget = Budget::Share { fraction: self.fraction, floor: self.floor };
        let mut epochs = Vec::new();
        let served = match rehearsed(run, server, budget, &mut |_, _, epoch| epochs.push(epoch)) {
            Ok(served) => served,
            Err(error) => {
                output::complain(&format!("{} cannot be served and is left out: {error}", run.id));
                export.unreadable(1);
                return Ok(());
            }
        };
        let material = Material {
            id: &run.id,
            task: &run.task,
            success: run.success,
            session: served.session(),
            epochs: &epochs,
            made: &[],
            steered_by: &server.guideline.history.label,
        };
        Ok(export.take(&material)?)
    }
}

fn tell(report: &Report, setting: &Setting) -> anyhow::Result<()> {
    if setting.json {
        return output::say_json(report);
    }
    let Report { examples, train, held_out, runs, masked, unsuccessful, unreadable, .. } = report;
    let mut said = format!(
        "{examples} examples of {runs} runs ({train} for training, {held_out} held out); {masked} secrets masked\n\
         runs left out: {unsuccessful} did not succeed or do not say so, {unreadable} unreadable"
    );
    for (why, count) in &report.left_out {
        said.extend([format!("\nexamples left out: {count}, {why}")]);
    }
    Ok(output::say(&said)?)
}
