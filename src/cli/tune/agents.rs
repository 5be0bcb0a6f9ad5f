//! Agents that are run for a tuning run: before it with full and with compressed contexts, and before its verdict.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use recap_core::trajectory::OriginalHash;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::app::{App, secret_of};
use crate::cli::{BadUse, output};
use crate::pipeline::guidelines::GuidelineSet;
use crate::pipeline::keys::Caller;
use crate::store::Engine;
use crate::tune::run::{NewPair, Outcome, PairSide, Spec, Told, Tuning, speak_for};
use crate::tune::runner::{self, Arm, Crew, RunnerResult, Task, Template};

/// Pairs of one import.
const PAIRS_AT_ONCE: usize = 200;

/// The agent that is run, and for what.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Agents {
    /// Run this agent for each task first, with full and with compressed contexts: what comes of that is the evidence. Before
    /// the gate judges, it does the held-out tasks under the best candidate, too. `{task}` stands for the task, in one argument;
    /// no shell reads the command
    #[arg(long, value_name = "COMMAND", requires = "tasks", conflicts_with_all = ["paths", "evidence"])]
    runner: Option<String>,
    /// The agent's tasks, one a line: {"id": …, "task": …} or plain text
    #[arg(long, value_name = "FILE", requires = "runner")]
    tasks: Option<PathBuf>,
    /// Agents at the same time
    #[arg(long, default_value_t = 1, value_name = "COUNT", requires = "runner", value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    /// A name for the agent as it is: under another one nothing is known of its runs. For when its program or model changed
    #[arg(long, default_value = "", value_name = "NAME", requires = "runner")]
    agent_version: String,
    /// Longest time of one agent, in seconds
    #[arg(long, default_value_t = 1800, value_name = "SECONDS", requires = "runner", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// The data folder's key, where there is one
    #[arg(long, env = "RECAPD_KEY", hide_env_values = true, value_name = "KEY")]
    key: Option<String>,
}

/// What the agents did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Gathered {
    /// Runs that were made now.
    pub runs: usize,
    /// Runs that were known.
    pub known: usize,
    /// Runs that succeeded: with full contexts, with compressed ones.
    pub succeeded: [usize; 2],
    /// Runs that say nothing of contexts: the agent kept or read none here.
    pub silent: usize,
    /// Tasks that are evidence for the objective.
    pub pairs: usize,
    /// Whether all tasks were run.
    pub is_whole: bool,
}

impl Agents {
    /// Tells whether an agent is to be run.
    pub(super) fn are_told(&self) -> bool {
        self.runner.is_some()
    }

    /// Returns what names the agent and its tasks: a run goes on with the same ones. The command itself, which may hold a
    /// secret, is stored nowhere.
    ///
    /// # Errors
    ///
    /// Fails where the tasks cannot be read.
    pub(super) fn fingerprint(&self) -> anyhow::Result<String> {
        let tasks = self.tasks()?;
        let tasks: Vec<(&str, &str)> = tasks.iter().map(|task| (task.id.as_str(), task.text.as_str())).collect();
        Ok(OriginalHash::of(&format!("{}\n{tasks:?}", self.own_name())).to_string())
    }

