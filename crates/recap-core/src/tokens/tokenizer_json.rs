//! A counter made of a `tokenizer.json` that the operator supplies.

use std::sync::Arc;

use tokenizers::Tokenizer;

use super::counter::{Counter, CounterError, TokenCounter};

/// Returns an exact counter made of the bytes of a Hugging Face `tokenizer.json`.
///
/// `name` is what receipts show. Special tokens in a text count as plain text; truncation and padding that
/// the file asks for are switched off.
///
/// # Errors
///
/// [`CounterError::Tokenizer`] if the bytes are no such file or it cannot encode a short text.
pub fn from_tokenizer_json(name: &str, bytes: &[u8]) -> Result<Counter, CounterError> {
    let refuse = |error: Box<dyn std::error::Error + Send + Sync>| CounterError::Tokenizer(error.to_string());
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(refuse)?;
    tokenizer.with_truncation(None).map_err(refuse)?;
    tokenizer.with_padding(None);
    tokenizer.set_encode_special_tokens(true);
    tokenizer.encode_fast("The quick brown fox, 42.", false).map_err(refuse)?;
    Ok(Arc::new(Supplied { name: name.to_owned(), tokenizer }))
}

struct Supplied {
    name: String,
    tokenizer: Tokenizer,
}

impl TokenCounter for Supplied {
    fn name(&self) -> &str {
        &self.name
    }

    fn exact(&self) -> bool {
        true
    }

    fn stated_error(&self) -> Option<f64> {
        None
    }

    /// A text that the tokenizer refuses (a vocabulary without its characters and without an unknown token)
    /// counts as its bytes, which no encoding exceeds.
    fn count(&self, text: &str) -> u32 {
        let tokens = self.tokenizer.encode_fast(text, false).map_or(text.len(), |encoding| encoding.len());
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }
}
