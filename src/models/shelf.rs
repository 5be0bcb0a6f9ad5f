//! The folder of models.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Kind, Manifest, ModelsError};

/// The folder of models.
#[derive(Debug, Clone)]
pub struct Shelf {
    dir: PathBuf,
}

/// A model that is there.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// What the configuration calls it: its file's name without `.gguf`, its folder's name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The file or folder.
    pub path: PathBuf,
    /// Bytes of its files.
    pub size: u64,
    /// Where it came from, if it was pulled.
    pub manifest: Option<Manifest>,
}

impl Shelf {
    /// Names a folder, which need not be there.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Returns the folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the models of the folder by name; what is no model is passed over.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Io`], [`ModelsError::Manifest`].
    pub fn entries(&self) -> Result<Vec<Entry>, ModelsError> {
        if !self.dir.exists() {
            return Ok(Vec::new());
        }
        let mut entries = Vec::new();
        for item in std::fs::read_dir(&self.dir).map_err(ModelsError::at(&self.dir))? {
            let path = item.map_err(ModelsError::at(&self.dir))?.path();
            let is_hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            if !is_hidden {
                entries.extend(self.entry(&path)?);
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Finds a model as the configuration does: a name in the folder, or a path.
    ///
    /// # Errors
    ///
    /// As [`Shelf::entries`].
    pub fn find(&self, name: &str) -> Result<Option<Entry>, ModelsError> {
        let candidates = [self.dir.join(name), self.dir.join(format!("{name}.gguf")), PathBuf::from(name)];
        let found = candidates.iter().find(|path| path.exists());
        found.map_or(Ok(None), |path| self.entry(path))
    }

    fn entry(&self, path: &Path) -> Result<Option<Entry>, ModelsError> {
        let Some(kind) = Kind::of(path).map_err(ModelsError::at(path))? else { return Ok(None) };
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = file.strip_suffix(".gguf").unwrap_or(&file).to_owned();
        let is_here = path.parent() == Some(self.dir());
        let manifest = if is_here { Manifest::read(&self.dir, &name)? } else { None };
        let size = size_of(path).map_err(ModelsError::at(path))?;
        Ok(Some(Entry { name, kind, path: path.to_owned(), size, manifest }))
    }

    /// Fails where the disk has not so many bytes free. Makes the folder. Where the system does not tell, nothing fails.
    pub(super) fn needs(&self, needed_bytes: u64) -> Result<(), ModelsError> {
        std::fs::create_dir_all(&self.dir).map_err(ModelsError::at(&self.dir))?;
        match free(&self.dir) {
            Some(free_bytes) if free_bytes < needed_bytes => {
                Err(ModelsError::NoSpace { dir: self.dir.clone(), free_bytes, needed_bytes })
            }
            _ => Ok(()),
        }
    }

    /// Makes a folder beside the models that is gone when the result is dropped.
    pub(super) fn workshop(&self) -> Result<tempfile::TempDir, ModelsError> {
        tempfile::Builder::new().prefix(".pulling-").tempdir_in(&self.dir).map_err(ModelsError::at(&self.dir))
    }

    /// Puts a whole model in its place at once. One that stood there goes to `workshop`, and comes back if this fails.
    pub(super) fn install(&self, staged: &Path, root: &str, workshop: &Path) -> Result<PathBuf, ModelsError> {
        let place = self.dir.join(root);
        let old = workshop.join("replaced");
        let was_there = place.symlink_metadata().is_ok();
        if was_there {
            std::fs::rename(&place, &old).map_err(ModelsError::at(&place))?;
        }
        if let Err(source) = std::fs::rename(staged, &place) {
            if was_there {
                std::fs::rename(&old, &place).map_err(ModelsError::at(&place))?;
            }
            return Err(ModelsError::Io { path: place, source });
        }
        Ok(place)
    }
}

#[cfg(unix)]
fn free(dir: &Path) -> Option<u64> {
    rustix::fs::statvfs(dir).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

fn size_of(path: &Path) -> std::io::Result<u64> {
    if path.is_file() {
        return Ok(path.metadata()?.len());
    }
    let mut sum = 0;
    for item in std::fs::read_dir(path)? {
        let about = item?.path().metadata()?;
        sum += if about.is_file() { about.len() } else { 0 };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_as_the_configuration_finds_them() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().join("models"));
        assert!(shelf.entries().unwrap().is_empty());
        std::fs::create_dir_all(shelf.dir().join(".pulling-1")).unwrap();
        std::fs::write(shelf.dir().join("b.gguf"), "GGUF").unwrap();
        std::fs::write(shelf.dir().join("notes.txt"), "none").unwrap();
        std::fs::write(dir.path().join("c"), "GGUF and more").unwrap();
        let names: Vec<_> = shelf.entries().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["b"]);
        assert_eq!(shelf.find("b").unwrap().unwrap().size, 4);
        assert_eq!(shelf.find("b.gguf").unwrap().unwrap().name, "b");
        assert_eq!(shelf.find(&dir.path().join("c").to_string_lossy()).unwrap().unwrap().size, 13);
        assert!(shelf.find("notes.txt").unwrap().is_none() && shelf.find("d").unwrap().is_none());
    }

    #[test]
    fn what_needs_more_than_the_disk_has_is_refused_before_it_is_fetched() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path().to_owned());
        shelf.needs(1).unwrap();
        assert!(matches!(shelf.needs(u64::MAX), Err(ModelsError::NoSpace { .. })));
    }
}
