//! `recapd tune run`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use recap_core::tuning::{Margins, Objective, Split};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::agents::{Agents, Gathered};
use super::show;
use crate::app::{App, open_data};
use crate::cli::import::files;
use crate::cli::runs::{self, Runs};
use crate::cli::served::beside_daemon;
use crate::cli::{BadUse, Done, Setting, output};
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::pipeline::keys::Caller;
use crate::store::{TuningRun, TuningState};
use crate::tune::run::{
    Caps, CaseBudget, CaseFilter, EvidenceSource, Files, Proposer, Replays, Sources, Spec, Tuning, TuningRunRecord,
    Worker,
};
use crate::tune::runner::Crew;

/// Look for a better guideline, without a daemon.
///
/// Divides tasks into two sides, audits the champion on one of them, has candidates proposed and scores them there, and lets
/// the gate judge the best one on the other. A candidate that passes is saved as a draft: `recapd tune promote`
/// activates it. Measures on the runs of files, taken as `import` takes them, or on the stored trajectories where no
/// file is named; with --runner on what your agent does. Each step is kept: after Ctrl-C or a crash, --resume goes on.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Files, or folders that are searched for .json, .jsonl and .gz of both; stored trajectories where none is named
    #[arg(value_name = "FILE", conflicts_with_all = ["resume", "namespace", "agent", "since"])]
    paths: Vec<PathBuf>,
    /// Go on with this run; what was asked for then holds, but for caps: if one is told, those of before hold no more
    #[arg(long, value_name = "ID")]
    resume: Option<String>,
    /// The guideline that is to get better, as in coding/history
    #[arg(long, value_name = "SET/KIND", required_unless_present = "resume")]
    guideline: Option<String>,
    /// What candidates are to be better at
    #[arg(long, value_enum, default_value_t = Aim::Utility)]
    objective: Aim,
    /// Who proposes them
    #[arg(long, value_enum, default_value_t = Who::Rules)]
    proposer: Who,
    /// What they are drawn from
    #[arg(long, value_enum, default_value_t = From::Audit)]
    evidence: From,
    /// Most candidates, up to 20
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    candidates: u32,
    /// Judge this stored version, too
    #[arg(long, value_name = "HASH")]
    draft: Vec<String>,
    /// Budget beside the system prompt, as a share of a case's largest full context; 0.46 where it is left out
    #[arg(long, value_name = "SHARE", conflicts_with = "budget")]
    fraction: Option<f64>,
    /// Least budget that a share gives, beside the system prompt; 1500 where it is left out
    #[arg(long, value_name = "TOKENS", conflicts_with = "budget")]
    floor: Option<u32>,
    /// Budget of whole contexts, in tokens
    #[arg(long, value_name = "TOKENS")]
    budget: Option<u32>,
    /// Another seed divides tasks in another way
    #[arg(long, default_value_t = 0, value_name = "SEED")]
    seed: u64,
    /// The share of tasks that only the gate sees, above 0 and below 1
    #[arg(long, default_value_t = 0.3, value_name = "SHARE")]
    held_out: f64,
    /// The gate's level, above 0 and at most 0.2
    #[arg(long, default_value_t = 0.05, value_name = "SHARE")]
    level: f64,
    /// The share by which billed tokens may grow where values are to be won, 0 to 1
    #[arg(long, default_value_t = 0.05, value_name = "SHARE")]
    token_growth: f64,
    /// The share of success and grounding that may be lost where tokens are to be saved, 0 to 0.2
    #[arg(long, default_value_t = 0.01, value_name = "SHARE")]
    inferiority: f64,
    #[command(flatten)]
    agents: Agents,
    #[command(flatten)]
    caps: CapsArgs,
    #[command(flatten)]
    runs: Runs,
    /// Only stored trajectories of this namespace
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Only stored trajectories of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only trajectories stored at this time or later (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The model whose tokenizer counts
    #[arg(long, default_value = "gpt-4o")]
    model: String,
}

/// Where a run pauses, and how many cases it has.
#[derive(Debug, Clone, Default, Args)]
#[allow(clippy::struct_field_names, reason = "the names of the flags")]
pub(super) struct CapsArgs {
    /// Pause after so many tokens, read and written by models
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<u64>,
    /// Pause after so many US dollars
    #[arg(long, value_name = "USD")]
    max_cost_usd: Option<f64>,
    /// Pause after so many seconds in work
    #[arg(long, value_name = "SECONDS")]
    max_seconds: Option<f64>,
    /// Most cases, up to 5000: the newest stored ones, or the first of files by name; 500 where it is left out. Once cases are
    /// found it changes nothing
    #[arg(long, value_name = "COUNT")]
    max_cases: Option<u32>,
}

impl CapsArgs {
    /// Tells whether one was told.
    pub(super) fn is_told(&self) -> bool {
        self.caps() != Caps::default()
    }

    /// Returns them.
    pub(super) fn caps(&self) -> Caps {
        Caps {
            max_tokens: self.max_tokens,
            max_cost_usd: self.max_cost_usd,
            max_seconds: self.max_seconds,
            max_cases: self.max_cases,
        }
    }
}

