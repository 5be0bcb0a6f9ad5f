//! Where the workspace and its build folder are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::Run;

/// Returns the workspace's root folder.
///
/// # Errors
///
/// Fails when the program was not started by cargo, which names the package's folder.
pub fn root() -> Result<PathBuf> {
    let package =
        std::env::var_os("CARGO_MANIFEST_DIR").context("start it as `cargo xtask`: CARGO_MANIFEST_DIR is not set")?;
    let Some(root) = Path::new(&package).ancestors().nth(2) else {
        bail!("the package's folder {} has no workspace above it", package.display());
    };
    Ok(root.to_path_buf())
}

/// Returns the folder that cargo builds into, whatever configuration or environment set it.
///
/// # Errors
///
/// Fails when `cargo metadata` does.
pub fn target_dir() -> Result<PathBuf> {
    let text = Run::cargo(["metadata", "--no-deps", "--format-version", "1"])?.stdout()?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?;
    Ok(PathBuf::from(target))
}

/// Returns the files that git tracks, relative to the root and in git's order.
///
/// # Errors
///
/// Fails when git is missing or the root is not a work tree.
pub fn tracked_files() -> Result<Vec<PathBuf>> {
    let text = Run::new("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?.stdout()?;
    let root = root()?;
    let paths = text.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok(paths.filter(|path| root.join(path).is_file()).collect())
}