    /// What has to be said again when a run goes on.
    pub(super) fn again(&self) -> &'static str {
        if self.are_told() { " --runner … --tasks …" } else { "" }
    }

    /// What says that two runs are of the same agent under the same limits.
    fn own_name(&self) -> String {
        format!("{:?}\n{}\n{}", self.runner, self.agent_version, self.timeout)
    }

    /// Refuses where another daemon's workers would compress for the agents' trajectories: they know no pins.
    fn check_workers(app: &App) -> anyhow::Result<()> {
        let compressors = app.pipeline().compressors();
        let has_models = compressors.chats().next().is_some() || compressors.scorer().is_some();
        if app.pipeline().store().engine() == Engine::Postgres && has_models {
            let why = "--runner: on PostgreSQL other daemons' models would compress under their own guidelines; take a SQLite data \
                       folder, or no models";
            return Err(BadUse(why.to_owned()).into());
        }
        Ok(())
    }

    /// Puts the agent together with its tasks. `bar` shows what it does before the verdict.
    ///
    /// # Errors
    ///
    /// Fails where the command, the tasks or the key cannot be used.
    pub(super) async fn crew(&self, app: &App, url: &str, spec: &Spec, bar: &ProgressBar) -> anyhow::Result<Crew> {
        let (asked, tasks) = (self.asked(app, url, spec)?, self.tasks()?);
        self.check_namespace(app, &asked).await?;
        Self::check_workers(app)?;
        let bar = bar.clone();
        let told = move |result: &RunnerResult, left: usize| {
            bar.set_message(format!("judge, {}; {left} agents to come", ended(result)));
        };
        Ok(Crew::new(app.pipeline().clone(), asked, tasks, Box::new(told)))
    }

    /// Runs the agents that have not been run and stores the pairs. Ctrl-C ends it; what was done is kept.
    ///
    /// # Errors
    ///
    /// Fails as [`runner::run_tasks`] does.
    pub(super) async fn gather(app: &App, crew: &Crew, spec: &Spec) -> anyhow::Result<Gathered> {
        let champion = champion(app, spec)?;
        let (asked, tasks) = (crew.under(&champion), crew.tasks());
        let known = crew.known(&champion).await?;
        let bar = ProgressBar::new(tasks.len() as u64 * 2);
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} {msg} {eta}");
        bar.set_style(style.context("the progress bar's template")?);
        bar.set_position(known.len().min(tasks.len() * 2) as u64);
        let stop = CancellationToken::new();
        let mut results = known.clone();
        let keep = |result: RunnerResult| {
            bar.inc(1);
            bar.set_message(ended(&result));
            results.push(result);
            Ok(())
        };
        let is_whole = {
            let running = runner::run_tasks(&asked, tasks, &known, &stop, keep);
            tokio::pin!(running);
            loop {
                tokio::select! {
                    ended = &mut running => break ended?,
                    pressed = tokio::signal::ctrl_c(), if !stop.is_cancelled() => {
                        pressed.context("Ctrl-C cannot be heard")?;
                        bar.suspend(|| output::note("stopping the agents; the same command goes on"));
                        stop.cancel();
                    }
                }
            }
        };
        bar.finish_and_clear();
        let pairs = imported(&Tuning::of(app.pipeline()), spec, &results, &asked.version).await?;
        let succeeded = [Arm::Full, Arm::Compressed]
            .map(|arm| results.iter().filter(|result| result.arm == arm && result.success).count());
        let silent = results.iter().filter(|result| !result.is_evidence()).count();
        Ok(Gathered { runs: results.len() - known.len(), known: known.len(), succeeded, silent, pairs, is_whole })
    }

    /// A key that is held to a namespace puts trajectories there: pairs must go to the same one.
    async fn check_namespace(&self, app: &App, asked: &runner::Spec) -> anyhow::Result<()> {
        let Some(key) = &asked.key else { return Ok(()) };
        let caller = app.pipeline().keys().caller(key).await?;
        match caller.and_then(|caller| caller.namespace) {
            Some(own) if asked.namespace.as_ref() != Some(&own) => {
                Err(BadUse(format!("--key: it reaches the namespace {own} alone; say --namespace {own}")).into())
            }
            _ => Ok(()),
        }
    }

    fn tasks(&self) -> anyhow::Result<Vec<Task>> {
        let path = self.tasks.as_deref().context("there are no tasks")?;
        let file = File::open(path).map_err(|error| BadUse(format!("{}: {error}", path.display())))?;
        let tasks = Task::read(BufReader::new(file));
        Ok(tasks.map_err(|error| BadUse(format!("{}: {error}", path.display())))?)
    }

    fn asked(&self, app: &App, url: &str, spec: &Spec) -> anyhow::Result<runner::Spec> {
        let command = self.runner.as_deref().unwrap_or_default();
        let template = Template::parse(command).map_err(|error| BadUse(format!("--runner: {error}")))?;
        let (set, _) = spec.place()?;
        let configured = app.config().auth.key_file.as_deref();
        let configured = configured.map(|path| secret_of("auth.key_file", path)).transpose()?;
        let namespace = spec.cases.namespace.clone();
        let series = OriginalHash::of(&format!("{}\n{}\n{namespace:?}", self.own_name(), spec.model)).handle();
        Ok(runner::Spec {
            command: template,
            url: url.to_owned(),
            key: self.key.clone().or_else(|| configured.map(|key| key.expose_secret().to_owned())),
            arms: vec![Arm::Full, Arm::Compressed],
            parallel: usize::from(self.parallel),
            timeout: Duration::from_secs(self.timeout),
            budget: spec.budget.rule(),
            guideline_set: Some(set.to_owned()),
            pin: None,
            version: String::new(),
            series,
            namespace,
            model: Some(spec.model.clone()),
        })
    }
}

/// Returns the champions of the set whose guideline is to get better.
fn champion(app: &App, spec: &Spec) -> anyhow::Result<Arc<GuidelineSet>> {
    let (set, _) = spec.place()?;
    let champion = app.pipeline().guidelines().get(Some(set));
    champion.ok_or_else(|| BadUse(format!("there is no guideline set {set}")).into())
}

/// Says how a run ended.
fn ended(result: &RunnerResult) -> String {
    let ended = if result.success { "succeeded" } else { "failed" };
    format!("{} {} {ended}", result.task, result.arm.name())
}

/// Stores the pairs of some results; those that are there already are passed over. Returns how many are evidence for the
/// objective.
async fn imported(tuning: &Tuning, spec: &Spec, results: &[RunnerResult], version: &str) -> anyhow::Result<usize> {
    let side = |result: &RunnerResult| PairSide {
        trajectory: Some(result.trajectory.clone()),
        messages: None,
        outcome: Outcome {
            status: if result.success { Told::Success } else { Told::Failure },
            score: result.score,
            feedback: None,
        },
    };
    let found = runner::pairs(results, version);
    let speak = |(full, compressed): &&(&RunnerResult, &RunnerResult)| {
        speak_for(spec.objective, [full.success, compressed.success])
    };
    let speaking = found.iter().filter(speak).count();
    let pairs: Vec<NewPair> = found
        .into_iter()
        .map(|(full, compressed)| NewPair { task: full.task.clone(), full: side(full), compressed: side(compressed) })
        .collect();
    for some in pairs.chunks(PAIRS_AT_ONCE) {
        tuning.import_pairs(&Caller::local(), spec.cases.namespace.clone(), some.to_vec()).await?;
    }
    Ok(speaking)
}

impl Gathered {
    /// Returns it for people.
    pub(super) fn text(&self) -> String {
        let [full, compressed] = self.succeeded;
        let silent = match self.silent {
            0 => String::new(),
            count => format!("; {count} runs say nothing of contexts: the agent kept or read none here"),
        };
        format!(
            "agents: {} runs, {} of them known; {full} succeeded with full contexts, {compressed} with compressed ones; {} tasks are evidence{silent}",
            self.runs + self.known,
            self.known,
            self.pairs
        )
    }
}
