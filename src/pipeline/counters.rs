//! The token counter of each model: the operator's `tokenizer.json` where there is one, else the core's choice.

use std::collections::HashMap;
use std::path::PathBuf;

use recap_core::tokens::{self, Counter, CounterError};

use crate::config::Tokens;

/// Why the counters cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The file cannot be read.
    #[error("tokens.tokenizers: {path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no tokenizer.
    #[error("tokens.tokenizers: {path}: {source}")]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CounterError,
    },
}

/// The operator's tokenizers by model.
#[derive(Default)]
pub struct Counters {
    by_model: HashMap<String, Counter>,
}

impl Counters {
    /// Loads the configured tokenizers.
    ///
    /// # Errors
    ///
    /// [`TokenizerError`], naming the file.
    pub fn load(config: &Tokens) -> Result<Self, TokenizerError> {
        let by_model = config
            .tokenizers
            .iter()
            .map(|(model, path)| {
                let bytes =
                    std::fs::read(path).map_err(|source| TokenizerError::Unreadable { path: path.clone(), source })?;
                let counter = tokens::from_tokenizer_json(model, &bytes)
                    .map_err(|source| TokenizerError::Wrong { path: path.clone(), source })?;
                Ok((model.clone(), counter))
            })
            .collect::<Result<_, TokenizerError>>()?;
        Ok(Self { by_model })
    }

    /// Returns the counter of a model.
    #[must_use]
    pub fn of(&self, model: Option<&str>) -> Counter {
        model.and_then(|model| self.by_model.get(model)).cloned().unwrap_or_else(|| tokens::for_model(model))
    }
}
