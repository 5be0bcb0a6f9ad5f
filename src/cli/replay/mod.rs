//! `recapd replay`

mod report;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use recap_core::tuning::MessageCache;
use serde_json::{Value, json};

use super::import::files::{self, Source};
use super::import::shapes::Conversation;
use super::{BadUse, Done, Setting, output};
use crate::app;
use crate::config::{Compressor, Config};
use crate::llm::{self, Loaded};
use crate::pipeline::compress::Compressors;
use crate::pipeline::counters::Counters;
use crate::pipeline::guidelines::Guidelines;
use crate::tune::{Budget, RecordedRun, Round, Server};
use crate::world::World;
use report::Row;

/// Unreadable trajectories of one file that are told one by one.
const MOST_TOLD: usize = 20;

/// Replay recorded trajectories at given budgets and measure what the contexts cost and keep.
///
/// For each assistant message, the messages before it are appended and the context is served, by the same code
/// and settings as the daemon's; nothing is stored. A value that the message uses and that only older messages
/// hold should stand in that context. Takes what `import` takes, in OpenAI's format. Sizes are tokens of
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
    /// Leave out trajectories whose largest full context is smaller, the system prompt apart
    #[arg(long, default_value_t = 4000, value_name = "TOKENS")]
    min_peak: i64,
    /// At most this many trajectories of each file
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
    /// The model whose tokenizer counts while serving
    #[arg(long, default_value = "gpt-4o")]
    model: String,
    /// Write each value that a context lost, and each context that no provider would take, as a line of JSON
    #[arg(long, value_name = "FILE")]
    failures: Option<PathBuf>,
}

/// What became of a file's trajectories.
#[derive(Debug, Default)]
struct Tally {
    replayed: usize,
    small: usize,
    unreadable: usize,
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
        let guideline = guidelines.default_set();
        let compressors = compressors(setting, &config)?;
        let server = Server {
            config: &config,
            counters: &counters,
            guideline: &guideline,
            model: &self.model,
            compressors: &compressors,
        };
        let files = files::found(&self.paths)?;
        let bar = ProgressBar::new(files.iter().map(|file| file.bytes).sum());
        let style = "{bar:32} {bytes}/{total_bytes} {msg} {eta}";
        bar.set_style(ProgressStyle::with_template(style).context("the progress bar's template")?);
        let mut failures = self.failures.as_deref().map(create).transpose()?;
        let mut unreadable = 0;
        for file in &files {
            let before = bar.position();
            let mut rounds: Vec<Round> = budgets.iter().map(|budget| Round::new(*budget)).collect();
            let tally = self.replay_file(file, &server, &mut rounds, &bar)?;
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

    fn replay_file(
        &self,
        file: &Source,
        server: &Server<'_>,
        rounds: &mut [Round],
        bar: &ProgressBar,
    ) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        for (n, (place, found)) in file.conversations(bar).enumerate() {
            if self.limit.is_some_and(|limit| tally.replayed >= limit) {
                break;
            }
            let read = found.and_then(Conversation::checked).and_then(|read| recorded(read, n));
            let run = match read {
                Ok(run) => run,
                Err(reason) => {
                    tally.unreadable += 1;
                    if tally.unreadable <= MOST_TOLD {
                        bar.suspend(|| output::complain(&format!("{place}: {reason}")));
                    }
                    continue;
                }
            };
            if !run.reaches(self.min_peak) {
                tally.small += 1;
                continue;
            }
            let mut cache = MessageCache::default();
            for round in rounds.iter_mut() {
                round.replay(&run, &mut cache, server).with_context(|| place.to_string())?;
            }
            tally.replayed += 1;
            bar.set_message(format!("{}: {} trajectories", file.name(), tally.replayed));
        }
        if tally.unreadable > MOST_TOLD {
            let more = tally.unreadable - MOST_TOLD;
            bar.suspend(|| output::complain(&format!("{}: and {more} more", file.name())));
        }
        Ok(tally)
    }
}

/// The models that the configuration leaves compression to; none where rules do all.
fn compressors(setting: &Setting, config: &Config) -> anyhow::Result<Compressors> {
    let by_model = |compressor| matches!(compressor, Compressor::Extract | Compressor::Llm);
    if !by_model(config.compress.observation) && !by_model(config.compress.history) {
        return Ok(Compressors::default());
    }
    let key = app::llm_key(config)?;
    let dir = app::models_dir(config, &setting.data_dir());
    let Loaded { chats, scorer, .. } = llm::load(config, &dir, key, &World::real())?;
    Ok(Compressors::new(config, chats, scorer))
}

/// Reads what a conversation's actions need; `n` is its place in its file, from 0.
fn recorded(conversation: Conversation, n: usize) -> Result<RecordedRun, String> {
    let format = conversation.format();
    let id = conversation.id.clone().unwrap_or_else(|| (n + 1).to_string());
    let (task, success) = (conversation.task_name(), conversation.success());
    RecordedRun::read(id, task, success, (format, conversation.messages)).map_err(|error| error.to_string())
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
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
