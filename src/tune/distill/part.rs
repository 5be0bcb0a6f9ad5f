//! Files that get their names when they are whole.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

/// What is written to.
pub type Writer = BufWriter<File>;

/// The file of an export, or its two sides.
pub struct Parts {
    train: Part,
    held_out: Option<Part>,
}

/// A file under its temporary name. Unless it is kept, it goes when this does.
struct Part {
    path: PathBuf,
    temporary: PathBuf,
    is_kept: bool,
}

/// The names that an export's files have until they are whole.
fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

impl Part {
    fn open(path: PathBuf) -> std::io::Result<(Self, Writer)> {
        let temporary = temporary(&path);
        let file = File::create(&temporary)?;
        Ok((Self { path, temporary, is_kept: false }, BufWriter::new(file)))
    }

    fn keep(mut self, file: Writer) -> std::io::Result<PathBuf> {
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        self.is_kept = true;
        Ok(std::mem::take(&mut self.path))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let is_there = |error: &std::io::Error| error.kind() != std::io::ErrorKind::NotFound;
        if self.is_kept {
            return;
        }
        if let Err(error) = std::fs::remove_file(&self.temporary)
            && is_there(&error)
        {
            tracing::warn!(path = %self.temporary.display(), %error, "what is left of an export cannot be removed");
        }
    }
}

/// Removes what a process that was killed left of an export.
///
/// # Errors
///
/// Fails where a file is there and cannot be removed.
pub fn clear(out: &Path) -> std::io::Result<()> {
    for path in [out.to_owned(), out.with_extension("train.jsonl"), out.with_extension("held-out.jsonl")] {
        match std::fs::remove_file(temporary(&path)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Opens the file of an export for writing.
///
/// # Errors
///
/// Fails where it cannot be made.
pub fn one(out: &Path) -> std::io::Result<(Parts, Writer)> {
    let (train, writer) = Part::open(out.to_owned())?;
    Ok((Parts { train, held_out: None }, writer))
}

/// Opens a file for each side, with names that end in `.train.jsonl` and `.held-out.jsonl`.
///
/// # Errors
///
/// Fails where one cannot be made.
pub fn sides(out: &Path) -> std::io::Result<(Parts, [Writer; 2])> {
    let (train, train_writer) = Part::open(out.with_extension("train.jsonl"))?;
    let (held_out, held_out_writer) = Part::open(out.with_extension("held-out.jsonl"))?;
    Ok((Parts { train, held_out: Some(held_out) }, [train_writer, held_out_writer]))
}

impl Parts {
    /// Gives the files their names once they are on disk, and returns these.
    ///
    /// # Errors
    ///
    /// Fails where a file cannot be written.
    pub fn keep(self, train: Writer, held_out: Option<Writer>) -> std::io::Result<Vec<PathBuf>> {
        let mut paths = vec![self.train.keep(train)?];
        if let Some((part, file)) = self.held_out.zip(held_out) {
            paths.push(part.keep(file)?);
        }
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::Write as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_not_kept_goes() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("x.jsonl");
        let (parts, [mut train, held_out]) = sides(&out).unwrap();
        train.write_all(b"text").unwrap();
        assert_eq!(names(folder.path()), ["x.held-out.jsonl.part", "x.train.jsonl.part"]);
        drop((train, held_out, parts));
        assert!(names(folder.path()).is_empty());
        let (parts, train) = one(&out).unwrap();
        parts.keep(train, None).unwrap();
        assert_eq!(names(folder.path()), ["x.jsonl"]);
        std::fs::write(folder.path().join("x.jsonl.part"), b"text").unwrap();
        clear(&out).unwrap();
        assert_eq!(names(folder.path()), ["x.jsonl"]);
    }
}
