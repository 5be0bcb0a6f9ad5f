//! The scorer's rows as a table, held against floors.

use std::fmt::Write as _;

use serde_json::Value;

/// Columns of the table, by the scorer's own names.
const COLUMNS: [&str; 15] = [
    "data",
    "fraction",
    "trajectories",
    "contexts",
    "bound",
    "first",
    "whole",
    "grounding",
    "intact",
    "peak",
    "billed",
    "prefix",
    "refused",
    "over",
    "invalid",
];

/// What a row must reach: at least `bound`, `first` and `whole`, at most `billed`. Stated for a sample of
/// `trajectories`, the file's first 60 that are long enough; a smaller sample is held to `bound` less
/// [`SMALL_SAMPLE`] alone, since a few runs more or less move the other measures further than that.
struct Floor {
    data: &'static str,
    trajectories: u64,
    fraction: f64,
    bound: f64,
    first: f64,
    whole: Option<f64>,
    billed: f64,
}

const FLOORS: [Floor; 5] = [
    Floor { data: "swe", trajectories: 60, fraction: 0.46, bound: 0.97, first: 0.93, whole: Some(0.90), billed: 1.00 },
    Floor { data: "swe", trajectories: 60, fraction: 0.25, bound: 0.88, first: 0.65, whole: Some(0.60), billed: 0.90 },
    Floor {
        data: "tau-airline",
        trajectories: 16,
        fraction: 0.46,
        bound: 0.97,
        first: 0.96,
        whole: None,
        billed: 0.95,
    },
    Floor {
        data: "tau-airline",
        trajectories: 16,
        fraction: 0.25,
        bound: 0.93,
        first: 0.85,
        whole: None,
        billed: 0.92,
    },
    Floor { data: "tau2", trajectories: 28, fraction: 0.46, bound: 0.96, first: 0.90, whole: None, billed: 0.95 },
];

/// How far the bound of a small sample may lie below the floor.
const SMALL_SAMPLE: f64 = 0.05;

/// Returns what is wrong with the rows, one line a fault: contexts over budget or invalid in any row, and
/// measures that miss their floor.
pub fn faults(rows: &[Value]) -> Vec<String> {
    if rows.is_empty() {
        return vec!["the scorer printed no row".to_owned()];
    }
    rows.iter().flat_map(row_faults).collect()
}

fn row_faults(row: &Value) -> Vec<String> {
    let name = format!("{} at {}", dataset(row), cell(row, "fraction"));
    let mut faults = Vec::new();
    for key in ["over", "invalid"] {
        if row[key].as_u64() != Some(0) {
            faults.push(format!("{name}: {key} is {}, must be 0", cell(row, key)));
        }
    }
    let floor =
        FLOORS.iter().find(|floor| floor.data == dataset(row) && row["fraction"].as_f64() == Some(floor.fraction));
    let Some(floor) = floor else { return faults };
    let whole_sample = row["trajectories"].as_u64().is_some_and(|count| count >= floor.trajectories);
    let least = if whole_sample {
        vec![("bound", Some(floor.bound)), ("first", Some(floor.first)), ("whole", floor.whole)]
    } else {
        vec![("bound", Some(floor.bound - SMALL_SAMPLE))]
    };
    for (key, least) in least {
        if let Some(least) = least.filter(|least| row[key].as_f64().is_none_or(|value| value < *least)) {
            faults.push(format!("{name}: {key} is {}, must be at least {least}", cell(row, key)));
        }
    }
    if whole_sample && row["billed"].as_f64().is_none_or(|value| value > floor.billed) {
        faults.push(format!("{name}: billed is {}, must be at most {}", cell(row, "billed"), floor.billed));
    }
    faults
}

/// The data file's name without its endings.
fn dataset(row: &Value) -> &str {
    let file = row["data"].as_str().unwrap_or_default();
    file.split_once('.').map_or(file, |(stem, _)| stem)
}

fn cell(row: &Value, key: &str) -> String {
    match &row[key] {
        Value::Null => "–".to_owned(),
        Value::String(_) if key == "data" => dataset(row).to_owned(),
        Value::Number(number) if number.is_f64() && key != "fraction" => {
            format!("{:.3}", number.as_f64().unwrap_or(f64::NAN))
        }
        other => other.to_string(),
    }
}

/// Returns the table in columns for a terminal.
pub fn text(rows: &[Value]) -> String {
    let lines: Vec<Vec<String>> = lines(rows);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let mut out = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// Returns the table in Markdown.
pub fn markdown(rows: &[Value]) -> String {
    let mut out = String::new();
    for (number, line) in lines(rows).iter().enumerate() {
        // Writing into a String cannot fail.
        writeln!(out, "| {} |", line.join(" | ")).unwrap_or_default();
        if number == 0 {
            writeln!(out, "|---|{}", "--:|".repeat(COLUMNS.len() - 1)).unwrap_or_default();
        }
    }
    out
}

fn lines(rows: &[Value]) -> Vec<Vec<String>> {
    let head = COLUMNS.iter().map(ToString::to_string).collect();
    let body = rows.iter().map(|row| COLUMNS.iter().map(|key| cell(row, key)).collect());
    std::iter::once(head).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Value {
        json!({"data": "swe.jsonl.gz", "fraction": 0.46, "trajectories": 60, "contexts": 300, "bound": 0.98, "first": 0.95,
               "whole": 0.91, "billed": 0.9, "over": 0, "invalid": 0})
    }

    fn with(key: &str, value: Value) -> Vec<Value> {
        let mut row = row();
        row[key] = value;
        vec![row]
    }

    #[test]
    fn a_good_row_has_no_fault() {
        assert_eq!(faults(&[row()]), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_named_with_its_row() {
        assert_eq!(faults(&with("over", json!(2))), ["swe at 0.46: over is 2, must be 0"]);
        assert_eq!(faults(&with("first", json!(0.5))), ["swe at 0.46: first is 0.500, must be at least 0.93"]);
        assert_eq!(faults(&with("whole", Value::Null)), ["swe at 0.46: whole is –, must be at least 0.9"]);
        assert_eq!(faults(&with("billed", json!(1.2))), ["swe at 0.46: billed is 1.200, must be at most 1"]);
    }

    #[test]
    fn rows_without_floors_still_may_not_be_over_or_invalid() {
        let mut rows = with("data", json!("other.jsonl"));
        rows[0]["bound"] = json!(0.1);
        assert!(faults(&rows).is_empty());
        rows[0]["invalid"] = json!(1);
        assert_eq!(faults(&rows).len(), 1);
    }

    #[test]
    fn a_small_sample_is_held_to_its_bound_alone() {
        let mut rows = with("first", json!(0.5));
        rows[0]["trajectories"] = json!(10);
        assert!(faults(&rows).is_empty());
        rows[0]["bound"] = json!(0.9);
        assert_eq!(faults(&rows).len(), 1);
    }

    #[test]
    fn no_row_is_a_fault() {
        assert_eq!(faults(&[]).len(), 1);
    }

    #[test]
    fn tables_have_a_line_a_row() {
        let text = text(&[row()]);
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().nth(1).unwrap().trim_start().starts_with("swe"));
        let markdown = markdown(&[row()]);
        assert_eq!(markdown.lines().count(), 3);
        assert!(markdown.starts_with("| data | fraction |") && markdown.contains("| swe | 0.46 | 60 |"));
    }
}
