//! The checks that are one cargo command each. All use every feature of every package, so that
//! dependencies compile once for each kind of build.

use anyhow::Result;

use crate::process::Run;

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
    Run::cargo(["clippy", "--workspace", "--all-targets", "--features", "recap-core/testing", "--", "-D", "warnings"])?.show()
}

/// Builds the documentation with warnings denied.
///
/// # Errors
///
/// Fails on any warning.
pub fn doc() -> Result<()> {
    Run::cargo(["doc", "--workspace", "--no-deps", "--features", "recap-core/testing"])?.env("RUSTDOCFLAGS", "-D warnings").show()
}
