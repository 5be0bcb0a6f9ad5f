//! Token counting: exact for OpenAI-family encodings, a named approximation or an operator's
//! `tokenizer.json` for other models. Imports nothing of this crate.

mod counter;
mod encodings;
mod framing;
mod images;
mod models;
#[cfg(test)]
mod tests;
mod tokenizer_json;

pub use counter::{Counter, CounterError, TokenCounter};
pub use framing::{CALL_TOKENS, MESSAGE_TOKENS, PART_TOKENS, REPLY_TOKENS, TOOL_TOKENS, TOOLS_TOKENS, count_tools};
pub use images::{Detail, anthropic_image_tokens, decode_base64, image_size, openai_image_tokens};
pub use models::for_model;
pub use tokenizer_json::from_tokenizer_json;
