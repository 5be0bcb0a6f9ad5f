//! Rules about single files: length, purity, SQL, and what belongs to a machine and not to the project.

use std::path::Path;

use super::layers::{Package, Place};
use super::source::Source;

const MOST_LINES: usize = 800;
const WORTH_A_LOOK: usize = 500;

/// Text that only SQL has. `SELECT` counts at a literal's beginning or before `FROM`.
const SQL: [&str; 7] = [
    "INSERT INTO ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "ALTER TABLE ",
    "DROP TABLE ",
    "BEGIN IMMEDIATE",
];

/// What the core may not touch.
const IMPURE: [&str; 9] = [
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "std::time::SystemTime",
    "std::time::Instant",
    "tokio::",
    "async fn",
];

/// The only registry that the lock file may name.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Holds a file's length against the limits.
pub fn length(file: &Path, text: &str, faults: &mut Vec<String>, warnings: &mut Vec<String>) {
    let (at, lines) = (file.display(), text.lines().count());
    if lines > MOST_LINES {
        faults.push(format!("{at}: {lines} lines, at most {MOST_LINES} are allowed"));
    } else if lines > WORTH_A_LOOK {
        warnings.push(format!("{at}: {lines} lines, more than one idea?"));
    }
}

/// Returns where the core touches the world.
pub fn purity_faults(place: &Place, file: &Path, source: &Source) -> Vec<String> {
    if place.package != Package::Core {
        return Vec::new();
    }
    let lines = source.code.lines().zip(1..);
    let hits = lines
        .flat_map(|(line, number)| IMPURE.iter().filter(|what| line.contains(**what)).map(move |what| (number, what)));
    hits.map(|(number, what)| {
        format!("{}:{number}: `{}` has no place in the pure core", file.display(), what.trim_end_matches(':'))
    })
    .collect()
}

/// Returns where SQL stands outside the store.
pub fn sql_faults(place: &Place, file: &Path, source: &Source) -> Vec<String> {
    if place.package == Package::Daemon && place.folder() == Some("store") {
        return Vec::new();
    }
    let hits = source.literals.iter().filter(|literal| is_sql(&literal.text));
    hits.map(|literal| format!("{}:{}: SQL belongs into src/store", file.display(), literal.line)).collect()
}

fn is_sql(text: &str) -> bool {
    let select = text.trim_start().starts_with("SELECT ")
        || text.split_once("SELECT ").is_some_and(|(_, rest)| rest.contains(" FROM "));
    let update = text.split_once("UPDATE ").is_some_and(|(_, rest)| rest.contains(" SET "));
    select || update || SQL.iter().any(|words| text.contains(words))
}

/// Returns the paths that would betray this machine: the workspace's own, and the home folder of a person.
pub fn machine_paths(root: &Path) -> Vec<String> {
    let home = std::env::var("HOME").unwrap_or_default();
    let personal = Some(home).filter(|home| home.starts_with("/home/") || home.starts_with("/Users/"));
    // A path of one folder, such as `/src`, may stand in a text by chance.
    let own = Some(root.display().to_string()).filter(|path| path.matches('/').count() > 1);
    own.into_iter().chain(personal).collect()
}

/// Returns the lines of a file that name a path of this machine.
pub fn machine_faults(file: &Path, text: &str, paths: &[String]) -> Vec<String> {
    let names = |line: &str| paths.iter().any(|path| line.contains(path.as_str()));
    let hits = text.lines().zip(1..).filter(|(line, _)| names(line));
    hits.map(|(_, number)| format!("{}:{number}: a path of this machine", file.display())).collect()
}

/// Returns where the build would depend on another registry than the public one.
pub fn registry_faults(file: &Path, text: &str) -> Vec<String> {
    let foreign: fn(&str) -> bool = match file.to_str() {
        Some("Cargo.lock") => {
            |line| line.strip_prefix("source = \"").is_some_and(|source| source.trim_end_matches('"') != REGISTRY)
        }
        Some(".cargo/config.toml" | ".cargo/config") => {
            |line| ["[source", "[registries", "[registry"].iter().any(|table| line.trim_start().starts_with(table))
        }
        _ => |_| false,
    };
    let hits = text.lines().zip(1..).filter(|(line, _)| foreign(line));
    hits.map(|(_, number)| format!("{}:{number}: another registry than crates.io", file.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: &str) -> Place {
        Place::of(Path::new(file)).unwrap()
    }

    fn sql(file: &str, text: &str) -> usize {
        sql_faults(&place(file), Path::new(file), &Source::read(text)).len()
    }

    #[test]
    fn lengths_warn_before_they_fail() {
        let (mut faults, mut warnings) = (Vec::new(), Vec::new());
        for lines in [500, 501, 800, 801] {
            length(Path::new("a.rs"), &"x\n".repeat(lines), &mut faults, &mut warnings);
        }
        assert_eq!((faults.len(), warnings.len()), (1, 2));
    }

    #[test]
    fn sql_is_found_outside_the_store_alone() {
        for text in [
            "q(\"SELECT a FROM b\")",
            "q(r#\"\n  SELECT 1\"#)",
            "q(\"INSERT INTO t VALUES\")",
            "q(\"UPDATE t SET a = 1\")",
        ] {
            assert_eq!(sql("src/http/mod.rs", text), 1, "{text}");
            assert_eq!(sql("src/store/read.rs", text), 0, "{text}");
        }
        for text in [
            "// SELECT a FROM b",
            "q(\"UPDATE the docs\")",
            "q(\"selects one\")",
            "#[cfg(test)] mod t { const Q: &str = \"SELECT 1\"; }",
        ] {
            assert_eq!(sql("src/http/mod.rs", text), 0, "{text}");
        }
    }

    #[test]
    fn the_core_is_pure() {
        let file = "crates/recap-core/src/tokens/mod.rs";
        let faults = |file: &str, text: &str| purity_faults(&place(file), Path::new(file), &Source::read(text));
        assert_eq!(faults(file, "use std::sync::Arc;\nuse std::time::Instant;").len(), 1);
        assert_eq!(faults(file, "// std::fs is not used").len(), 0);
        assert_eq!(faults("src/store/mod.rs", "use std::fs;").len(), 0);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let paths = ["/home/someone".to_owned()];
        assert_eq!(
            machine_faults(Path::new("a.md"), "ok\nsee /home/someone/notes", &paths),
            ["a.md:2: a path of this machine"]
        );
        assert_eq!(machine_paths(Path::new("/src")).iter().filter(|path| *path == "/src").count(), 0);
    }

    #[test]
    fn other_registries_are_found() {
        let lock = format!(
            "source = \"{REGISTRY}\"\nsource = \"registry+https://mirror.example/index\"\nsource = \"git+https://x.example\""
        );
        assert_eq!(registry_faults(Path::new("Cargo.lock"), &lock).len(), 2);
        assert_eq!(registry_faults(Path::new(".cargo/config.toml"), "[alias]\nx = \"y\"\n[source.crates-io]").len(), 1);
        assert_eq!(registry_faults(Path::new("README.md"), "[source]").len(), 0);
    }
}
