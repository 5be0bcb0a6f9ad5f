//! A model that lies on this machine.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::{Part, Plan};
use crate::models::{Kind, ModelsError, name, sha256};

/// What a folder model is made of; whatever else the folder holds stays where it is.
pub(super) const FOLDER_FILES: [&str; 4] = ["config.json", "tokenizer.json", "model.safetensors", "model.onnx"];

/// Reads and hashes a file or folder.
pub(super) fn plan(path: &Path, renamed: Option<&str>) -> Result<Plan, ModelsError> {
    let path = path.canonicalize().map_err(ModelsError::at(path))?;
    if Kind::of(&path).map_err(ModelsError::at(&path))?.is_none() {
        return Err(ModelsError::NoModel(path));
    }
    let own = path.file_stem().filter(|_| path.is_file()).or(path.file_name());
    let name = renamed.map_or_else(|| own.unwrap_or_default().to_string_lossy().into_owned(), str::to_owned);
    name::check(&name)?;
    let files: Vec<(String, PathBuf)> = if path.is_file() {
        vec![(format!("{name}.gguf"), path.clone())]
    } else {
        let files = FOLDER_FILES.iter().map(|file| (format!("{name}/{file}"), path.join(file)));
        files.filter(|(_, path)| path.is_file()).collect()
    };
    let part = |(place, path): (String, PathBuf)| {
        let size = path.metadata().map_err(ModelsError::at(&path))?.len();
        Ok(Part { path: place, size, sha256: Some(sha256(&path)?) })
    };
    let parts = files.into_iter().map(part).collect::<Result<_, ModelsError>>()?;
    Ok(Plan { name, source: format!("path:{}", path.display()), revision: None, licence: None, parts })
}

/// Copies a model, or links to it.
pub(super) fn fetch(
    path: &Path,
    plan: &Plan,
    is_link: bool,
    staging: &Path,
    bar: &ProgressBar,
) -> Result<(), ModelsError> {
    let path = path.canonicalize().map_err(ModelsError::at(path))?;
    if is_link {
        return link(&path, &staging.join(plan.root())).map_err(ModelsError::at(&path));
    }
    for part in &plan.parts {
        let from = match part.path.split_once('/') {
            Some((_, file)) => path.join(file),
            None => path.clone(),
        };
        let to = staging.join(&part.path);
        copy(&from, &to, bar).map_err(ModelsError::at(&from))?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path, bar: &ProgressBar) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut target = File::create(to)?;
    io::copy(&mut bar.wrap_read(File::open(from)?), &mut target)?;
    target.sync_all()
}

#[cfg(unix)]
fn link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no links that recapd makes; leave --link out"))
}
