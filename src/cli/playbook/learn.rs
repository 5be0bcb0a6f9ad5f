//! `recapd playbook learn`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::import::files::{self, Place};
use crate::cli::import::shapes::Conversation;
use crate::cli::{BadUse, Done, Setting, output};
use crate::pipeline::Pipeline;
use crate::pipeline::append_messages::Incoming;
use crate::pipeline::compress::Unmade;
use crate::pipeline::keys::Caller;
use crate::pipeline::playbook::{Effect, Recorded, Taught};
use crate::store::PlaybookKey;

/// Have models learn from recorded runs, without a daemon.
///
/// Takes what `import` takes; `outcome` beside the messages (`status`, `score`, `feedback`) says how a run ended. Runs are
/// gone through in order, once in each epoch. What was learned is kept after each run: the same command goes on where
/// it stopped, and does nothing where all is done.
#[derive(Debug, Args)]
pub struct Learn {
    /// Files, or folders that are searched for .json, .jsonl and .gz of both
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// The playbook; it is made where it is not there
    #[arg(long)]
    name: String,
    /// The playbook's namespace
    #[arg(long, default_value = "default")]
    namespace: String,
    /// How often all runs are gone through
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100), value_name = "COUNT")]
    epochs: u32,
    /// What models are told of how a run ended; as configured where it is left out
    #[arg(long, value_enum)]
    labels: Option<LabelsUse>,
    /// Stop after so many tokens, read and written
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<u64>,
    /// Stop after so many US dollars
    #[arg(long, value_name = "USD")]
    max_cost_usd: Option<f64>,
    /// Go through the first runs only
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
}

/// What models are told of how a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LabelsUse {
    /// Its outcome, score and feedback, where the file has them
    Outcome,
    /// Nothing
    None,
}

/// What was learned.
#[derive(Debug, Default, Serialize)]
struct Report {
    playbook: String,
    /// Runs that were learned from, once for each epoch.
    runs: u64,
    /// Runs that had been learned from before.
    known: u64,
    reflections: u64,
    added: usize,
    updated: usize,
    merged: usize,
    deleted: usize,
    tagged: usize,
    left_out: LeftOut,
    to_review: usize,
    tokens: u64,
    cost_usd: f64,
    /// Whether the cost leaves out a model without a price.
    cost_is_partial: bool,
    failed: Vec<Failed>,
    /// Runs from which nothing can be learned.
    skipped: Vec<Failed>,
    /// Why it stopped before the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
}

/// What was found and left out, by reason.
#[derive(Debug, Default, Serialize)]
struct LeftOut {
    /// The budget has no room for it.
    over_budget: usize,
    /// The bullets have other words by now.
    outdated: usize,
    /// It is said already.
    twin: usize,
    /// It could not be used as the model wrote it.
    refused: usize,
    /// It would have to wait, and too many changes do.
    reviews_full: usize,
}

/// A run that could not be learned from.
#[derive(Debug, Serialize)]
struct Failed {
    /// File and line.
    place: String,
    reason: String,
}

/// What learning goes on with.
struct Site<'a> {
    pipeline: &'a Pipeline,
    key: PlaybookKey,
    labels: LabelsUse,
}

