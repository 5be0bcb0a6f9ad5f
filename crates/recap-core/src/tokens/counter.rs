//! The counter that a trajectory's model asks for.

use std::sync::Arc;

/// Counts the tokens of texts under one encoding.
pub trait TokenCounter: Send + Sync {
    /// Returns the encoding's name as shown in receipts, for example `o200k_base`.
    fn name(&self) -> &str;
    /// Tells whether counts are the model's own.
    fn exact(&self) -> bool;
    /// Returns the largest relative error stated for an approximation, `None` if exact.
    fn stated_error(&self) -> Option<f64>;
    /// Returns the number of tokens of a text, special tokens counted as plain text.
    fn count(&self, text: &str) -> u32;
}

/// A shared counter; cheap to clone.
pub type Counter = Arc<dyn TokenCounter>;

/// Why no counter could be made.
#[derive(Debug, thiserror::Error)]
pub enum CounterError {
    /// The operator's `tokenizer.json` cannot be read.
    #[error("tokenizer.json cannot be loaded: {0}")]
    Tokenizer(String),
}
