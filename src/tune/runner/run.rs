//! Runs of agents, some at the same time, each handed over when it is done.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::daemon::Daemon;
use super::process::{self, Ended, without_own_settings};
use super::verdict::{Said, succeeded};
use super::{Arm, End, RunnerError, RunnerResult, Spec, Task};
use crate::tune::replay::Budget;

/// Tokens that no run reaches.
const UNLIMITED: u32 = 1_000_000_000;
/// Characters of an output's end that are kept.
const SHOWN_CHARS: usize = 4_000;
/// Stands where the daemon's key stood.
const HIDDEN: &str = "[key]";
/// The agent's name in its trajectories.
const AGENT: &str = "runner";

/// Runs an agent for each task on each arm, the full arm first. Runs that are among `done` are left out; `on_result` is
/// handed each new one. A run that was cut off is not handed over: it is run again the next time.
///
/// Returns whether all was run: not, where it was cancelled.
///
/// # Errors
///
/// [`RunnerError`]; agents that run then are killed. A failing agent is no error, a program that cannot be started is.
pub async fn run_tasks(
    spec: &Spec,
    tasks: &[Task],
    done: &[RunnerResult],
    cancelled: &CancellationToken,
    mut on_result: impl FnMut(RunnerResult) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + Send,
) -> Result<bool, RunnerError> {
    let daemon = Daemon::new(&spec.url, spec.key.as_deref())?;
    let runs = Runs { spec, daemon, cancelled };
    let known: BTreeSet<(&str, Arm)> = done
        .iter()
        .filter(|result| result.arm == Arm::Full || result.version.as_ref() == Some(&spec.version))
        .map(|result| (result.task.as_str(), result.arm))
        .collect();
    let full = done.iter().filter(|result| result.arm == Arm::Full);
    let mut tokens: BTreeMap<String, u64> = full.map(|result| (result.task.clone(), result.tokens)).collect();
    for arm in [Arm::Full, Arm::Compressed].into_iter().filter(|arm| spec.arms.contains(arm)) {
        let left = tasks.iter().filter(|task| !known.contains(&(task.id.as_str(), arm)));
        let jobs = left.map(|task| Ok(runs.run(task, arm, spec.budget_of(arm, task, &tokens)?)));
        let jobs: Vec<_> = jobs.collect::<Result<_, RunnerError>>()?;
        let mut results = futures::stream::iter(jobs).buffer_unordered(spec.parallel.max(1));
        while let Some(result) = results.next().await {
            let Some(result) = result? else { continue };
            if arm == Arm::Full {
                tokens.insert(result.task.clone(), result.tokens);
            }
            on_result(result).map_err(RunnerError::Keep)?;
        }
        if cancelled.is_cancelled() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns the results that the daemon keeps of a series' runs of these tasks, in the same words: the newest of each task with
/// full contexts, and of each under the version, of those that say something where there are such.
///
/// # Errors
///
/// [`RunnerError`] where the daemon cannot be asked.
pub async fn known(spec: &Spec, tasks: &[Task]) -> Result<Vec<RunnerResult>, RunnerError> {
    let asked: BTreeMap<&str, &str> = tasks.iter().map(|task| (task.id.as_str(), task.text.as_str())).collect();
    let daemon = Daemon::new(&spec.url, spec.key.as_deref())?;
    let mut found: BTreeMap<(String, Arm), RunnerResult> = BTreeMap::new();
    let mut cursor = None;
    loop {
        let page = daemon.page(AGENT, cursor.as_deref()).await?;
        let own = page.trajectories.into_iter().filter(|record| record.metadata["series"] == spec.series.as_str());
        for mut record in own {
            let kept = record.metadata.get_mut("result").map(Value::take).unwrap_or_default();
            // what somebody else wrote there is no result
            let Ok(result) = serde_json::from_value::<RunnerResult>(kept) else { continue };
            let is_own = result.arm == Arm::Full || result.version.as_ref() == Some(&spec.version);
            let words = asked.get(result.task.as_str()).copied();
            if is_own && words.is_some() && words == record.task.as_deref() {
                let known = found.entry((result.task.clone(), result.arm)).or_insert_with(|| result.clone());
                if !known.is_evidence() && result.is_evidence() {
                    *known = result;
                }
            }
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(found.into_values().collect());
        }
    }
}

impl Spec {
    /// The budget of a run in tokens; `None` for as many as there are. `full` are the tokens of full runs by task.
    fn budget_of(&self, arm: Arm, task: &Task, full: &BTreeMap<String, u64>) -> Result<Option<u32>, RunnerError> {
        Ok(match (arm, self.budget) {
            (Arm::Full, _) => None,
            (Arm::Compressed, Budget::Tokens(tokens)) => Some(tokens),
            (Arm::Compressed, Budget::Share { fraction, floor }) => {
                let tokens = full.get(&task.id).ok_or_else(|| RunnerError::NoFullRun(task.id.clone()))?;
                #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
                let share = (*tokens as f64 * fraction) as u32;
                Some(share.max(floor).max(1))
            }
        })
    }
}

struct Runs<'a> {
    spec: &'a Spec,
    daemon: Daemon,
    cancelled: &'a CancellationToken,
}

impl Runs<'_> {
    /// Runs an agent once; `None` where that was cut off.
    async fn run(&self, task: &Task, arm: Arm, budget: Option<u32>) -> Result<Option<RunnerResult>, RunnerError> {
        if self.cancelled.is_cancelled() {
            return Ok(None);
        }
        let trajectory = self.daemon.create(&self.fields(task, arm, budget)).await?;
        let pin = self.spec.pin.as_ref().filter(|_| arm == Arm::Compressed);
        let _pinned = pin.map(|pin| pin.pipeline.pin_guidelines(&trajectory, &pin.set));
        let command = self.command(task, arm, (&trajectory, budget));
        let started = process::run(command, self.spec.timeout, self.cancelled).await;
        let ended = started.map_err(|source| {
            let program = self.spec.command.program().to_owned();
            RunnerError::Start { program, source }
        })?;
        if ended.end == End::Cancelled {
            return Ok(None);
        }
        let said = Said::last_of(&ended.stdout);
        let success = succeeded(ended.end, said.as_ref());
        let record = self.daemon.record(&trajectory).await?;
        let score = said.as_ref().and_then(|said| said.score);
        let feedback = said.and_then(|said| said.feedback).map(|feedback| self.without_key(&feedback));
        let status = if success { "success" } else { "failure" };
        let outcome = json!({ "status": status, "score": score, "feedback": feedback });
        let Ended { end, stdout, stderr, ms } = ended;
        metrics::counter!("recapd_tuning_runs_total", "arm" => arm.name(), "outcome" => status).increment(1);
        let result = RunnerResult {
            task: task.id.clone(),
            arm,
            version: (arm == Arm::Compressed).then(|| self.spec.version.clone()),
            trajectory,
            budget,
            success,
            score,
            end,
            messages: record.length,
            tokens: record.tokens,
            has_read: record.epoch.is_some(),
            peak_tokens: record.metrics.as_ref().map(|sums| (sums.served.peak_tokens, sums.full.peak_tokens)),
            dependency: record.metrics.as_ref().map(|sums| (sums.served.dependency, sums.full.dependency)),
            ms,
            stdout: self.shown(&stdout),
            stderr: self.shown(&stderr),
        };
        self.daemon.keep(&result.trajectory, self.metadata(task, arm, Some(&result))).await?;
        self.daemon.note_outcome(&result.trajectory, &outcome).await?;
        Ok(Some(result))
    }

    /// What a trajectory says of its run. The result goes with the trajectory: it is deleted with it.
    fn metadata(&self, task: &Task, arm: Arm, result: Option<&RunnerResult>) -> Value {
        let version = (arm == Arm::Compressed).then_some(&self.spec.version);
        json!({
            "task_id": task.id, "arm": arm.name(), "version": version, "series": self.spec.series, "result": result,
        })
    }

    /// The record of the run's trajectory.
    fn fields(&self, task: &Task, arm: Arm, budget: Option<u32>) -> Value {
        let is_full = arm == Arm::Full;
        let mut fields = json!({
            "agent": AGENT,
            "task": task.text,
            "budget": budget.unwrap_or(UNLIMITED),
            "metadata": self.metadata(task, arm, None),
        });
        let whole = json!({ "compress": { "observation": "off", "history": "rules" } });
        let own = [
            ("namespace", self.spec.namespace.clone().map(Value::from)),
            ("model", self.spec.model.clone().map(Value::from)),
            ("guideline_set", self.spec.guideline_set.clone().filter(|_| !is_full).map(Value::from)),
            ("policy", is_full.then_some(whole)),
        ];
        if let Some(fields) = fields.as_object_mut() {
            fields.extend(own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        }
        fields
    }

    fn command(&self, task: &Task, arm: Arm, (trajectory, budget): (&str, Option<u32>)) -> Command {
        let mut command = Command::new(self.spec.command.program());
        command.args(self.spec.command.arguments(&task.text, &task.id));
        without_own_settings(&mut command);
        command
            .env("RECAPD_URL", &self.spec.url)
            .env("RECAPD_TRAJECTORY", trajectory)
            .env("RECAPD_ARM", arm.name())
            .env("RECAPD_TASK", &task.text)
            .env("RECAPD_TASK_ID", &task.id)
            .env("RECAPD_BUDGET", budget.unwrap_or(UNLIMITED).to_string());
        if let Some(key) = &self.spec.key {
            command.env("RECAPD_KEY", key);
        }
        command
    }

    /// What an agent says, without the daemon's key.
    fn without_key(&self, text: &str) -> String {
        match self.spec.key.as_deref().filter(|key| !key.is_empty()) {
            Some(key) => text.replace(key, HIDDEN),
            None => text.to_owned(),
        }
    }

    /// The end of an output, without the daemon's key.
    fn shown(&self, output: &str) -> String {
        let output = self.without_key(output);
        let over = output.chars().count().saturating_sub(SHOWN_CHARS);
        output.chars().skip(over).collect()
    }
}
