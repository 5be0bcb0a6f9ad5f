//! PostgreSQL's server programs, for a private server beside the tests.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::apt;
use crate::process::on_path;

/// Where Debian's packages put the server programs, one folder a version.
const DEBIAN_VERSIONS: &str = "/usr/lib/postgresql";

/// What the private server needs of PostgreSQL.
const PROGRAMS: [&str; 2] = ["initdb", "postgres"];

const ADVICE: &str = "install it (Debian and Ubuntu: `apt-get install postgresql`; elsewhere any package that brings \
                      `initdb` and `postgres`) and see that both are on PATH";

/// Returns the folder of PostgreSQL's server programs, installing Debian's package where there is none.
///
/// # Errors
///
/// Fails when they are missing and cannot be installed here; the error says what to install.
pub fn postgres_bin() -> Result<PathBuf> {
    if let Some(bin) = find_postgres() {
        return Ok(bin);
    }
    // The package would start a cluster of its own; the tests start a private one instead.
    apt::install("postgresql", "PostgreSQL's server", ADVICE)?;
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
