//! The playbooks in the daemon: lessons written into them, what was learned, what learning cost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::agent::Cost;
use crate::http::Client;
use crate::process::check_interrupted;

/// How often the daemon is asked whether it has learned, and how long that may take.
const POLL: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_mins(20);

/// The daemon's playbooks.
pub struct Memory {
    /// URL of the daemon.
    pub url: String,
}

/// What learning from one run took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Learned {
    pub cost: Cost,
    /// From the outcome to the end of the job.
    pub waited: Duration,
    /// Changes that waited for a person and were accepted.
    pub accepted: u64,
    /// Jobs that failed for good.
    pub failed: u64,
}

impl Learned {
    /// Adds what learning from another run took.
    pub fn add(&mut self, other: Self) {
        self.cost.add(other.cost);
        self.waited += other.waited;
        self.accepted += other.accepted;
        self.failed += other.failed;
    }
}

impl Memory {
    /// Writes lessons into a playbook.
    ///
    /// # Errors
    ///
    /// Fails when the daemon refuses.
    pub fn write(&self, name: &str, lessons: &[String]) -> Result<()> {
        let add = |lesson: &String| json!({ "op": "add", "section": "House rules", "content": lesson });
        let operations: Vec<_> = lessons.iter().map(add).collect();
        let body = json!({ "operations": operations }).to_string();
        Client::connect(&self.url)?.post(&format!("/v1/playbooks/{name}/deltas"), &body).map(drop)
    }

    /// Returns the words of a playbook's bullets; none where there is no such playbook.
    ///
    /// # Errors
    ///
    /// Fails when the daemon does.
    pub fn lessons(&self, name: &str) -> Result<Vec<String>> {
        let all = self.read("/v1/playbooks")?;
        if !list(&all, "playbooks").iter().any(|playbook| playbook["name"] == name) {
            return Ok(Vec::new());
        }
        let playbook = self.read(&format!("/v1/playbooks/{name}"))?;
        Ok(list(&playbook, "bullets").iter().filter_map(|b| b["content"].as_str()).map(str::to_owned).collect())
    }

    /// Waits until the daemon has learned from a run and accepts what it kept back for a person.
    ///
    /// # Errors
    ///
    /// Fails when the daemon does, or is not done after 20 minutes.
    pub fn learn(&self, name: &str, run: &str) -> Result<Learned> {
        let began = Instant::now();
        let failed = loop {
            check_interrupted()?;
            let jobs = self.read("/v1/jobs?limit=200")?;
            let of_run: Vec<&Value> = list(&jobs, "jobs").iter().filter(|job| is_of(job, run)).collect();
            if of_run.iter().all(|job| job["state"] == "dead") {
                for job in &of_run {
                    eprintln!("learning failed: {}", job["last_error"]);
                }
                break of_run.len() as u64;
            }
            if began.elapsed() > PATIENCE {
                bail!("the daemon has not learned from {run} in {PATIENCE:?}");
            }
            std::thread::sleep(POLL);
        };
        let waited = began.elapsed();
        Ok(Learned { cost: self.cost(run)?, waited, accepted: self.accept(name)?, failed })
    }

    /// Accepts all changes that wait, as a person would who trusts the office's own error messages.
    fn accept(&self, name: &str) -> Result<u64> {
        let playbooks = self.read("/v1/playbooks")?;
        if !list(&playbooks, "playbooks").iter().any(|playbook| playbook["name"] == name) {
            return Ok(0);
        }
        let waiting = self.read(&format!("/v1/playbooks/{name}/review"))?;
        let mut accepted = 0;
        for change in list(&waiting, "review") {
            let id = change["id"].as_str().context("a change that waits has no id")?;
            let path = format!("/v1/playbooks/{name}/review/{id}");
            match Client::connect(&self.url)?.post(&path, r#"{"decision":"accept"}"#) {
                Ok(_) => accepted += 1,
                Err(error) => eprintln!("a change was not accepted: {error:#}"),
            }
        }
        Ok(accepted)
    }

    fn cost(&self, run: &str) -> Result<Cost> {
        let calls = self.read(&format!("/v1/model-calls?trajectory={run}&limit=200"))?;
        let mut cost = Cost::default();
        for call in list(&calls, "model_calls") {
            let count = |key: &str| call[key].as_u64().unwrap_or(0);
            cost.add(Cost {
                calls: 1,
                tokens_in: count("prompt_tokens"),
                tokens_out: count("reply_tokens"),
                took: Duration::from_millis(count("ms")),
            });
        }
        Ok(cost)
    }

    fn read(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(Client::connect(&self.url)?.get(path)?)?)
    }
}

fn is_of(job: &Value, run: &str) -> bool {
    job["trajectory_id"] == run || job["key"].as_str().is_some_and(|key| key.contains(run))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}
