//! Compression by a language model, as two pure steps: what the model is asked ([`prompt`]), and whether its reply may
//! stand ([`accept`]). The caller awaits between them.
//!
//! A reply is untrusted (laws 4, 9 and 13): it must have the guideline's sections and nothing else, be smaller than its
//! source, and hold no value that its source lacks. What fails is named in a [`Rejection`].

mod accept;
mod grounds;
mod prompt;
mod reply;
#[cfg(test)]
mod tests;

pub use crate::prompt::Prompt;
pub use accept::{Rejection, Terms, Written, accept};
pub use grounds::Grounds;
pub use prompt::{Input, prompt};

/// A headed section that a reply must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its heading.
    pub name: String,
    /// Most tokens of it; unbounded where absent.
    pub most_tokens: Option<u32>,
}
