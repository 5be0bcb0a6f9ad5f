//! Installs what the tests need beyond Rust and a C compiler: PostgreSQL's server programs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::{Run, on_path};

/// Where Debian's packages put the server programs, one folder a version.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";

/// What the private server needs of PostgreSQL.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

/// Runs `cargo xtask setup`.
///
/// # Errors
///
/// Fails when something is missing and cannot be installed here; the error says what to install.
pub fn run() -> Result<()> {
    let bin = postgres_bin()?;
    println!("PostgreSQL's server programs: {}", bin.display());
    Ok(())
}

/// Returns the folder of PostgreSQL's server programs, installing Debian's package where there is none.
///
/// # Errors
///
/// As [`run`].
pub fn postgres_bin() -> Result<PathBuf> {
    if let Some(bin) = find_postgres() {
        return Ok(bin);
    }
    install()?;
    find_postgres().with_context(|| {
        format!("the package postgresql was installed, yet no server is on PATH or under {DEBIAN_VERSIONS}")
    })
}

/// Looks on `PATH` first, then takes the newest of Debian's versions.
fn find_postgres() -> Option<PathBuf> {
    let from_path = PROGRAMS.iter().all(|program| on_path(program).is_some()).then(|| on_path("postgres")).flatten();
    // A link on PATH leads to the folder that holds all the programs.
    let bin = from_path.and_then(|file| file.canonicalize().ok()).and_then(|file| file.parent().map(Path::to_path_buf));
    bin.filter(|bin| has_programs(bin)).or_else(|| newest_version(Path::new(DEBIAN_VERSIONS)))
}

fn newest_version(versions: &Path) -> Option<PathBuf> {
    let dirs = std::fs::read_dir(versions).ok()?.filter_map(Result::ok);
    let numbered =
        dirs.filter_map(|dir| Some((dir.file_name().to_str()?.parse::<u32>().ok()?, dir.path().join("bin"))));
    numbered.filter(|(_, bin)| has_programs(bin)).max().map(|(_, bin)| bin)
}

fn has_programs(bin: &Path) -> bool {
    PROGRAMS.iter().all(|program| bin.join(program).is_file())
}

fn install() -> Result<()> {
    const ADVICE: &str = "install PostgreSQL's server (Debian and Ubuntu: `apt-get install postgresql`; elsewhere any package \
                          that brings `initdb` and `postgres`) and see that they are on PATH";
    if on_path("apt-get").is_none() {
        bail!("PostgreSQL's server programs are missing and this machine has no apt-get: {ADVICE}");
    }
    if Run::new("id", ["-u"])?.stdout()?.trim() != "0" {
        bail!("PostgreSQL's server programs are missing and only root can install them: {ADVICE}");
    }
    println!("PostgreSQL's server programs are missing: installing Debian's package postgresql");
    Run::new("apt-get", ["update"])?.show()?;
    // The package would start a cluster of its own; the tests start a private one instead.
    let install = Run::new("apt-get", ["install", "-y", "--no-install-recommends", "postgresql"])?;
    install.env("DEBIAN_FRONTEND", "noninteractive").show()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(root: &Path, number: &str, programs: &[&str]) {
        let bin = root.join(number).join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        for program in programs {
            std::fs::write(bin.join(program), "").unwrap();
        }
    }

    #[test]
    fn the_newest_whole_version_is_taken() {
        let root = tempfile::tempdir().unwrap();
        version(root.path(), "9", &PROGRAMS);
        version(root.path(), "15", &PROGRAMS);
        version(root.path(), "17", &["postgres"]);
        version(root.path(), "common", &PROGRAMS);
        assert_eq!(newest_version(root.path()), Some(root.path().join("15/bin")));
    }

    #[test]
    fn no_version_is_none() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(newest_version(root.path()), None);
        assert_eq!(newest_version(&root.path().join("missing")), None);
    }
}
