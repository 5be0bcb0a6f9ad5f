//! What an analysis is about, in words, and the name under which it is found again.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::tuning::audit::{Cause, Loss};

/// Values that were lost, of one case, that a model is told of.
const MOST_LOSSES: usize = 12;

/// A run whose full context held what its compressed one did not: a pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// The case's name.
    pub case: String,
    /// What the agent was to do, in its words.
    pub task: String,
    /// What the full context held, as far as it matters, or the full run.
    pub full: String,
    /// What the compressed context held instead, or the compressed run.
    pub compressed: String,
    /// The action that needed what was lost; empty where whole runs are compared.
    #[serde(default)]
    pub action: String,
    /// Values that were lost, with what dropped them, a line each; empty where that is not known.
    #[serde(default)]
    pub lost: String,
    /// How both ended.
    pub outcome: String,
    /// Turns are numbered from 0 to this.
    pub last_turn: u32,
}

/// A run that did well, with the lines of its compressed context that nothing needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Spare {
    /// The case's name.
    pub case: String,
    /// What the agent was to do.
    pub task: String,
    /// What the compressed context held.
    pub compressed: String,
    /// Lines of it without any value that a later action used.
    pub idle: Vec<String>,
    /// Values that later actions used.
    pub used: Vec<String>,
    /// How the run ended.
    pub outcome: String,
}

impl Contrast {
    /// Writes values that one action lost: where each stood, and what dropped it. At most 12 are told. `full` then
    /// holds their lines, `lost` the reasons, and the last turn is that of the action.
    #[must_use]
    pub fn with_losses(mut self, losses: &[&Loss]) -> Self {
        for loss in losses.iter().take(MOST_LOSSES) {
            let place = &loss.place;
            let (turn, line, text) = (place.turn, place.line, place.text.trim());
            let key = place.key.as_deref().map(|key| format!(", in the member {key}")).unwrap_or_default();
            let heading = place.heading.as_deref().map(|heading| format!(", under {heading}")).unwrap_or_default();
            let _infallible = writeln!(self.full, "[turn {turn}, line {line}{key}{heading}] {text}");
            let _infallible = writeln!(self.lost, "{}: {}", loss.value, reason(&loss.cause));
        }
        let turns = losses.iter().map(|loss| loss.place.turn);
        self.last_turn = turns.max().unwrap_or_default().max(self.last_turn);
        self
    }

    /// Returns the name under which an analysis of this under a guideline by these models is found again.
    #[must_use]
    pub fn key(&self, makers: &[&str]) -> String {
        let turn = self.last_turn.to_string();
        let own: [&str; 8] =
            [&self.case, &self.task, &self.full, &self.compressed, &self.action, &self.lost, &self.outcome, &turn];
        key_of("failure", &own, makers)
    }
}

impl Spare {
    /// Returns the name under which an analysis of this under a guideline by these models is found again.
    #[must_use]
    pub fn key(&self, makers: &[&str]) -> String {
        let (idle, used) = (self.idle.join("\n"), self.used.join("\n"));
        let own: [&str; 6] = [&self.case, &self.task, &self.compressed, &idle, &used, &self.outcome];
        key_of("unused", &own, makers)
    }
}

/// What dropped a value, for a model.
fn reason(cause: &Cause) -> String {
    match cause {
        Cause::Rule { field, pattern } => format!("the guideline's rule {field}: {pattern} dropped it"),
        Cause::Cap { field } => format!("the guideline's bound {field} cut it off"),
        Cause::Outweighed { .. } => "its line was taken for less important than others".to_owned(),
        Cause::Untold => "the model that wrote the summary left it out".to_owned(),
        Cause::Thinned => "its turn is older than what is still looked at".to_owned(),
        Cause::Elided => "the newest turn did not fit whole".to_owned(),
        Cause::Apart => "it stands there, but without the words that say what it is".to_owned(),
    }
}

fn key_of(kind: &str, own: &[&str], makers: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [kind].iter().chain(own).chain(makers) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
