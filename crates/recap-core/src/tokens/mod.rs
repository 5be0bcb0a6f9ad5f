//! Token counting: exact for OpenAI-family encodings, a named approximation or an operator's
//! `tokenizer.json` for other models. Imports nothing of this crate.

mod counter;

pub use counter::{Counter, CounterError, TokenCounter};
