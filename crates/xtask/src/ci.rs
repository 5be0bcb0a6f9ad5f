//! `cargo xtask ci`: what a change must pass, cheapest first.

use std::process::ExitCode;

use anyhow::Result;

use crate::stage::Stages;
use crate::suite::Bed;
use crate::{check, compose, generate, score, structure};

/// Runs `cargo xtask ci`: stops at the first failure. The last line printed is the tests' summary.
///
/// # Errors
///
/// Fails with the name of the stage that did; failed tests are an exit code, so that nothing follows the summary.
pub fn run() -> Result<ExitCode> {
    let mut stages = Stages::default();
    stages.run("fmt", check::fmt)?;
    stages.run("structure", structure::run)?;
    stages.run("compose", compose::check)?;
    stages.run("clippy", check::clippy)?;
    stages.run("doc", check::doc)?;
    stages.run("generate", generate::check)?;
    let bed = Bed::start(&mut stages)?;
    let counts = stages.run("test", || bed.test(&[]))?;
    if counts.failed > 0 {
        println!("stage `test` failed");
    } else {
        stages.run("lean", || check::lean(&bed))?;
        stages.run("score", score::check)?;
    }
    stages.print_times();
    counts.print();
    Ok(counts.exit_code())
}
