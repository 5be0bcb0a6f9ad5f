//! `cargo xtask generate`: the committed files that a program writes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::Run;
use crate::workspace;

/// A committed file and the arguments with which recapd prints it.
struct Generated {
    path: &'static str,
    args: &'static [&'static str],
}

/// Every generated file.
const GENERATED: &[Generated] =
    &[Generated { path: "openapi.json", args: &["openapi"] }, Generated { path: "docs/cli.md", args: &["reference"] }];

/// What `cargo xtask generate` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Writes nothing; fails when a committed file differs from what would be written
    #[arg(long)]
    check: bool,
}

/// Runs `cargo xtask generate`.
///
/// # Errors
///
/// Fails when a file cannot be generated or written, or with `--check` when one differs.
pub fn run(args: &Args) -> Result<()> {
    if args.check { check() } else { write() }
}

fn write() -> Result<()> {
    let program = build()?;
    for file in GENERATED {
        let text = file.generate(&program)?;
        if file.committed()?.as_deref() == Some(&text) {
            println!("{}: unchanged", file.path);
            continue;
        }
        let path = workspace::root()?.join(file.path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}: written", file.path);
    }
    Ok(())
}

/// Compares every generated file with what would be written.
///
/// # Errors
///
/// Fails when one differs or is missing, with the first line that does.
pub fn check() -> Result<()> {
    let program = build()?;
    let mut stale = Vec::new();
    for file in GENERATED {
        match difference(file.committed()?.as_deref(), &file.generate(&program)?) {
            None => println!("{}: up to date", file.path),
            Some(what) => stale.push(format!("{}: {what}", file.path)),
        }
    }
    if stale.is_empty() {
        println!("{} generated files, all up to date", GENERATED.len());
        return Ok(());
    }
    bail!("run `cargo xtask generate` and commit what it writes:\n{}", stale.join("\n"))
}

/// Builds recapd as the tests do, so that nothing compiles twice, and returns the program.
fn build() -> Result<PathBuf> {
    Run::cargo(["build", "--workspace", "--features", "recap-core/testing", "--bin", "recapd"])?.show()?;
    Ok(workspace::target_dir()?.join("debug").join("recapd"))
}

impl Generated {
    fn generate(&self, program: &Path) -> Result<String> {
        let text = Run::new(program, self.args)?.stdout().with_context(|| format!("cannot generate {}", self.path))?;
        if text.trim().is_empty() {
            bail!("`recapd {}` printed nothing for {}", self.args.join(" "), self.path);
        }
        Ok(text)
    }

    fn committed(&self) -> Result<Option<String>> {
        let path = workspace::root()?.join(self.path);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

/// Says where the committed text leaves what is generated; `None` when it does not.
fn difference(committed: Option<&str>, generated: &str) -> Option<String> {
    let Some(committed) = committed else {
        return Some("missing".to_owned());
    };
    if committed == generated {
        return None;
    }
    let mut pairs = committed.lines().zip(generated.lines()).enumerate();
    let what = match pairs.find(|(_, (old, new))| old != new) {
        Some((line, (old, new))) => format!("line {} differs\n  - {old}\n  + {new}", line + 1),
        None => format!("{} lines are committed, {} generated", committed.lines().count(), generated.lines().count()),
    };
    Some(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_do_not_differ() {
        assert_eq!(difference(Some("a\n"), "a\n"), None);
    }

    #[test]
    fn the_first_line_that_differs_is_shown() {
        assert_eq!(difference(Some("a\nb\nc\n"), "a\nx\ny\n").unwrap(), "line 2 differs\n  - b\n  + x");
        assert_eq!(difference(Some("a\n"), "a\nb\n").unwrap(), "1 lines are committed, 2 generated");
        assert_eq!(difference(None, "a").unwrap(), "missing");
    }
}
