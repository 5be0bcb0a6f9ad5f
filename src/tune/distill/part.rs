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

struct Part {
    path: PathBuf,
    temporary: PathBuf,
}

impl Part {
    fn open(path: PathBuf) -> std::io::Result<(Self, Writer)> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let temporary = PathBuf::from(name);
        let file = File::create(&temporary)?;
        Ok((Self { path, temporary }, BufWriter::new(file)))
    }

    fn keep(self, file: Writer) -> std::io::Result<PathBuf> {
        file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        Ok(self.path)
    }
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
