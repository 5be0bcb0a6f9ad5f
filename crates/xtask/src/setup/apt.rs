//! Debian's packages, where root may install them.

use anyhow::{Result, bail};

use crate::process::{Run, on_path};

/// Installs a package. `what` is missing and `advice` says how a person gets it.
///
/// # Errors
///
/// Fails when there is no apt-get, when this user may not install, or when the installation fails.
pub fn install(package: &str, what: &str, advice: &str) -> Result<()> {
    if on_path("apt-get").is_none() {
        bail!("{what} is missing and this machine has no apt-get: {advice}");
    }
    if Run::new("id", ["-u"])?.stdout()?.trim() != "0" {
        bail!("{what} is missing and only root can install it: {advice}");
    }
    println!("{what} is missing: installing Debian's package {package}");
    Run::new("apt-get", ["update"])?.show()?;
    let install = Run::new("apt-get", ["install", "-y", "--no-install-recommends", package])?;
    install.env("DEBIAN_FRONTEND", "noninteractive").show()
}
