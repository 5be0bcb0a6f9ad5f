//! Remembers which files were hashed, so that gigabytes are not read again in every run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::catalogue;

/// The record's file in the folder of models.
const RECORD: &str = "verified.json";

/// The files of a folder that were found to be what the catalogue says. A file counts as unchanged while its
/// size and its time of change are those of the hashing.
pub struct Verified {
    folder: PathBuf,
    record: BTreeMap<String, Value>,
}

impl Verified {
    /// Reads the folder's record; an unreadable one is an empty one.
    pub fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join(RECORD)).unwrap_or_default();
        Self { folder: folder.to_owned(), record: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// Tells whether the file is there with the right size and hash, from the record or by hashing it now.
    ///
    /// # Errors
    ///
    /// Fails when the file or the record cannot be read or written.
    pub fn holds(&mut self, file: &catalogue::File) -> Result<bool> {
        let path = self.folder.join(file.path);
        if !path.is_file() {
            return Ok(false);
        }
        let stamp = stamp(&path, file.sha256)?;
        if self.record.get(file.path) == Some(&stamp) {
            return Ok(true);
        }
        let right = is_right(&path, file)?;
        if right {
            self.record.insert(file.path.to_owned(), stamp);
            self.write()?;
        }
        Ok(right)
    }

    /// Replaces the record as a whole, so that another process never reads half of it.
    fn write(&self) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).context("cannot write beside the models")?;
        file.write_all(serde_json::to_string_pretty(&self.record)?.as_bytes())?;
        file.persist(self.folder.join(RECORD)).context("cannot write the record of models")?;
        Ok(())
    }
}

/// Tells whether a file has the size and the hash of the catalogue.
///
/// # Errors
///
/// Fails when it cannot be read.
pub fn is_right(path: &Path, file: &catalogue::File) -> Result<bool> {
    let size = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
    Ok(size == file.size && sha256(path)? == file.sha256)
}

fn stamp(path: &Path, sha256: &str) -> Result<Value> {
    let metadata = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(json!({ "size": metadata.len(), "changed_ns": changed.as_nanos().to_string(), "sha256": sha256 }))
}

/// Returns a file's SHA-256 in lower-case hexadecimal digits.
///
/// # Errors
///
/// Fails when it cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hasher.update(bytes);
    }
    let mut digits = String::new();
    for byte in hasher.finalize() {
        write!(digits, "{byte:02x}")?;
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: catalogue::File = catalogue::File {
        path: "a.bin",
        member: "",
        size: 3,
        sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    };

    #[test]
    fn a_file_is_hashed_once_and_again_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE.path);
        assert!(!Verified::read(folder.path()).holds(&FILE).unwrap());
        std::fs::write(&path, "abc").unwrap();
        assert!(Verified::read(folder.path()).holds(&FILE).unwrap());
        let changed = path.metadata().unwrap().modified().unwrap();
        // With the old time of change the record is believed; with a new one the file is read.
        std::fs::write(&path, "abd").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(changed).unwrap();
        assert!(Verified::read(folder.path()).holds(&FILE).unwrap());
        let later = changed + std::time::Duration::from_secs(1);
        File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert!(!Verified::read(folder.path()).holds(&FILE).unwrap());
    }

    #[test]
    fn a_file_of_another_size_is_not_right() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE.path), "abcd").unwrap();
        assert!(!Verified::read(folder.path()).holds(&FILE).unwrap());
    }
}
