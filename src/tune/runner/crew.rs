//! An agent with its tasks, run against the daemon of this process under whichever guidelines are asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use recap_core::trajectory::OriginalHash;
use tokio_util::sync::CancellationToken;

use super::{Arm, Pin, RunnerError, RunnerResult, Spec, Task, known, run_tasks};
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::pipeline::guidelines::GuidelineSet;
use crate::tune::replay::Budget;

/// Told of each run that is over, and how many are still to come.
pub type Told = Box<dyn Fn(&RunnerResult, usize) + Send + Sync>;

/// An agent with its tasks.
pub struct Crew {
    pipeline: Pipeline,
    /// What is run; its version and what steers are another one's for each guideline set.
    spec: Spec,
    tasks: Vec<Task>,
    told: Told,
}

/// How the agent did on tasks, by their names: absent where a run says nothing of contexts.
pub type Successes = BTreeMap<String, Option<bool>>;

impl Crew {
    /// Puts an agent and its tasks together. `pipeline` is the one of the daemon at `spec.url`.
    #[must_use]
    pub fn new(pipeline: Pipeline, spec: Spec, tasks: Vec<Task>, told: Told) -> Self {
        Self { pipeline, spec, tasks, told }
    }

    /// Returns the tasks.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// Returns what is run under a set: the compressed arm follows exactly these guidelines, whatever champions and trials
    /// there are.
    #[must_use]
    pub fn under(&self, set: &Arc<GuidelineSet>) -> Spec {
        Spec {
            version: version(self.pipeline.config(), set, self.spec.budget),
            pin: Some(Pin { pipeline: self.pipeline.clone(), set: Arc::clone(set) }),
            ..self.spec.clone()
        }
    }

    /// Returns the results that are known of all tasks under a set, and of their full runs. What says nothing of contexts is
    /// not known: it is run again.
    ///
    /// # Errors
    ///
    /// [`RunnerError`] where the daemon cannot be asked.
    pub async fn known(&self, set: &Arc<GuidelineSet>) -> Result<Vec<RunnerResult>, RunnerError> {
        known_evidence(&self.under(set), &self.tasks).await
    }

    /// Has the agent do some tasks with compressed contexts under a set and returns how it did; what is known is not run
    /// again. `None` where that was cancelled.
    ///
    /// # Errors
    ///
    /// [`RunnerError`]
    pub async fn successes(
        &self,
        set: &Arc<GuidelineSet>,
        names: &BTreeSet<&str>,
        cancelled: &CancellationToken,
    ) -> Result<Option<Successes>, RunnerError> {
        let tasks: Vec<Task> = self.tasks.iter().filter(|task| names.contains(task.id.as_str())).cloned().collect();
        let spec = Spec { arms: vec![Arm::Compressed], ..self.under(set) };
        let mut results = known_evidence(&spec, &tasks).await?;
        let mut left = tasks.len() - results.iter().filter(|result| result.arm == Arm::Compressed).count();
        let before = results.clone();
        let keep = |result: RunnerResult| {
            left = left.saturating_sub(1);
            (self.told)(&result, left);
            results.push(result);
            Ok(())
        };
        if !run_tasks(&spec, &tasks, &before, cancelled, keep).await? {
            return Ok(None);
        }
        let compressed = results.into_iter().filter(|result| result.arm == Arm::Compressed);
        Ok(Some(
            compressed.map(|result| (result.task.clone(), result.is_evidence().then_some(result.success))).collect(),
        ))
    }
}

async fn known_evidence(spec: &Spec, tasks: &[Task]) -> Result<Vec<RunnerResult>, RunnerError> {
    let mut results = known(spec, tasks).await?;
    results.retain(RunnerResult::is_evidence);
    Ok(results)
}

/// Names all that decides what a compressed context holds: guidelines, budget, compressors and what they ask, policies, and
/// this program.
fn version(config: &Config, guidelines: &GuidelineSet, budget: Budget) -> String {
    let head = guidelines.head.as_ref().map(|head| head.hash.to_string());
    let models = (&config.llm.model, &config.models.chat, &config.models.encoder, &config.models.reranker);
    let own = (&config.compress, &config.context, &config.policies, env!("CARGO_PKG_VERSION"));
    let rest = format!("{budget:?}\n{head:?}\n{models:?}\n{own:?}");
    let [history, observation] = [&guidelines.history, &guidelines.observation].map(|steering| steering.label.as_str());
    format!("{history} {observation} {}", OriginalHash::of(&rest).handle())
}