/// What candidates are to be better at.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Aim {
    /// More of the values that actions need
    Utility,
    /// Fewer tokens, with as much of the rest
    Compression,
    /// Both at once
    Both,
}

/// Who proposes candidates.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Who {
    /// Deterministic rules
    Rules,
    /// A chat model
    Llm,
}

/// What candidates are drawn from.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum From {
    /// What the champion loses and keeps for nothing
    Audit,
    /// The same of imported pairs
    Pairs,
}

/// The files that a run measures on, or the agent whose runs it does.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Reads {
    files: Vec<PathBuf>,
    min_peak: i64,
    limit: Option<usize>,
    /// What names the agent and its tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agents: Option<String>,
}

/// What a run came to.
#[derive(Serialize)]
struct Report {
    /// What agents did that were run for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<Gathered>,
    /// How often this command replayed a case.
    replayed: Replays,
    #[serde(flatten)]
    run: TuningRunRecord,
}

impl Run {
    /// Runs, or goes on.
    ///
    /// # Errors
    ///
    /// Fails where what is asked for is wrong, and where the store does; what was done before stays.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let config = setting.load(&[])?.config;
        let (reads, spec) = self.asked(setting, &config).await?;
        let bar = ProgressBar::new(0);
        if self.agents.are_told() {
            let work = async |app: &App, url: &str| {
                let crew = self.agents.crew(app, url, &spec, &bar).await?;
                self.with_agents(setting, app, (&crew, &spec), &bar).await
            };
            return Box::pin(beside_daemon(setting, config, work)).await;
        }
        let local = setting.open_with_models(config).await?;
        let files = if reads.files.is_empty() { None } else { Some(reads.read()?) };
        let sources = Sources { files: files.as_ref(), crew: None };
        let done = self.tune(setting, &local.pipeline, (sources, None), &bar).await;
        local.close().await?;
        done
    }

    /// Returns what is measured on and what is asked for: by this command, or by the one that began the run.
    async fn asked(&self, setting: &Setting, config: &Config) -> anyhow::Result<(Reads, Spec)> {
        let Some(id) = &self.resume else {
            let spec = self.spec();
            spec.check().map_err(refused)?;
            return Ok((self.reads()?, spec));
        };
        let data = open_data(config, &setting.data_dir()).await?;
        let run = data.store.tuning_run(id).await;
        data.store.close().await;
        let run = run?.ok_or_else(|| BadUse(format!("there is no tuning run `{id}`")))?;
        let reads: Reads = run.command.as_deref().map(serde_json::from_str).transpose()?.unwrap_or_default();
        let wrong = match (&reads.agents, self.agents.are_told()) {
            (Some(_), false) => {
                Some("an agent does this run's held-out tasks: say --runner and --tasks as when it began")
            }
            (None, true) => Some("--runner: this run has no agent"),
            (Some(known), true) if self.agents.fingerprint()? != *known => {
                Some("--runner, --tasks, --agent-version and --timeout must be as when the run began")
            }
            _ => None,
        };
        match wrong {
            Some(why) => Err(BadUse(why.to_owned()).into()),
            None => Ok((reads, serde_json::from_str(&run.spec)?)),
        }
    }

    /// Runs agents first, unless the run goes on, then measures on what came of it. Where nothing came there is nothing to
    /// tune on.
    async fn with_agents(
        &self,
        setting: &Setting,
        app: &App,
        (crew, spec): (&Crew, &Spec),
        bar: &ProgressBar,
    ) -> anyhow::Result<Done> {
        let sources = Sources { files: None, crew: Some(crew) };
        if self.resume.is_some() {
            return self.tune(setting, app.pipeline(), (sources, None), bar).await;
        }
        let gathered = Agents::gather(app, crew, spec).await?;
        if !setting.json {
            output::say(&gathered.text())?;
        }
        if gathered.is_whole && gathered.pairs > 0 {
            return self.tune(setting, app.pipeline(), (sources, Some(gathered)), bar).await;
        }
        if setting.json {
            output::say_json(&serde_json::json!({ "agents": gathered }))?;
        }
        if gathered.is_whole {
            output::complain("no task is evidence for the objective: there is nothing to tune on");
        }
        Ok(Done::Badly)
    }

    async fn tune(
        &self,
        setting: &Setting,
        pipeline: &Pipeline,
        (sources, agents): (Sources<'_>, Option<Gathered>),
        bar: &ProgressBar,
    ) -> anyhow::Result<Done> {
        let tuning = Tuning::of(pipeline);
        #[allow(clippy::single_match_else, reason = "both ways are told side by side")]
        let run = match &self.resume {
            Some(id) => {
                let caps = self.caps.is_told().then(|| self.caps.caps());
                tuning.take_over(&Caller::local(), id, caps).await.map_err(refused)?
            }
            None => {
                let worker = Worker::Command(serde_json::to_string(&self.reads()?)?);
                tuning.start(&Caller::local(), self.spec(), worker).await.map_err(refused)?
            }
        };
        let hint = format!("`recapd tune run --resume {}{}` goes on", run.id, self.agents.again());
        let worked = work(&tuning, &run, sources, bar).await;
        let (run, replayed) = worked.inspect_err(|_| output::complain(&hint))?;
        let record = tuning.look(&Caller::local(), &run.id).await?;
        if setting.json {
            output::say_json(&Report { agents, replayed, run: record })?;
        } else {
            output::say(&show::whole(&serde_json::to_value(record)?))?;
        }
        if run.state.is_open() {
            output::complain(&format!("stopped; {hint}"));
        }
        Ok(if run.state == TuningState::Done { Done::Well } else { Done::Badly })
    }

    fn reads(&self) -> anyhow::Result<Reads> {
        let absolute = self
            .paths
            .iter()
            .map(|path| std::path::absolute(path).with_context(|| format!("{} cannot be named", path.display())));
        let files = absolute.collect::<anyhow::Result<_>>()?;
        let agents = self.agents.are_told().then(|| self.agents.fingerprint()).transpose()?;
        Ok(Reads { files, min_peak: self.runs.min_peak, limit: self.runs.limit, agents })
    }

    fn spec(&self) -> Spec {
        Spec {
            guideline: self.guideline.clone().unwrap_or_default(),
            evidence: match self.evidence {
                _ if self.agents.are_told() => EvidenceSource::Pairs,
                From::Audit => EvidenceSource::Audit,
                From::Pairs => EvidenceSource::Pairs,
            },
            objective: match self.objective {
                Aim::Utility => Objective::Utility,
                Aim::Compression => Objective::Compression,
                Aim::Both => Objective::Both,
            },
            candidates: self.candidates,
            proposer: match self.proposer {
                Who::Rules => Proposer::Rules,
                Who::Llm => Proposer::Llm,
            },
            drafts: self.draft.clone(),
            split: Split { seed: self.seed, held_out: self.held_out },
            caps: self.caps.caps(),
            cases: CaseFilter {
                namespace: self.namespace.clone(),
                agent: self.agent.clone(),
                since: self.since.clone(),
                limit: self.runs.limit.filter(|_| self.paths.is_empty()).and_then(|limit| u32::try_from(limit).ok()),
                min_peak: u32::try_from(self.runs.min_peak).unwrap_or_default(),
            },
            budget: CaseBudget { fraction: self.fraction, floor: self.floor, tokens: self.budget },
            margins: Margins { level: self.level, inferiority: self.inferiority, token_growth: self.token_growth },
            model: self.model.clone(),
        }
    }
}

