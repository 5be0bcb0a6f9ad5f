//! Guidelines that cannot be used.

use std::fmt;
use std::path::{Path, PathBuf};

use recap_core::compress::RulesError;

/// A guideline that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GuidelineFault {
    /// A file or folder cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than a guideline may be.
    #[error("{path} has more than {most} bytes")]
    Large {
        /// The file.
        path: PathBuf,
        /// Most bytes.
        most: u64,
    },
    /// A file is not UTF-8.
    #[error("{path}: line {line}, column {column}: not UTF-8")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
    },
    /// A folder's name cannot be that of a set.
    #[error("{path}: the name of a set has 1 to 64 of `a-z 0-9 _ -`")]
    SetName {
        /// The folder.
        path: PathBuf,
    },
    /// A file's name is that of no kind.
    #[error("{path}: a set holds `observation.md`, `history.md` and other kinds' files, no other `.md`")]
    KindName {
        /// The file.
        path: PathBuf,
    },
    /// The text is no guideline.
    #[error("{path}: {source}")]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        source: RulesError,
    },
}

/// Every guideline that cannot be used.
#[derive(Debug)]
pub struct GuidelineFaults(pub Vec<GuidelineFault>);

impl fmt::Display for GuidelineFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|fault| format!("guidelines.dir: {fault}")).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for GuidelineFaults {}

impl GuidelineFault {
    /// Returns the file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable { path, .. }
            | Self::Large { path, .. }
            | Self::NotUtf8 { path, .. }
            | Self::SetName { path }
            | Self::KindName { path }
            | Self::Rules { path, .. } => path,
        }
    }
}