impl Learn {
    /// Learns.
    ///
    /// # Errors
    ///
    /// Fails where there is no chat model, and where the store does; what was learned before stays.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        if self.max_cost_usd.is_some_and(|most| !(most.is_finite() && most >= 0.0)) {
            return Err(BadUse("--max-cost-usd: must be 0 or more".to_owned()).into());
        }
        let config = setting.load(&[])?.config;
        let configured = match config.playbook.labels {
            crate::config::Labels::Outcome => LabelsUse::Outcome,
            crate::config::Labels::None => LabelsUse::None,
        };
        let local = setting.open_with_models(config).await?;
        if local.pipeline.compressors().chats().next().is_none() {
            local.close().await?;
            return Err(BadUse("there is no chat model: set `llm.model` or `models.chat`".to_owned()).into());
        }
        let key = local.pipeline.playbook_key(&Caller::local(), Some(&self.namespace), &self.name)?;
        let site = Site { pipeline: &local.pipeline, key, labels: self.labels.unwrap_or(configured) };
        let mut report = Report { playbook: self.name.clone(), ..Report::default() };
        self.learn(&site, &mut report).await?;
        local.close().await?;
        tell(&report, setting)?;
        Ok(if report.failed.is_empty() && report.stopped.is_none() { Done::Well } else { Done::Badly })
    }

    async fn learn(&self, site: &Site<'_>, report: &mut Report) -> anyhow::Result<()> {
        let files = files::found(&self.paths)?;
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let bar = ProgressBar::new(bytes * u64::from(self.epochs));
        let style = "{bar:32} {percent}% {msg} {eta}";
        bar.set_style(ProgressStyle::with_template(style).context("the progress bar's template")?);
        'epochs: for epoch in 1..=self.epochs {
            let mut left = self.limit.unwrap_or(usize::MAX);
            for file in &files {
                let before = bar.position();
                for (place, found) in file.conversations(&bar) {
                    if left == 0 {
                        break;
                    }
                    left -= 1;
                    report.stopped = self.spent(report);
                    if report.stopped.is_some() {
                        break 'epochs;
                    }
                    site.learn_from(&place, found, epoch, report).await?;
                    if report.stopped.is_some() {
                        break 'epochs;
                    }
                    bar.set_message(format!("epoch {epoch}, {} runs, {} tokens", report.runs, report.tokens));
                }
                bar.set_position(before + file.bytes);
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// Says which limit is reached, if one is.
    fn spent(&self, report: &Report) -> Option<String> {
        if let Some(most) = self.max_tokens.filter(|most| report.tokens >= *most) {
            return Some(format!("--max-tokens {most} is reached"));
        }
        let most = self.max_cost_usd?;
        if report.cost_is_partial {
            return Some("a model has no price, so --max-cost-usd cannot be held; set `llm.prices`".to_owned());
        }
        (report.cost_usd >= most).then(|| format!("--max-cost-usd {most} is reached"))
    }
}

impl Site<'_> {
    async fn learn_from(
        &self,
        place: &Place,
        found: Result<Conversation, String>,
        epoch: u32,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let failed = |reason: String| Failed { place: place.to_string(), reason };
        let recorded = match found.and_then(Conversation::checked).and_then(|found| self.recorded(found)) {
            Ok(recorded) => recorded,
            Err(reason) => {
                // Once is enough.
                if epoch == 1 {
                    report.failed.push(failed(reason));
                }
                return Ok(());
            }
        };
        let Some(taught) = self.pipeline.learn_from(&self.key, &recorded, epoch).await? else {
            report.known += 1;
            return Ok(());
        };
        report.take(&taught);
        if let Some(reason) = taught.skipped {
            if epoch == 1 {
                report.skipped.push(failed(reason.to_owned()));
            }
            return Ok(());
        }
        match taught.unmade {
            None => report.runs += 1,
            Some(Unmade::Never(reason)) => report.failed.push(failed(reason)),
            Some(Unmade::Later { why, .. }) => report.stopped = Some(format!("the model cannot be asked: {why}")),
        }
        Ok(())
    }

    fn recorded(&self, found: Conversation) -> Result<Recorded, String> {
        let format = found.format();
        let told = found.outcome.filter(|_| self.labels == LabelsUse::Outcome);
        let outcome = told.map(serde_json::from_value).transpose();
        Ok(Recorded {
            outcome: outcome.map_err(|error| format!("`outcome`: {error}"))?,
            model: found.model,
            incoming: Incoming { format, messages: found.messages, system: found.system },
        })
    }
}

impl Report {
    fn take(&mut self, taught: &Taught) {
        let Effect { added, updated, merged, deleted, tagged, to_review, left_out } = taught.effect;
        self.reflections += u64::from(taught.reflections);
        self.added += added;
        self.updated += updated;
        self.merged += merged;
        self.deleted += deleted;
        self.tagged += tagged;
        self.to_review += to_review;
        self.left_out.over_budget += left_out.over_budget;
        self.left_out.outdated += left_out.outdated;
        self.left_out.twin += left_out.twin;
        self.left_out.refused += left_out.refused;
        self.left_out.reviews_full += left_out.reviews_full;
        self.tokens += taught.tokens;
        self.cost_usd += usd(taught.cost_usd_micros);
        self.cost_is_partial |= taught.is_unpriced;
    }
}

#[expect(clippy::cast_precision_loss, reason = "what one run costs is far below 2^53 millionths")]
fn usd(micros: i64) -> f64 {
    micros as f64 / 1_000_000.0
}

fn tell(report: &Report, setting: &Setting) -> anyhow::Result<()> {
    if setting.json {
        output::say_json(report)?;
    } else {
        for skipped in &report.skipped {
            output::complain(&format!("{}: skipped: {}", skipped.place, skipped.reason));
        }
        for failed in &report.failed {
            output::complain(&format!("{}: {}", failed.place, failed.reason));
        }
        output::say(&in_words(report))?;
    }
    if let Some(stopped) = &report.stopped {
        output::complain(&format!("{stopped}; the same command goes on from here"));
    }
    Ok(())
}

fn in_words(report: &Report) -> String {
    let cost = if report.cost_is_partial { "unknown".to_owned() } else { format!("${:.4}", report.cost_usd) };
    format!(
        "{}: {} runs learned from ({} before), {} reflections\n\
         bullets: {} added, {} updated, {} merged, {} deleted, {} judged; {} changes to review\n\
         left out: {} duplicates, {} over the budget, {} outdated, {} refused, {} for want of review; {} runs skipped\n\
         {} tokens, cost {cost}",
        report.playbook,
        report.runs,
        report.known,
        report.reflections,
        report.added,
        report.updated,
        report.merged,
        report.deleted,
        report.tagged,
        report.to_review,
        report.left_out.twin,
        report.left_out.over_budget,
        report.left_out.outdated,
        report.left_out.refused,
        report.left_out.reviews_full,
        report.skipped.len(),
        report.tokens,
    )
}
