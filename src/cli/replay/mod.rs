//! `recapd replay`

pub mod report;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use recap_core::tuning::MessageCache;
use serde_json::{Value, json};

use super::import::files::{self, Source};
use super::runs::{self, HeadFile, Runs, Tally};
use super::{BadUse, Done, Setting, output};
use crate::pipeline::counters::Counters;
use crate::pipeline::guidelines::Guidelines;
use crate::tune::{Budget, Round, Server};
use report::Row;

/// Replay recorded trajectories at given budgets and measure what the contexts cost and keep.
///
/// For each assistant message, the messages before it are appended and the context is served, by the same code
/// and settings as the daemon's; nothing is stored. A value that the message uses and that only older messages
/// hold should stand in that context. Takes what `import` takes. Sizes are tokens of
/// `o200k_base`; tool schemas count neither in full nor in served contexts.
#[derive(Debug, Args)]
pub struct Replay {
    /// Files, or folders that are searched for .json, .jsonl and .gz of both
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Budgets beside the system prompt, as shares of a trajectory's largest full context; 0.46 and 0.25 where no
    /// budget is told
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "SHARE")]
    fraction: Vec<f64>,
    /// Budgets of whole contexts, in tokens
    #[arg(long, num_args = 1.., value_delimiter = ',', value_name = "TOKENS")]
    budget: Vec<u32>,
    /// Least budget that a share gives, beside the system prompt
    #[arg(long, default_value_t = 1500, value_name = "TOKENS")]
    floor: u32,
    #[command(flatten)]
    runs: Runs,
    /// The model whose tokenizer counts while serving
    #[arg(long, default_value = "gpt-4o")]
    model: String,
    #[command(flatten)]
    head: HeadFile,
    /// Write each value that a context lost, and each context that no provider would take, as a line of JSON
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,
}

impl Replay {
    /// Replays.
    ///
    /// # Errors
    ///
    /// Fails where a file is not there, or a context cannot be served.
    pub fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let budgets = self.budgets()?;
        let config = setting.load(&[])?.config;
        let counters = Counters::load(&config.tokens)?;
        let guidelines = Guidelines::load(&config.guidelines)?;
        let (config, guideline) = self.head.heard(config, guidelines.default_set())?;
        let compressors = runs::compressors(setting, &config)?;
        let server = Server {
            config: &config,
            counters: &counters,
            guideline: &guideline,
            model: &self.model,
            compressors: &compressors,
        };
        let files = files::found(&self.paths)?;
        let bar = runs::bar(&files)?;
        let mut failures = self.failures.as_deref().map(create).transpose()?;
        let mut unreadable = 0;
        for file in &files {
            let before = bar.position();
            let mut rounds: Vec<Round> = budgets.iter().map(|budget| Round::new(*budget)).collect();
            let tally = self.runs.each(file, &bar, |run| {
                let mut cache = MessageCache::default();
                rounds.iter_mut().try_for_each(|round| round.replay(run, &mut cache, &server)).map_err(Into::into)
            })?;
            bar.set_position(before + file.bytes);
            unreadable += tally.unreadable;
            if let Some(out) = &mut failures {
                write_failures(out, &file.name(), &rounds)?;
            }
            bar.suspend(|| tell(file, &tally, &rounds, setting))?;
        }
        bar.finish_and_clear();
        if let Some(mut out) = failures {
            out.flush().context("the failures cannot be written")?;
        }
        Ok(if unreadable == 0 { Done::Well } else { Done::Badly })
    }

    fn budgets(&self) -> anyhow::Result<Vec<Budget>> {
        if let Some(wrong) = self.fraction.iter().find(|share| !(0.0..=1.0).contains(*share)) {
            return Err(BadUse(format!("--fraction: {wrong} is not from 0 to 1")).into());
        }
        if self.budget.contains(&0) {
            return Err(BadUse("--budget: must be above 0".to_owned()).into());
        }
        let shares: &[f64] =
            if self.fraction.is_empty() && self.budget.is_empty() { &[0.46, 0.25] } else { &self.fraction };
        let shares = shares.iter().map(|share| Budget::Share { fraction: *share, floor: self.floor });
        Ok(shares.chain(self.budget.iter().map(|tokens| Budget::Tokens(*tokens))).collect())
    }
}

/// Creates a file for lines of JSON.
///
/// # Errors
///
/// Fails where it cannot be written.
pub fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(BufWriter::new(file))
}

fn write_failures(out: &mut BufWriter<File>, data: &str, rounds: &[Round]) -> anyhow::Result<()> {
    for round in rounds {
        for (id, score) in round.ids.iter().zip(&round.scores) {
            let lost =
                score.lost.iter().map(|lost| json!({ "step": lost.step, "value": lost.value, "under": lost.under }));
            let invalid = score.invalid_contexts.iter().map(|one| json!({ "step": one.step, "invalid": one.why }));
            for failure in lost.chain(invalid) {
                let mut line = json!({ "data": data, "id": id });
                for part in [round.budget.to_json(), failure] {
                    if let (Value::Object(line), Value::Object(part)) = (&mut line, part) {
                        line.extend(part);
                    }
                }
                writeln!(out, "{line}").context("the failures cannot be written")?;
            }
        }
    }
    Ok(())
}

fn tell(file: &Source, tally: &Tally, rounds: &[Round], setting: &Setting) -> anyhow::Result<()> {
    let name = file.name();
    if setting.json {
        for round in rounds {
            output::say_json(&Row::of(&name, tally, round))?;
        }
        return Ok(());
    }
    let Tally { replayed, small, unreadable } = tally;
    output::say(&format!("{name}: {replayed} trajectories replayed; skipped: {small} small, {unreadable} unreadable"))?;
    if *replayed > 0 {
        let rows: Vec<Row> = rounds.iter().map(|round| Row::of(&name, tally, round)).collect();
        output::say(&format!("{}\n", report::table(&rows)))?;
    }
    Ok(())
}
