//! `recapd tune audit`

mod report;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use recap_core::tuning::{Loss, MessageCache};
use serde::Serialize;

use crate::cli::import::files::{self, Source};
use crate::cli::replay::create;
use crate::cli::runs::{self, HeadFile, Runs, Tally};
use crate::cli::setting::Local;
use crate::cli::{BadUse, Done, Setting, output};
use crate::config::Config;
use crate::pipeline::counters::Counters;
use crate::pipeline::guidelines::{GuidelineSet, Guidelines};
use crate::pipeline::keys::Caller;
use crate::store::{TrajectoryFilter, TrajectoryRow};
use crate::tune::{Budget, RecordedRun, Round, Server, StoredError, stored_run};
use report::Report;

/// Trajectories read from the store at once.
const PAGE: usize = 100;

/// Replay recorded runs and say what dropped each value that their contexts lost.
///
/// For each assistant message, the messages before it are appended and the context is served, by the same code and
/// settings as the daemon's; nothing is stored. A value that the message uses and that only older messages hold should
/// stand in that context, near the words that stood near it. For each one that does not, the audit tells where it
/// stood, and the rule, cap, model or score that dropped it. It measures what contexts keep, not whether an agent would
/// succeed. Takes what `import` takes.
#[derive(Debug, Args)]
pub struct Audit {
    /// Files, or folders that are searched for .json, .jsonl and .gz of both
    #[arg(value_name = "FILE", required_unless_present = "stored", conflicts_with = "stored")]
    paths: Vec<PathBuf>,
    /// Audit the stored trajectories instead; no daemon may use the data folder
    #[arg(long, conflicts_with = "head")]
    stored: bool,
    /// Only stored trajectories of this namespace
    #[arg(long, requires = "stored", value_name = "NAME")]
    namespace: Option<String>,
    /// Only stored trajectories of this agent
    #[arg(long, requires = "stored", value_name = "NAME")]
    agent: Option<String>,
    /// Budget beside the system prompt, as a share of a trajectory's largest full context
    #[arg(long, default_value_t = 0.46, value_name = "SHARE", conflicts_with = "budget")]
    fraction: f64,
    /// Budget of whole contexts, in tokens
    #[arg(long, value_name = "TOKENS")]
    budget: Option<u32>,
    /// Least budget that a share gives, beside the system prompt
    #[arg(long, default_value_t = 1500, value_name = "TOKENS")]
    floor: u32,
    #[command(flatten)]
    runs: Runs,
    /// The guideline set that steers
    #[arg(long, value_name = "SET")]
    set: Option<String>,
    /// The model whose tokenizer counts while serving
    #[arg(long, default_value = "gpt-4o")]
    model: String,
    #[command(flatten)]
    head: HeadFile,
    /// Write each lost value with its place and cause as a line of JSON
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,
}

/// A line of the failures' file.
#[derive(Serialize)]
struct Failure<'a> {
    data: &'a str,
    trajectory: &'a str,
    task: &'a str,
    #[serde(flatten)]
    budget: serde_json::Value,
    #[serde(flatten)]
    loss: &'a Loss,
}

/// An audit of one file, or of the stored trajectories.
struct Hearing<'a> {
    data: String,
    round: Round,
    report: Report,
    failures: &'a mut Option<BufWriter<File>>,
}

impl Hearing<'_> {
    fn audit(&mut self, run: &RecordedRun, server: &Server<'_>) -> anyhow::Result<()> {
        let losses = self.round.audit(run, &mut MessageCache::default(), server)?;
        for loss in &losses {
            self.report.add(loss);
            if let Some(out) = self.failures.as_mut() {
                let budget = self.round.budget.to_json();
                let line = Failure { data: &self.data, trajectory: &run.id, task: &run.task, budget, loss };
                serde_json::to_writer(&mut *out, &line).context("the failures cannot be written")?;
                out.write_all(b"\n").context("the failures cannot be written")?;
            }
        }
        Ok(())
    }
}

