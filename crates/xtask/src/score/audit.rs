//! The grounding audit held against the scorer: on the same work both must come to the same measures.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Args;
use crate::process::Run;

/// How far a measure of the audit may lie from the scorer's.
const TOLERANCE: f64 = 0.01;
/// The measures that are compared.
const MEASURES: [&str; 2] = ["bound", "first"];

/// Audits the files that were scored and returns where the audit differs from the rows, one line a fault.
///
/// # Errors
///
/// Fails when the audit does.
pub fn faults(program: &Path, files: &[PathBuf], rows: &[Value], args: &Args) -> Result<Vec<String>> {
    let data = tempfile::tempdir().context("no temporary folder")?;
    let mut faults = Vec::new();
    for file in files {
        for fraction in &args.fraction {
            let audited = audit(program, file, *fraction, (args.limit, data.path()))?;
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let is_same = |row: &&Value| row["data"] == *name && row["fraction"].as_f64() == Some(*fraction);
            match rows.iter().find(is_same) {
                Some(row) => faults.extend(differences(&format!("{name} at {fraction}"), row, &audited)),
                None => faults.push(format!("{name} at {fraction}: the scorer printed no row")),
            }
        }
    }
    Ok(faults)
}

fn audit(program: &Path, file: &Path, fraction: f64, (limit, data): (u32, &Path)) -> Result<Value> {
    let mut run = Run::new(program, ["tune", "audit", "--json", "--fraction"])?
        .arg(fraction.to_string())
        .arg("--data")
        .arg(data)
        .arg(file)
        .without_env("RECAPD_");
    if limit > 0 {
        run = run.arg("--limit").arg(limit.to_string());
    }
    let text = run.stdout()?;
    serde_json::from_str(text.trim()).with_context(|| format!("the audit printed no JSON object: {text}"))
}

fn differences(name: &str, scored: &Value, audited: &Value) -> Vec<String> {
    let differing = MEASURES.iter().filter(|key| {
        let both = scored[**key].as_f64().zip(audited[**key].as_f64());
        let both_lack = scored[**key].is_null() && audited[**key].is_null();
        !both_lack && both.is_none_or(|(scored, audited)| (scored - audited).abs() > TOLERANCE)
    });
    differing
        .map(|key| format!("{name}: the audit's {key} is {}, the scorer's {}", audited[*key], scored[*key]))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_measure_that_differs_is_named() {
        let scored = json!({"bound": 0.9, "first": null});
        assert!(differences("x", &scored, &json!({"bound": 0.9099, "first": null})).is_empty());
        let faults = differences("x at 0.46", &scored, &json!({"bound": 0.92, "first": 1.0}));
        assert_eq!(
            faults,
            [
                "x at 0.46: the audit's bound is 0.92, the scorer's 0.9",
                "x at 0.46: the audit's first is 1.0, the scorer's null"
            ]
        );
    }
}
