//! Texts as points whose nearness is likeness of meaning.

use std::path::Path;

use candle_core::{D, DType, Tensor};

use super::encoder::{Encoder, Wanted};
use super::folder::Folder;
use crate::ModelError;

/// A BERT that was trained to embed sentences (Reimers and Gurevych, "Sentence-BERT", 2019): mean of the tokens' hidden
/// states, normalised to length 1.
pub struct SentenceEncoder {
    encoder: Encoder,
    dimensions: usize,
    hash: String,
}

/// Special tokens of a single text: one before, one after.
const SPECIAL_TOKENS: usize = 2;

impl SentenceEncoder {
    /// Loads a folder, as [`CrossEncoder::load`](super::CrossEncoder::load) does.
    ///
    /// # Errors
    ///
    /// As [`CrossEncoder::load`](super::CrossEncoder::load).
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let device = crate::device()?;
        let folder = Folder::read(folder, &device)?;
        let encoder = Encoder::new(&folder, &device)?;
        Ok(Self { encoder, dimensions: folder.config.hidden_size, hash: folder.hash })
    }

    /// Returns the BLAKE3 hash, in hex, of everything that decides about the embeddings.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns the length of the embeddings.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Returns an embedding for each text, in the texts' order, each of length 1: the dot product of two is their
    /// cosine.
    ///
    /// A text that has more tokens than the model has positions is cut at its end; only the first
    /// [`MAX_TEXT_CHARS`](super::MAX_TEXT_CHARS) characters are looked at.
    ///
    /// # Errors
    ///
    /// [`ModelError::Cancelled`] as soon as `wanted`, asked before each batch, returns `false`;
    /// [`ModelError::Tokenizer`], [`ModelError::Compute`].
    pub fn embed(&self, texts: &[&str], wanted: Wanted<'_>) -> Result<Vec<Vec<f32>>, ModelError> {
        let room = self.encoder.max_tokens().saturating_sub(SPECIAL_TOKENS);
        let input = |text: &&str| self.encoder.input(self.encoder.tokens(text, room)?, None);
        let inputs = texts.iter().map(input).collect::<Result<Vec<_>, _>>()?;
        self.encoder.run(&inputs, wanted, |hidden, mask| normalised(&mean(hidden, mask)?)?.to_vec2())
    }
}

/// Returns the mean `[texts, hidden]` over the tokens of `[texts, tokens, hidden]` where the mask is 1.
fn mean(hidden: &Tensor, mask: &Tensor) -> candle_core::Result<Tensor> {
    let mask = mask.to_dtype(DType::F32)?.unsqueeze(D::Minus1)?;
    hidden.broadcast_mul(&mask)?.sum(1)?.broadcast_div(&mask.sum(1)?)
}

/// Returns the rows divided by their lengths.
fn normalised(rows: &Tensor) -> candle_core::Result<Tensor> {
    let length = rows.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    rows.broadcast_div(&(length + f64::from(f32::MIN_POSITIVE))?)
}
