//! The checks that are cargo commands. All but the lean one use the same features of every package, so that
//! dependencies compile once for each kind of build.

use anyhow::Result;

use crate::process::Run;
use crate::suite::Bed;

/// Checks the formatting.
///
/// # Errors
///
/// Fails when a file is not as rustfmt writes it.
pub fn fmt() -> Result<()> {
    Run::cargo(["fmt", "--all", "--check"])?.show()
}

/// Runs clippy over all targets with warnings denied.
///
/// # Errors
///
/// Fails on any warning.
pub fn clippy() -> Result<()> {
    Run::cargo(["clippy", "--workspace", "--all-targets", "--features", "recap-core/testing", "--", "-D", "warnings"])?
        .show()
}

/// Builds the documentation with warnings denied.
///
/// # Errors
///
/// Fails on any warning.
pub fn doc() -> Result<()> {
    Run::cargo(["doc", "--workspace", "--no-deps", "--features", "recap-core/testing"])?
        .env("RUSTDOCFLAGS", "-D warnings")
        .show()
}

/// Lints and tests the daemon without its optional features, as it is built where local models are not wanted.
///
/// # Errors
///
/// Fails on any warning and on a failed test.
pub fn lean(bed: &Bed) -> Result<()> {
    const LEAN: [&str; 3] = ["-p", "recapd", "--no-default-features"];
    Run::cargo(["clippy"].iter().chain(&LEAN).chain(&["--all-targets", "--", "-D", "warnings"]))?.show()?;
    bed.cargo_test(LEAN.iter().chain(&["--lib", "--quiet"]).copied())?.show()
}
