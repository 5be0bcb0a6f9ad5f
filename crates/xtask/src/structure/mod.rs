//! Holds the source tree against its design: import directions, a pure core, SQL in one place, files of one
//! idea, nothing of the machine it was written on.
//!
//! `source` reads Rust text, `layers` knows the directions, `tree` the rules about single files.

mod layers;
mod source;
mod tree;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Runs `cargo xtask structure`: prints warnings, and fails with every fault at once.
///
/// # Errors
///
/// Fails when a file breaks a rule, or cannot be read.
pub fn run() -> Result<()> {
    let report = examine(&workspace::root()?, &workspace::tracked_files()?)?;
    for warning in &report.warnings {
        println!("warning: {warning}");
    }
    if !report.faults.is_empty() {
        bail!("{} faults:\n{}", report.faults.len(), report.faults.join("\n"));
    }
    println!("{} files examined", report.files);
    Ok(())
}

/// What an examination found.
#[derive(Debug, Default)]
struct Report {
    files: usize,
    faults: Vec<String>,
    warnings: Vec<String>,
}

fn examine(root: &Path, files: &[PathBuf]) -> Result<Report> {
    let mut report = Report { files: files.len(), ..Report::default() };
    let machine = tree::machine_paths(root);
    for file in files {
        let bytes = std::fs::read(root.join(file)).with_context(|| format!("cannot read {}", file.display()))?;
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        report.faults.extend(tree::machine_faults(file, &text, &machine));
        report.faults.extend(tree::registry_faults(file, &text));
        if file.extension().is_some_and(|extension| extension == "rs") {
            tree::length(file, &text, &mut report.faults, &mut report.warnings);
            examine_source(file, &text, &mut report.faults);
        }
    }
    Ok(report)
}

/// Files of tests may import anything and hold any text.
fn examine_source(file: &Path, text: &str, faults: &mut Vec<String>) {
    let Some(place) = layers::Place::of(file).filter(|_| !source::is_test_file(file)) else {
        return;
    };
    let source = source::Source::read(text);
    faults.extend(layers::faults(&place, file, &source));
    faults.extend(tree::purity_faults(&place, file, &source));
    faults.extend(tree::sql_faults(&place, file, &source));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_tree_keeps_to_the_design() {
        let report = examine(&workspace::root().unwrap(), &workspace::tracked_files().unwrap()).unwrap();
        assert!(report.files > 10, "only {} files were found", report.files);
        assert!(report.faults.is_empty(), "{}", report.faults.join("\n"));
    }

    #[test]
    fn every_rule_is_applied_to_the_files_of_a_tree() {
        let root = tempfile::tempdir().unwrap();
        let long = "// x\n".repeat(801);
        for (path, text) in [
            ("src/store/mod.rs", "use crate::llm::Model;\nconst Q: &str = \"SELECT 1\";"),
            ("src/http/mod.rs", "use crate::pipeline;\nconst Q: &str = \"SELECT 1\";"),
            ("src/llm/tests.rs", "use crate::store::Db;"),
            ("src/pipeline.rs", long.as_str()),
            ("crates/recap-core/src/tokens/mod.rs", "use std::fs;"),
        ] {
            let file = root.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let files = [
            "src/store/mod.rs",
            "src/http/mod.rs",
            "src/llm/tests.rs",
            "src/pipeline.rs",
            "crates/recap-core/src/tokens/mod.rs",
        ];
        let report = examine(root.path(), &files.map(PathBuf::from)).unwrap();
        let starts: Vec<_> = report.faults.iter().map(|fault| fault.split_once(": ").unwrap().0).collect();
        assert_eq!(
            starts,
            ["src/store/mod.rs:1", "src/http/mod.rs:2", "src/pipeline.rs", "crates/recap-core/src/tokens/mod.rs:1"]
        );
    }
}
