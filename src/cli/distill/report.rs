//! What a training says: an object for machines, a curve and tables for people.

use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use recap_core::context::LEAST_FAMILIAR_TASKS;
use recap_core::tuning::{Compared, LEAST_TASKS, Summary};
use serde::Serialize;

use crate::tune::Heard;
use crate::tune::distill::{Elsewhere, Lap, Measures, TrialOutcome};

/// Columns of the curve.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What a training came to.
#[derive(Serialize)]
pub struct Report<'a> {
    /// The head's hash.
    pub head: String,
    pub train_examples: u64,
    pub held_out_examples: u64,
    /// Runs that could not be served.
    pub unserved: u64,
    pub curve: &'a [Lap],
    /// Whether the head says which plans are like those it was trained on; else it is asked about all.
    pub familiar: bool,
    #[serde(flatten)]
    pub outcome: &'a TrialOutcome,
    /// What the head does on runs of another domain; absent where none were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<&'a Elsewhere>,
}

impl Report<'_> {
    /// Says it to people.
    pub fn in_words(&self) -> String {
        let verdict = &self.outcome.verdict;
        let mut said = format!(
            "{} examples for training, {} held out\n\n{}\n",
            self.train_examples,
            self.held_out_examples,
            curve(self.curve)
        );
        let mut table = headed();
        for measures in &self.outcome.measures {
            add(&mut table, measures);
        }
        let gate = if verdict.passes { "passes" } else { "is refused" };
        let against = self.outcome.against;
        let told = format!("{} {gate} beside {against}: {}", self.head, verdict.reason);
        let word = word(self.outcome.measures.iter().map(|at| at.heard));
        let _infallible = write!(said, "\n{}\n\n{word}{}\n\n{told}", table.trim_fmt(), self.unknowing());
        if let Some(elsewhere) = self.elsewhere {
            let _infallible = write!(said, "\n\n{}", told_of(elsewhere));
        }
        said
    }

    fn unknowing(&self) -> String {
        if self.familiar {
            return String::new();
        }
        format!(" It is asked about all: fewer than {LEAST_FAMILIAR_TASKS} tasks say nothing of what is usual.")
    }
}

/// Says in how many epochs a head had a word, at all budgets together.
fn word(heard: impl Iterator<Item = Heard>) -> String {
    let Heard { planned, heard } = heard.sum();
    let percent = (100 * heard + planned / 2).checked_div(planned);
    let share = percent.map_or_else(String::new, |percent| format!(", {percent} %"));
    format!("The head had a word in {heard} of {planned} epochs{share}.")
}

/// Says what a head does on another domain.
fn told_of(elsewhere: &Elsewhere) -> String {
    let Elsewhere { runs, tasks, known, unserved, .. } = elsewhere;
    let mut said = format!("ELSEWHERE, told and not judged: {runs} runs of {tasks} tasks of another domain");
    if *known > 0 {
        let _infallible = write!(said, "\n{known} runs are left out: the training's runs have their tasks");
    }
    if *unserved > 0 {
        let _infallible = write!(said, "\n{unserved} runs are left out: they cannot be served");
    }
    if *runs == 0 {
        said.push_str("\nThere is nothing to compare.");
        return said;
    }
    let mut table = headed();
    for at in &elsewhere.measures {
        add(&mut table, &at.of);
        let changes = [at.change.grounding, at.change.bound, at.change.first, at.change.billed];
        table.add_row([budget(&at.of), "change".to_owned()].into_iter().chain(changes.map(change)));
    }
    let word = word(elsewhere.measures.iter().map(|at| at.of.heard));
    let _infallible = write!(said, "\n\n{}\n\n{word} {}", table.trim_fmt(), harm(elsewhere));
    if *tasks < LEAST_TASKS {
        let _infallible = write!(said, " But fewer than {LEAST_TASKS} tasks show nothing.");
    }
    said
}

/// Says whether a head does harm on another domain.
fn harm(elsewhere: &Elsewhere) -> String {
    let harms = elsewhere.measures.iter().filter(|at| !at.harms.is_empty());
    let harms: Vec<String> = harms.map(|at| format!("at {} in {}", budget(&at.of), at.harms.join(", "))).collect();
    if harms.is_empty() {
        return "No measure is surely worse there.".to_owned();
    }
    format!("The head does harm there: {}.", harms.join("; "))
}

fn headed() -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["budget", "", "grounding", "bound", "first", "billed"]);
    table
}

fn add(table: &mut Table, measures: &Measures) {
    for (who, summary) in [("now", &measures.champion), ("head", &measures.candidate)] {
        let Summary { grounding, bound, first, billed, .. } = *summary;
        let shares = [grounding, bound, first, billed].map(ratio);
        table.add_row([budget(measures), who.to_owned()].into_iter().chain(shares));
    }
}

fn budget(measures: &Measures) -> String {
    measures.budget["fraction"].to_string()
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

fn change(compared: Option<Compared>) -> String {
    compared.map_or_else(|| "–".to_owned(), |compared| compared.to_string())
}

/// The curve as a row of bars for each side, from the lowest loss to the highest.
fn curve(laps: &[Lap]) -> String {
    let train: Vec<f64> = laps.iter().map(|lap| lap.train).collect();
    let held_out: Vec<f64> = laps.iter().filter_map(|lap| lap.held_out).collect();
    let all = train.iter().chain(&held_out).copied();
    let (least, most) = all.fold((f64::MAX, f64::MIN), |(least, most), loss| (least.min(loss), most.max(loss)));
    let row = |name: &str, losses: &[f64]| {
        let bars: String = losses.iter().map(|loss| bar((loss - least) / (most - least).max(f64::EPSILON))).collect();
        let ends = losses.first().zip(losses.last());
        let ends = ends.map_or_else(String::new, |(first, last)| format!("{first:.4} → {last:.4}"));
        format!("{name:9} {bars} {ends}")
    };
    format!("loss by epoch, nats\n{}\n{}", row("train", &train), row("held out", &held_out))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within the bars")]
fn bar(share: f64) -> char {
    let at = (share.clamp(0.0, 1.0) * 7.0).round() as usize;
    BARS.get(at).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_a_word_in_a_share_of_epochs() {
        let at = |heard, planned| word([Heard { planned, heard }, Heard { planned: 1, heard: 1 }].into_iter());
        assert_eq!(at(27, 28), "The head had a word in 28 of 29 epochs, 97 %.");
        assert_eq!(word(std::iter::empty()), "The head had a word in 0 of 0 epochs.");
    }

    #[test]
    fn a_curve_falls_from_full_bars_to_low_ones() {
        let lap = |epoch, train, held_out| Lap { epoch, train, held_out: Some(held_out) };
        let drawn = curve(&[lap(1, 0.9, 0.8), lap(2, 0.5, 0.6), lap(3, 0.2, 0.45)]);
        assert_eq!(drawn, "loss by epoch, nats\ntrain     █▄▁ 0.9000 → 0.2000\nheld out  ▇▅▄ 0.8000 → 0.4500");
    }
}
