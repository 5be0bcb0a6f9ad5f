//! Recorded runs read from files, for the commands that replay them.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use recap_core::context::{ActiveHead, MOST_HEAD_BYTES};
use serde_json::Value;
use serde_json::value::RawValue;

use super::import::files::{Place, Source};
use super::import::shapes::Conversation;
use super::{BadUse, Setting, output};
use crate::app;
use crate::config::{Compressor, Config};
use crate::llm::{self, Loaded};
use crate::pipeline::compress::Compressors;
use crate::pipeline::guidelines::GuidelineSet;
use crate::pipeline::task::TaskTold;
use crate::tune::RecordedRun;
use crate::tune::distill::asking_heads;
use crate::world::World;

/// Unreadable trajectories of one file that are told one by one.
const MOST_TOLD: usize = 20;

/// Which recorded runs are read.
#[derive(Debug, Args)]
pub struct Runs {
    /// Leave out trajectories whose largest full context is smaller, the system prompt apart
    #[arg(long, default_value_t = 4000, value_name = "TOKENS")]
    pub min_peak: i64,
    /// At most this many trajectories of each file
    #[arg(long, value_name = "COUNT")]
    pub limit: Option<usize>,
}

/// A trained head that is tried without being stored.
#[derive(Debug, Args)]
pub struct HeadFile {
    /// Have this trained head (`head.json` of `distill train`) weigh lines, as if it were active and old turns left to
    /// `extract`
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
}

impl HeadFile {
    /// Returns a configuration and a guideline set under which the head has its word; what was given, where none is named.
    ///
    /// # Errors
    ///
    /// Fails where the file cannot be read or is no head of this program.
    pub fn heard(&self, config: Config, set: Arc<GuidelineSet>) -> anyhow::Result<(Config, Arc<GuidelineSet>)> {
        let Some(path) = &self.head else { return Ok((config, set)) };
        let bad = |error: &dyn std::fmt::Display| BadUse(format!("--head: {}: {error}", path.display()));
        let (mut text, most) = (String::new(), MOST_HEAD_BYTES as u64 + 1);
        let read = File::open(path).and_then(|file| file.take(most).read_to_string(&mut text));
        read.map_err(|error| bad(&error))?;
        let head = ActiveHead::parse(&text).map_err(|error| bad(&error))?;
        let set = GuidelineSet { head: Some(Arc::new(head)), ..(*set).clone() };
        Ok((asking_heads(&config), Arc::new(set)))
    }
}

/// What became of a file's trajectories.
#[derive(Debug, Default)]
pub struct Tally {
    /// Those that were replayed.
    pub replayed: usize,
    /// Those below the least peak.
    pub small: usize,
    /// Lines that are no trajectory.
    pub unreadable: usize,
}

impl Runs {
    /// Reads a file's runs one after the other and does something with each. What cannot be read is told and counted.
    ///
    /// # Errors
    ///
    /// The first failure of `with`, with the run's place.
    pub fn each(
        &self,
        file: &Source,
        bar: &ProgressBar,
        mut with: impl FnMut(&RecordedRun) -> anyhow::Result<()>,
    ) -> anyhow::Result<Tally> {
        self.each_taken(file, bar, |run| with(&run))
    }

    /// As [`Runs::each`], for who keeps the runs.
    ///
    /// # Errors
    ///
    /// The first failure of `with`, with the run's place.
    pub fn each_taken(
        &self,
        file: &Source,
        bar: &ProgressBar,
        mut with: impl FnMut(RecordedRun) -> anyhow::Result<()>,
    ) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        for (n, (place, found)) in file.conversations(bar).enumerate() {
            if self.limit.is_some_and(|limit| tally.replayed >= limit) {
                break;
            }
            let run = match found.and_then(Conversation::checked).and_then(|read| recorded(read, n)) {
                Ok(run) => run,
                Err(reason) => {
                    tally.unreadable(&place, &reason, bar);
                    continue;
                }
            };
            if !run.reaches(self.min_peak) {
                tally.small += 1;
                continue;
            }
            with(run).with_context(|| place.to_string())?;
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

impl Tally {
    fn unreadable(&mut self, place: &Place, reason: &str, bar: &ProgressBar) {
        self.unreadable += 1;
        if self.unreadable <= MOST_TOLD {
            bar.suspend(|| output::complain(&format!("{place}: {reason}")));
        }
    }
}

/// Reads what a conversation's actions need; `n` is its place in its file, from 0.
fn recorded(conversation: Conversation, n: usize) -> Result<RecordedRun, String> {
    let format = conversation.format();
    let id = conversation.id.clone().unwrap_or_else(|| (n + 1).to_string());
    let (task, success) = (conversation.task_text(), conversation.success());
    let metadata = conversation.metadata.filter(Value::is_object);
    let mut messages = conversation.messages;
    if let Some(system) = conversation.system {
        // Anthropic's stands beside the messages; as one of them it is read all the same
        let first = format!(r#"{{"role":"system","content":{}}}"#, system.get());
        messages.insert(0, RawValue::from_string(first).map_err(|error| error.to_string())?);
    }
    let told = TaskTold { metadata: metadata.as_ref(), task: task.as_deref() };
    RecordedRun::read(id, told, success, (format, messages)).map_err(|error| error.to_string())
}

/// Returns a bar that counts the files' bytes.
///
/// # Errors
///
/// None: the template is fixed.
pub fn bar(files: &[Source]) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::new(files.iter().map(|file| file.bytes).sum());
    let style = "{bar:32} {bytes}/{total_bytes} {msg} {eta}";
    bar.set_style(ProgressStyle::with_template(style).context("the progress bar's template")?);
    Ok(bar)
}

/// Returns the models that the configuration leaves compression to; none where rules do all.
///
/// # Errors
///
/// Fails where a model cannot be started.
pub fn compressors(setting: &Setting, config: &Config) -> anyhow::Result<Compressors> {
    let by_model = |compressor| matches!(compressor, Compressor::Extract | Compressor::Llm);
    if !by_model(config.compress.observation) && !by_model(config.compress.history) {
        return Ok(Compressors::default());
    }
    let key = app::llm_key(config)?;
    let dir = app::models_dir(config, &setting.data_dir());
    let Loaded { chats, scorer, .. } = llm::load(config, &dir, key, &World::real())?;
    Ok(Compressors::new(config, chats, scorer))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn task(mut fields: Value) -> String {
        fields["messages"] = json!([
            { "role": "system", "content": "Be careful." },
            { "role": "user", "content": [{ "type": "text", "text": "Book a flight." }] },
            { "role": "assistant", "content": "It is booked." },
        ]);
        recorded(serde_json::from_value(fields).unwrap(), 0).unwrap().task
    }

    #[test]
    fn runs_of_files_have_the_task_names_of_stored_ones() {
        assert_eq!(task(json!({ "id": "a", "task": "book", "metadata": { "task_id": 7 } })), "7");
        assert_eq!(task(json!({ "id": "a", "task": "book", "metadata": { "task": "flight" } })), "flight");
        assert_eq!(task(json!({ "id": "a", "task": "book", "metadata": "none" })), "book");
        assert_eq!(task(json!({ "id": "a", "task": { "goal": 1 } })), r#"{"goal":1}"#);
        assert_eq!(task(json!({ "id": "a" })), task(json!({ "id": "b", "task": null })));
        assert!(task(json!({ "id": "a" })).starts_with("b3:"));
    }
}