/// Works on a run until it ends or somebody interrupts it.
async fn work(
    tuning: &Tuning,
    run: &TuningRun,
    sources: Sources<'_>,
    bar: &ProgressBar,
) -> anyhow::Result<(TuningRun, Replays)> {
    let stop = CancellationToken::new();
    bar.set_style(ProgressStyle::with_template("{bar:32} {pos}/{len} {msg}").context("the progress bar's template")?);
    let mut watch = |run: &TuningRun| {
        bar.set_length(run.total);
        bar.set_position(run.done);
        bar.set_message(left(run));
    };
    let working = tuning.work(&run.id, sources, &stop, &mut watch);
    tokio::pin!(working);
    let (ended, replays) = loop {
        tokio::select! {
            ended = &mut working => break ended?,
            pressed = tokio::signal::ctrl_c(), if !stop.is_cancelled() => {
                pressed.context("Ctrl-C cannot be heard")?;
                bar.suspend(|| output::note("stopping after the case that is in work"));
                stop.cancel();
            }
        }
    };
    bar.finish_and_clear();
    Ok((ended.context("the run is gone")?, replays))
}

/// Says the stage, and what is still to come.
fn left(run: &TuningRun) -> String {
    let record = TuningRunRecord::short(run).ok().and_then(|record| record.remaining);
    match record {
        Some(left) => format!("{}, about {:.0} s and ${:.2} left", run.stage.as_str(), left.seconds, left.cost_usd),
        None => run.stage.as_str().to_owned(),
    }
}

/// Says what of a request is wrong.
fn refused(failure: crate::pipeline::failure::Failure) -> anyhow::Error {
    use crate::pipeline::failure::Failure;
    match failure {
        Failure::Invalid(faults) => {
            let said: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
            BadUse(said.join("; ")).into()
        }
        Failure::NotFound(what) => BadUse(format!("there is no {what}")).into(),
        other => other.into(),
    }
}

impl Reads {
    /// Reads the files' runs.
    fn read(&self) -> anyhow::Result<Files> {
        let sources = files::found(&self.files)?;
        let bar = runs::bar(&sources)?;
        let runs = Runs { min_peak: self.min_peak, limit: self.limit };
        let mut files = Files::default();
        for source in &sources {
            let before = bar.position();
            runs.each_taken(source, &bar, |run| {
                files.take(run);
                Ok(())
            })?;
            bar.set_position(before + source.bytes);
        }
        bar.finish_and_clear();
        Ok(files)
    }
}
