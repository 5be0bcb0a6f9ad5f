//! What was pulled: a note beside each model, against which it is checked later.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::{ModelsError, sha256};

/// A pulled file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pinned {
    /// Below the folder of models, parts joined by `/`.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// In lower-case hexadecimal digits.
    pub sha256: String,
}

/// Where a model came from and what its files were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What it is for.
    pub kind: Kind,
    /// A package with its version, a repository of the hub, or a path.
    pub source: String,
    /// The commit, of a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The weights' licence, where the source tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// The files.
    pub files: Vec<Pinned>,
}

/// Returns where the manifest of a model is.
pub(super) fn place(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.manifest.json"))
}

impl Manifest {
    /// Reads a model's manifest; `None` where it has none, because somebody else put it there.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Io`], [`ModelsError::Manifest`].
    pub fn read(dir: &Path, name: &str) -> Result<Option<Self>, ModelsError> {
        let path = place(dir, name);
        match std::fs::read(&path) {
            Ok(text) => {
                serde_json::from_slice(&text).map(Some).map_err(|source| ModelsError::Manifest { path, source })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ModelsError::Io { path, source }),
        }
    }

    /// Writes a model's manifest, all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`ModelsError::Io`], [`ModelsError::Manifest`].
    pub fn write(&self, dir: &Path, name: &str) -> Result<(), ModelsError> {
        let path = place(dir, name);
        let text =
            serde_json::to_vec_pretty(self).map_err(|source| ModelsError::Manifest { path: path.clone(), source })?;
        let draft = dir.join(format!(".{name}.manifest.json"));
        std::fs::write(&draft, text).map_err(ModelsError::at(&draft))?;
        std::fs::rename(&draft, &path).map_err(ModelsError::at(&path))?;
        Ok(())
    }

    /// Reads every file below `dir` and returns what is wrong, a line for each file.
    #[must_use]
    pub fn faults(&self, dir: &Path) -> Vec<String> {
        self.files.iter().filter_map(|file| file.fault(dir)).collect()
    }
}

impl Pinned {
    /// Returns what is wrong with the file below `dir`.
    fn fault(&self, dir: &Path) -> Option<String> {
        let path = dir.join(&self.path);
        let size = match path.metadata() {
            Ok(about) => about.len(),
            Err(error) => return Some(format!("{}: {error}", self.path)),
        };
        if size != self.size {
            return Some(format!("{}: {size} bytes, pulled were {}", self.path, self.size));
        }
        match sha256(&path) {
            Ok(found) if found == self.sha256 => None,
            Ok(found) => Some(format!("{}: sha256 is {found}, pulled was {}", self.path, self.sha256)),
            Err(error) => Some(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_told_apart_from_a_missing_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.gguf"), "abc").unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        let files = vec![Pinned { path: "a.gguf".into(), size: 3, sha256 }];
        let manifest = Manifest { kind: Kind::Chat, source: "x".into(), revision: None, licence: None, files };
        manifest.write(dir.path(), "a").unwrap();
        assert_eq!(Manifest::read(dir.path(), "a").unwrap().unwrap(), manifest);
        assert_eq!(Manifest::read(dir.path(), "b").unwrap(), None);
        assert_eq!(manifest.faults(dir.path()), Vec::<String>::new());
        for (text, said) in [("abd", "sha256 is"), ("abcd", "4 bytes")] {
            std::fs::write(dir.path().join("a.gguf"), text).unwrap();
            let faults = manifest.faults(dir.path());
            assert!(faults.len() == 1 && faults[0].contains(said), "{faults:?}");
        }
        std::fs::remove_file(dir.path().join("a.gguf")).unwrap();
        assert_eq!(manifest.faults(dir.path()).len(), 1);
        std::fs::write(place(dir.path(), "a"), "{").unwrap();
        assert!(matches!(Manifest::read(dir.path(), "a"), Err(ModelsError::Manifest { .. })));
    }
}
