//! A causal chat model: a GGUF file of the llama or qwen2 family in, replies and bits per token out.
//!
//! In the order of the data: the file (`gguf`, `dimensions`), its vocabulary and chat template, the forward pass
//! (`decoder`) with its cache, one reply (`generate`) held to a JSON schema if asked, self-information
//! (`score`), and the handle for async callers (`chat`).

mod gguf;
mod dimensions;
mod weights;
mod vocabulary;
mod template;
mod rope;
mod cache;
mod layer;
mod decoder;
mod schema;
mod sample;
mod model;
mod generate;
mod score;
mod bench;
mod chat;
#[cfg(test)]
mod tests;

pub use bench::{BenchReport, bench};
pub use chat::Chat;
pub use generate::{Finish, Generated, Generation};
pub use model::{ChatModel, LoadOptions};
pub use template::Prompt;
pub use weights::Precision;
