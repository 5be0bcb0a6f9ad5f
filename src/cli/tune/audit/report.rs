//! What an audit says: an object for machines, tables for people.

use std::collections::BTreeMap;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use recap_core::tuning::{Breakdown, Loss, LossCounts, most_lost};
use serde::Serialize;

use crate::cli::replay::report::{self, Row};
use crate::cli::runs::Tally;
use crate::cli::{Setting, output};
use crate::tune::Round;

/// Rules, keys, headings and lines that are told at most.
const MOST: usize = 15;
/// Different lines that are counted.
const MOST_LINES: usize = 10_000;
/// Characters of a line for people.
const LINE_CHARS: usize = 90;

/// What was lost, in numbers.
#[derive(Default)]
pub struct Report {
    breakdown: Breakdown,
    /// Lines by how many values they lost, with one of the values.
    lines: BTreeMap<String, (usize, String)>,
}

/// The measures of a file, and what its losses have in common.
#[derive(Serialize)]
struct Audited<'a> {
    #[serde(flatten)]
    row: &'a Row,
    lost: Breakdown,
}

impl Report {
    /// Counts a loss.
    pub fn add(&mut self, loss: &Loss) {
        self.breakdown.add(loss);
        let line = &loss.place.text;
        if self.lines.len() < MOST_LINES || self.lines.contains_key(line) {
            self.lines.entry(line.clone()).or_insert_with(|| (0, loss.value.clone())).0 += 1;
        }
    }

    /// Tells all of it.
    ///
    /// # Errors
    ///
    /// Fails where standard output is gone.
    pub fn tell(&self, data: &str, tally: &Tally, round: &Round, setting: &Setting) -> anyhow::Result<()> {
        let row = Row::of(data, tally, round);
        if setting.json {
            return output::say_json(&Audited { row: &row, lost: self.breakdown.clone().top(MOST) });
        }
        let Tally { replayed, small, unreadable } = tally;
        output::say(&format!(
            "{data}: {replayed} trajectories audited; skipped: {small} small, {unreadable} unreadable"
        ))?;
        if *replayed > 0 {
            output::say(&format!("{}\n", report::table(&[row])))?;
            output::say(&self.text())?;
        }
        Ok(())
    }

    fn text(&self) -> String {
        let found = &self.breakdown;
        let kinds: BTreeMap<String, LossCounts> =
            found.kinds.iter().map(|(kind, counts)| (kind_name(kind), *counts)).collect();
        let parts = [
            ("lost by", &found.causes),
            ("by rule or cap", &found.rules),
            ("by who wrote the piece", &found.compressors),
            ("by kind of text", &kinds),
            ("by JSON member", &found.keys),
            ("by heading", &found.headings),
        ];
        let tables = parts.iter().filter(|(_, names)| !names.is_empty()).map(|(title, names)| table(title, names));
        let mut said: Vec<String> = tables.collect();
        said.extend(self.worst_lines());
        if found.all.bound == 0 {
            said.push("No value was lost.\n".to_owned());
        }
        said.join("\n")
    }

    /// The lines that lost most values.
    fn worst_lines(&self) -> Option<String> {
        let mut sorted: Vec<_> = self.lines.iter().collect();
        sorted.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
        let mut table = Table::new();
        table.load_preset(NOTHING).set_header(["values", "one of them", "lines that lost most"]);
        for (line, (count, value)) in sorted.iter().take(MOST) {
            table.add_row([count.to_string(), short(value, LINE_CHARS / 3), short(line, LINE_CHARS)]);
        }
        (!sorted.is_empty()).then(|| format!("{}\n", table.trim_fmt()))
    }
}

fn table(title: &str, names: &BTreeMap<String, LossCounts>) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header([title, "bound", "grounding", "first"]);
    for (name, counts) in most_lost(names, MOST) {
        let LossCounts { grounding, bound, first } = counts;
        let counts = [bound, grounding, first].map(ToString::to_string);
        table.add_row(std::iter::once(short(name, LINE_CHARS)).chain(counts));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n", table.trim_fmt())
}

fn kind_name(kind: &impl Serialize) -> String {
    match serde_json::to_value(kind) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

fn short(text: &str, most: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most { line } else { line.chars().take(most - 1).chain(['…']).collect() }
}