impl Audit {
    /// Audits.
    ///
    /// # Errors
    ///
    /// Fails where a file is not there, or a context cannot be served.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let budget = self.budget()?;
        let config = setting.load(&[])?.config;
        let mut failures = self.failures.as_deref().map(create).transpose()?;
        let unreadable = if self.stored {
            self.audit_stored(setting, config, budget, &mut failures).await?
        } else {
            self.audit_files(setting, &config, budget, &mut failures)?
        };
        if let Some(mut out) = failures {
            out.flush().context("the failures cannot be written")?;
        }
        Ok(if unreadable == 0 { Done::Well } else { Done::Badly })
    }

    fn budget(&self) -> anyhow::Result<Budget> {
        match self.budget {
            Some(0) => Err(BadUse("--budget: must be above 0".to_owned()).into()),
            Some(tokens) => Ok(Budget::Tokens(tokens)),
            None if !(0.0..=1.0).contains(&self.fraction) => {
                Err(BadUse(format!("--fraction: {} is not from 0 to 1", self.fraction)).into())
            }
            None => Ok(Budget::Share { fraction: self.fraction, floor: self.floor }),
        }
    }

    fn audit_files(
        &self,
        setting: &Setting,
        config: &Config,
        budget: Budget,
        failures: &mut Option<BufWriter<File>>,
    ) -> anyhow::Result<usize> {
        let (counters, guidelines) = (Counters::load(&config.tokens)?, Guidelines::load(&config.guidelines)?);
        let (config, guideline) = self.head.heard(config.clone(), self.guideline(&guidelines)?)?;
        let compressors = runs::compressors(setting, &config)?;
        let (counters, guideline, compressors) = (&counters, &*guideline, &compressors);
        let server = Server { config: &config, counters, guideline, model: &self.model, compressors };
        let files = files::found(&self.paths)?;
        let bar = runs::bar(&files)?;
        let mut unreadable = 0;
        for file in &files {
            let before = bar.position();
            unreadable += self.audit_file(file, &server, budget, (failures, &bar), setting)?;
            bar.set_position(before + file.bytes);
        }
        bar.finish_and_clear();
        Ok(unreadable)
    }

    fn audit_file(
        &self,
        file: &Source,
        server: &Server<'_>,
        budget: Budget,
        (failures, bar): (&mut Option<BufWriter<File>>, &ProgressBar),
        setting: &Setting,
    ) -> anyhow::Result<usize> {
        let (round, report) = (Round::new(budget), Report::default());
        let mut hearing = Hearing { data: file.name(), round, report, failures };
        let tally = self.runs.each(file, bar, |run| hearing.audit(run, server))?;
        bar.suspend(|| hearing.report.tell(&hearing.data, &tally, &hearing.round, setting))?;
        Ok(tally.unreadable)
    }

    /// The guidelines that the files or the store say.
    fn guideline(&self, guidelines: &Guidelines) -> anyhow::Result<Arc<GuidelineSet>> {
        guidelines.get(self.set.as_deref()).ok_or_else(|| {
            let names: Vec<String> = guidelines.all().into_iter().map(|(name, _)| name).collect();
            BadUse(format!("--set: no such set; there are {}", names.join(", "))).into()
        })
    }

    async fn audit_stored(
        &self,
        setting: &Setting,
        config: Config,
        budget: Budget,
        failures: &mut Option<BufWriter<File>>,
    ) -> anyhow::Result<usize> {
        let local = setting.open_with_models(config).await?;
        let (round, report) = (Round::new(budget), Report::default());
        let mut hearing = Hearing { data: "stored".to_owned(), round, report, failures };
        let tally = self.audit_all(&local, &mut hearing).await?;
        hearing.report.tell(&hearing.data, &tally, &hearing.round, setting)?;
        local.close().await?;
        Ok(tally.unreadable)
    }

    async fn audit_all(&self, local: &Local, hearing: &mut Hearing<'_>) -> anyhow::Result<Tally> {
        let pipeline = &local.pipeline;
        let counters = Counters::load(&pipeline.config().tokens)?;
        let filter = TrajectoryFilter {
            namespace: self.namespace.clone(),
            agent: self.agent.clone(),
            ..TrajectoryFilter::default()
        };
        let bar = ProgressBar::new_spinner();
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg} {elapsed}").context("the progress bar's template")?,
        );
        let mut tally = Tally::default();
        let mut cursor: Option<String> = None;
        loop {
            let page = pipeline.list_trajectories(&Caller::local(), filter.clone(), cursor.as_deref(), PAGE).await?;
            for row in page.trajectories {
                if self.runs.limit.is_some_and(|limit| tally.replayed >= limit) {
                    return Ok(tally);
                }
                self.audit_one(local, &counters, &row, (hearing, &mut tally)).await?;
                bar.set_message(format!("{} trajectories", tally.replayed));
                bar.tick();
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                bar.finish_and_clear();
                return Ok(tally);
            }
        }
    }

    async fn audit_one(
        &self,
        local: &Local,
        counters: &Counters,
        row: &TrajectoryRow,
        (hearing, tally): (&mut Hearing<'_>, &mut Tally),
    ) -> anyhow::Result<()> {
        let pipeline = &local.pipeline;
        let run = match stored_run(pipeline.store(), row).await {
            Ok(run) => run,
            Err(StoredError::Store(error)) => return Err(error.into()),
            Err(error @ (StoredError::Changed(_) | StoredError::Unusable(_))) => {
                tally.unreadable += 1;
                output::complain(&format!("{}: {error}", row.id));
                return Ok(());
            }
        };
        if !run.reaches(self.runs.min_peak) {
            tally.small += 1;
            return Ok(());
        }
        let guideline = match &self.set {
            Some(_) => self.guideline(pipeline.guidelines())?,
            None => pipeline
                .guidelines()
                .for_trajectory(row.guideline_set.as_deref(), &row.id)
                .unwrap_or_else(|| pipeline.guidelines().default_set()),
        };
        let model = row.model.as_deref().unwrap_or(&self.model);
        let server = Server {
            config: pipeline.config(),
            counters,
            guideline: &guideline,
            model,
            compressors: pipeline.compressors(),
        };
        hearing.audit(&run, &server).with_context(|| row.id.clone())?;
        tally.replayed += 1;
        Ok(())
    }
}
