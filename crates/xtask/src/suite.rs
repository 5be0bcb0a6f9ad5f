//! `cargo xtask test`: every test of the workspace, beside a private PostgreSQL server and with local models.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::postgres::Postgres;
use crate::process::Run;
use crate::setup::{self, ModelKit};
use crate::stage::Stages;

/// The variable through which the store's tests learn of the server; without it they test SQLite alone.
const POSTGRES_URL: &str = "RECAPD_TEST_POSTGRES";

/// The variables through which tests learn of the models' folder and of a Python that can serve them; without
/// them the tests with models say that they are skipped.
const MODELS: &str = "RECAPD_TEST_MODELS";
const PYTHON: &str = "RECAPD_TEST_PYTHON";

/// The thread pools of local models spin while they wait: with other tests beside them one thread is faster.
const ONE_THREAD: [&str; 2] = ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"];

/// What `cargo xtask test` takes.
#[derive(clap::Args)]
pub struct Args {
    /// Passed to `cargo test`: a filter, `-p PACKAGE`, or after a further `--` the test programs' own options
    #[arg(last = true)]
    cargo_args: Vec<String>,
}

/// How many tests ran, over all test programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl Counts {
    /// Adds what a line of a test program's output reports; other lines add nothing.
    fn read(&mut self, line: &str) {
        let Some(parts) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for part in parts.1.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// Returns 0 when no test failed, else 1.
    pub fn exit_code(self) -> ExitCode {
        if self.failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
    }

    /// Prints the summary, a line of its own: `N passed, N failed`.
    pub fn print(self) {
        println!("{} passed, {} failed", self.passed, self.failed);
    }
}

/// Runs `cargo xtask test`. The last line printed is the summary.
///
/// # Errors
///
/// Fails when the build does, or when PostgreSQL, Python or a model is neither there nor installable. Failed tests are an exit
/// code, so that nothing follows the summary.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut stages = Stages::default();
    let bed = Bed::start(&mut stages)?;
    let counts = stages.run("test", || bed.test(&args.cargo_args))?;
    stages.print_times();
    counts.print();
    Ok(counts.exit_code())
}

/// What the tests run beside: a private PostgreSQL server, stopped when this is dropped, and local models.
pub struct Bed {
    postgres: Postgres,
    kit: ModelKit,
}

impl Bed {
    /// Starts the server and looks for the models, a stage each.
    ///
    /// # Errors
    ///
    /// Fails when PostgreSQL, Python or a model is neither there nor installable.
    pub fn start(stages: &mut Stages) -> Result<Self> {
        let postgres = stages.run("postgres", || Postgres::start(&setup::postgres_bin()?))?;
        let kit = stages.run("models", setup::model_kit)?;
        Ok(Self { postgres, kit })
    }

    /// Returns the command `cargo test ARGS`, told what it runs beside.
    ///
    /// # Errors
    ///
    /// Fails when cargo is not found.
    pub fn cargo_test<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Run> {
        let mut run = Run::cargo(["test"])?.env(POSTGRES_URL, self.postgres.url());
        run = run.env(MODELS, &self.kit.folder).env(PYTHON, &self.kit.python);
        for pool in ONE_THREAD {
            run = run.env(pool, "1");
        }
        Ok(args.into_iter().fold(run, Run::arg))
    }

    /// Runs the workspace's tests and returns their counts; failed tests are counted, not an error.
    ///
    /// # Errors
    ///
    /// Fails when the build does.
    pub fn test(&self, cargo_args: &[String]) -> Result<Counts> {
        let chosen =
            cargo_args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "-p" || arg.starts_with("--package"));
        let scope: &[&str] = if chosen { &[] } else { &["--workspace", "--features", "recap-core/testing"] };
        let args = ["--no-fail-fast"].iter().chain(scope).copied().chain(cargo_args.iter().map(String::as_str));
        let mut counts = Counts::default();
        let status = self.cargo_test(args)?.lines(|line| counts.read(line))?;
        if !status.success() && counts.failed == 0 {
            bail!("`cargo test` ended with {status} though no test failed: the build broke or a test program died");
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_over_test_programs() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "the test result: ok. 99 passed; 99 failed",
        ] {
            counts.read(line);
        }
        assert_eq!(counts, Counts { passed: 15, failed: 2 });
    }
}
