//! Why a model could not be loaded, or did not answer.

use std::path::{Path, PathBuf};

/// Why a model could not be loaded, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file of the model's folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file is there and is not what its name promises.
    #[error("{path} cannot be used: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system gave no thread for the model.
    #[error("cannot start a model's thread: {0}")]
    Thread(std::io::Error),
    /// A model of a kind that is not supported.
    #[error("{path} is of a kind that is not supported: {architecture}")]
    Architecture {
        /// The file.
        path: PathBuf,
        /// What the file says it is.
        architecture: String,
    },
    /// A text does not fit into the model's window.
    #[error("{tokens} tokens do not fit into a window of {window}")]
    TooLong {
        /// How many tokens there are.
        tokens: usize,
        /// How many there may be.
        window: usize,
    },
    /// A reply cannot be held to this JSON schema.
    #[error("the JSON schema cannot be kept to: {why}")]
    Schema {
        /// What is wrong with it.
        why: String,
    },
    /// The tokenizer refused a text.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
    /// A computation failed: shapes, memory, the device.
    #[error("the model's computation failed: {0}")]
    Compute(#[from] candle_core::Error),
    /// The model's queue is full. Try later, or do without the model.
    #[error("the model is busy: {waiting} requests are waiting")]
    Busy {
        /// How many requests the queue holds.
        waiting: usize,
    },
    /// The model could not be loaded or broke down; no later request will be answered.
    #[error("the model has failed: {why}")]
    Failed {
        /// The first error's message.
        why: String,
    },
    /// The model's thread was told to end before it answered.
    #[error("the model was stopped")]
    Stopped,
    /// Whoever asked said that the answer is no longer needed.
    #[error("the work was cancelled")]
    Cancelled,
}

impl ModelError {
    /// Returns the error of a file that cannot be read.
    #[must_use]
    pub fn read(path: &Path, source: std::io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }

    /// Returns the error of a file whose content is wrong.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "errors and texts are handed over as they come")]
    pub fn file(path: &Path, why: impl ToString) -> Self {
        Self::File { path: path.to_owned(), why: why.to_string() }
    }
}
