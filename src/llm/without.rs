//! What stands in the place of local models in a build without them.

use super::{LlmError, State};

/// What scores the lines of texts: never there in this build.
#[derive(Clone, Debug)]
pub enum Scorer {}

impl Scorer {
    /// Returns the model's name.
    #[must_use]
    pub fn label(&self) -> String {
        match *self {}
    }

    /// Tells whether it can be asked.
    #[must_use]
    pub fn state(&self) -> State {
        match *self {}
    }

    /// Returns scores.
    ///
    /// # Errors
    ///
    /// Never comes to it.
    #[expect(clippy::unused_async, reason = "as with local models")]
    pub async fn score(&self, _: String, _: Vec<String>, _: usize) -> Result<Vec<Option<f32>>, LlmError> {
        match *self {}
    }
}

/// What makes texts points whose nearness is likeness of meaning: never there in this build.
#[derive(Clone, Debug)]
pub enum Embedder {}

impl Embedder {
    /// Returns the model's name.
    #[must_use]
    pub fn label(&self) -> String {
        match *self {}
    }

    /// Tells whether it can be asked.
    #[must_use]
    pub fn state(&self) -> State {
        match *self {}
    }

    /// Returns points.
    ///
    /// # Errors
    ///
    /// Never comes to it.
    #[expect(clippy::unused_async, reason = "as with local models")]
    pub async fn embed(&self, _: Vec<String>) -> Result<Vec<Vec<f32>>, LlmError> {
        match *self {}
    }
}
