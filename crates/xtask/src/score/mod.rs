//! `cargo xtask score`: recorded trajectories replayed through a release build by the outside scorer.
//!
//! `recapd tune audit` must come to the same measures on the same work.
//!
//! The scorer and its data are not part of this repository; where they are not beside it, the stage is
//! skipped and says so.

mod audit;
mod data;
mod report;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::daemon::{self, Daemon};
use crate::process::Run;
use crate::setup::SCORER;
use crate::workspace;

/// The folder with `score/score.py` and `data/trajectories`, relative to the workspace's root.
const SHARED: &str = "../shared";

const FRACTIONS: [f64; 2] = [0.46, 0.25];
const LIMIT: u32 = 10;

/// What `cargo xtask score` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Budgets, as fractions of each trajectory's own full peak
    #[arg(long, num_args = 1.., default_values_t = FRACTIONS)]
    fraction: Vec<f64>,
    /// Most trajectories a file; 0 takes all
    #[arg(long, default_value_t = LIMIT)]
    limit: u32,
    /// Folder with score/score.py and data/trajectories, relative to the workspace's root
    #[arg(long, default_value = SHARED)]
    shared: PathBuf,
    /// Measures the daemon at this URL instead of building and starting one
    #[arg(long)]
    url: Option<String>,
    /// Prints the scorer's rows as one JSON array
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Prints the table as Markdown
    #[arg(long)]
    markdown: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self {
            fraction: FRACTIONS.to_vec(),
            limit: LIMIT,
            shared: SHARED.into(),
            url: None,
            json: false,
            markdown: false,
        }
    }
}

/// Runs the stage of CI: `cargo xtask score` with its defaults.
///
/// # Errors
///
/// As [`run`].
pub fn check() -> Result<()> {
    run(&Args::default())
}

/// Runs `cargo xtask score`.
///
/// # Errors
///
/// Fails when the daemon or the scorer does, when a context is over its budget or invalid, or when a
/// measure is below its floor or is another one in the audit of the same files.
pub fn run(args: &Args) -> Result<()> {
    let shared = workspace::root()?.join(&args.shared);
    let scorer = shared.join("score").join("score.py");
    if !scorer.is_file() {
        eprintln!("skipped: there is no {} beside this workspace", args.shared.join("score/score.py").display());
        return Ok(());
    }
    let files = data::trajectory_files(&shared.join("data").join("trajectories"))?;
    let python = SCORER.python()?;
    let started = if args.url.is_none() { Some(Daemon::start()?) } else { None };
    let url = args.url.as_deref().or(started.as_ref().map(Daemon::url)).unwrap_or_default();
    let mut rows = Vec::new();
    for file in &files {
        eprintln!("scoring {}", file.display());
        rows.extend(score_file(&python, &scorer, file, url, args)?);
    }
    let is_own = started.is_some();
    drop(started);
    print_rows(&rows, args)?;
    let mut faults = report::faults(&rows);
    if is_own {
        eprintln!("auditing the same files");
        faults.extend(audit::faults(&daemon::built()?, &files, &rows, args)?);
    } else {
        eprintln!("the audit is not compared: its program need not be that of another daemon");
    }
    if faults.is_empty() {
        return Ok(());
    }
    bail!("the scores are not good enough:\n{}", faults.join("\n"))
}

fn print_rows(rows: &[Value], args: &Args) -> Result<()> {
    if args.json {
        println!("{}", serde_json::to_string_pretty(rows)?);
    } else if args.markdown {
        print!("{}", report::markdown(rows));
    } else {
        print!("{}", report::text(rows));
    }
    Ok(())
}

fn score_file(python: &Path, scorer: &Path, file: &Path, url: &str, args: &Args) -> Result<Vec<Value>> {
    let limit = args.limit.to_string();
    let mut run = Run::new(python, [scorer, file])?
        .arg("--url")
        .arg(url)
        .arg("--json")
        .arg("--limit")
        .arg(limit)
        .arg("--fraction");
    for fraction in &args.fraction {
        run = run.arg(fraction.to_string());
    }
    let text = run.stdout()?;
    let rows = text
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("the scorer printed no JSON: {line}")));
    rows.collect()
}
