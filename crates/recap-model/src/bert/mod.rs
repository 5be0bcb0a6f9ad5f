//! Encoders of the BERT family: one ranks texts by a query, one embeds them. Synchronous: see [`crate::handle`] for async
//! callers.

mod batch;
mod cross;
mod encoder;
mod folder;
mod onnx;
mod sentence;

pub use batch::{MAX_BATCH_TEXTS, MAX_BATCH_TOKENS};
pub use cross::{CrossEncoder, relevance};
pub use encoder::{MAX_TEXT_CHARS, Wanted};
pub use sentence::SentenceEncoder;
