//! What a round says: an object for machines, a column of a table for people.

use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use recap_core::tuning::{Summary, TrajectoryScore};
use serde::Serialize;

use crate::cli::runs::Tally;
use crate::tune::{Budget, Models, Round};

/// The measures of a file at one budget.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The file's name.
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fraction: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<u32>,
    #[serde(flatten)]
    summary: Summary,
    /// Mean over trajectories of the largest full context, tokens, the system prompt apart.
    full_peak_tokens: Option<f64>,
    /// The same of served contexts.
    served_peak_tokens: Option<f64>,
    /// Epochs begun, all trajectories together.
    epochs: usize,
    ms_p50: Option<f64>,
    ms_p99: Option<f64>,
    /// What models made; absent where rules did all.
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<Models>,
    /// Trajectories below the least peak.
    skipped_small: usize,
    /// Lines that are no trajectory.
    skipped_unreadable: usize,
}

impl Row {
    /// Sums up a round.
    pub fn of(data: &str, tally: &Tally, round: &Round) -> Self {
        let (fraction, budget) = match round.budget {
            Budget::Share { fraction, .. } => (Some(fraction), None),
            Budget::Tokens(tokens) => (None, Some(tokens)),
        };
        let mut took = round.took.clone();
        took.sort_unstable();
        Self {
            data: data.to_owned(),
            fraction,
            budget,
            summary: Summary::of(&round.scores),
            full_peak_tokens: mean(&round.scores, |score| score.full_peak),
            served_peak_tokens: mean(&round.scores, |score| score.peak),
            epochs: round.epochs,
            ms_p50: percentile(&took, 50),
            ms_p99: percentile(&took, 99),
            models: (round.models.made + round.models.failed > 0).then(|| round.models.clone()),
            skipped_small: tally.small,
            skipped_unreadable: tally.unreadable,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
fn mean(scores: &[TrajectoryScore], size: fn(&TrajectoryScore) -> i64) -> Option<f64> {
    let sum: i64 = scores.iter().map(size).sum();
    (!scores.is_empty()).then(|| (sum as f64 / scores.len() as f64).round())
}

/// Returns milliseconds to two decimals.
fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let took = sorted.get(sorted.len() * percent / 100)?;
    Some((took.as_secs_f64() * 1e5).round() / 100.0)
}

/// Returns a table with a line for each measure and a column for each budget.
pub fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    let name = |row: &Row| match (row.fraction, row.budget) {
        (Some(fraction), _) => format!("share {fraction}"),
        (None, budget) => format!("{} tokens", budget.unwrap_or_default()),
    };
    add(&mut table, "budget", rows, "", name);
    add(&mut table, "contexts", rows, "served, one before each action", |row| row.summary.contexts.to_string());
    add(&mut table, "full peak", rows, "largest full context, mean tokens", |row| whole(row.full_peak_tokens));
    add(&mut table, "served peak", rows, "largest served context, mean tokens", |row| whole(row.served_peak_tokens));
    add(&mut table, "peak", rows, "served to full, mean of ratios", |row| ratio(row.summary.peak));
    add(&mut table, "dependency", rows, "quadratic cost, to full", |row| ratio(row.summary.dependency));
    add(&mut table, "billed", rows, "input with prefix caching, to full", |row| ratio(row.summary.billed));
    add(&mut table, "grounding", rows, "needed values that stand", |row| ratio(row.summary.grounding));
    add(&mut table, "bound", rows, "… near the words that name them", |row| ratio(row.summary.bound));
    add(&mut table, "first", rows, "… at first use, from older turns", |row| ratio(row.summary.first));
    add(&mut table, "whole", rows, "… in a whole line of their source", |row| ratio(row.summary.whole));
    add(&mut table, "over", rows, "contexts above the budget", |row| row.summary.over.to_string());
    add(&mut table, "invalid", rows, "contexts that no provider takes", |row| row.summary.invalid.to_string());
    add(&mut table, "refused", rows, "contexts whose budget was too small", |row| row.summary.refused.to_string());
    add(&mut table, "epochs", rows, "begun", |row| row.epochs.to_string());
    add(&mut table, "ms p50", rows, "to serve a context", |row| millis(row.ms_p50));
    add(&mut table, "ms p99", rows, "", |row| millis(row.ms_p99));
    if rows.iter().any(|row| row.models.is_some()) {
        add_models(&mut table, rows);
    }
    for column in table.column_iter_mut().skip(1).take(rows.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn add_models(table: &mut Table, rows: &[Row]) {
    let of = |value: fn(&Models) -> String| move |row: &Row| row.models.as_ref().map_or("–".to_owned(), value);
    add(table, "made", rows, "compressions by models", of(|models| models.made.to_string()));
    add(table, "failed", rows, "… for which rules served", of(|models| models.failed.to_string()));
    add(table, "calls", rows, "to chat models", of(|models| models.calls.to_string()));
    add(table, "read", rows, "tokens by chat models", of(|models| models.prompt_tokens.to_string()));
    add(table, "written", rows, "tokens by chat models", of(|models| models.reply_tokens.to_string()));
    let cost = |models: &Models| models.cost_usd.map_or("unknown".to_owned(), |usd| format!("{usd:.4}"));
    add(table, "cost", rows, "US dollars", of(cost));
    add(
        table,
        "seconds",
        rows,
        "of models, in the background of a daemon",
        of(|models| format!("{:.1}", models.seconds)),
    );
}

fn add(table: &mut Table, name: &str, rows: &[Row], means: &str, cell: impl Fn(&Row) -> String) {
    let cells = rows.iter().map(cell);
    table.add_row(std::iter::once(name.to_owned()).chain(cells).chain([means.to_owned()]));
}

fn whole(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"))
}

fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

fn millis(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}
