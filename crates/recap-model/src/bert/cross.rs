//! How well a text answers a query, by a model that reads both together.

use std::path::Path;

use candle_core::{IndexOp, Tensor};
use candle_nn::{Linear, Module, VarBuilder, linear};
use candle_transformers::models::bert::Config;
use tokenizers::Encoding;

use super::encoder::{Encoder, Wanted};
use super::folder::Folder;
use crate::ModelError;

/// A BERT that was trained to rank texts by a query (`BertForSequenceClassification` with one label; Nogueira and Cho,
/// "Passage Re-ranking with BERT", 2019).
pub struct CrossEncoder {
    encoder: Encoder,
    pooler: Linear,
    classifier: Linear,
    hash: String,
}

/// Special tokens of a pair: one before, one between, one after.
const SPECIAL_TOKENS: usize = 3;

impl CrossEncoder {
    /// Loads a folder with `config.json`, `tokenizer.json` and `model.safetensors`, or with `tokenizer.json` and
    /// `model.onnx` (f32, or 8-bit weights as onnxruntime quantises them).
    ///
    /// # Errors
    ///
    /// [`ModelError::Read`] and [`ModelError::File`] for files that are missing, broken or of another kind of model;
    /// [`ModelError::Compute`] if the device cannot be used.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let device = crate::device()?;
        let folder = Folder::read(folder, &device)?;
        let encoder = Encoder::new(&folder, &device)?;
        let (pooler, classifier) =
            head(&folder.weights, &folder.config).map_err(|error| ModelError::file(&folder.path, error))?;
        Ok(Self { encoder, pooler, classifier, hash: folder.hash })
    }

    /// Returns the BLAKE3 hash, in hex, of everything that decides about the scores: weights, tokenizer, configuration.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns a logit for each text, in the texts' order: the higher, the better it answers the query. Models for
    /// MS MARCO give about −11 to 11; see [`relevance`].
    ///
    /// The query may take half of the model's positions, a text what is then left; what is longer is cut at its end.
    /// Of each only the first [`MAX_TEXT_CHARS`](super::MAX_TEXT_CHARS) characters are looked at.
    ///
    /// # Errors
    ///
    /// [`ModelError::Cancelled`] as soon as `wanted`, asked before each batch, returns `false`;
    /// [`ModelError::Tokenizer`], [`ModelError::Compute`].
    pub fn score(&self, query: &str, texts: &[&str], wanted: Wanted<'_>) -> Result<Vec<f32>, ModelError> {
        let logits = self.score_within(query, texts, usize::MAX, wanted)?;
        Ok(logits.into_iter().flatten().collect())
    }

    /// As [`CrossEncoder::score`], but stops before the text with which the inputs would count more than `max_tokens`;
    /// it and all after it get `None`. An input is the query with one text, so the query counts once for each text.
    ///
    /// # Errors
    ///
    /// As [`CrossEncoder::score`].
    pub fn score_within(
        &self,
        query: &str,
        texts: &[&str],
        max_tokens: usize,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Option<f32>>, ModelError> {
        let inputs = self.inputs(query, texts, max_tokens)?;
        let logits = self.encoder.run(&inputs, wanted, |hidden, _| self.logits(hidden))?;
        let mut scores: Vec<_> = logits.into_iter().map(Some).collect();
        scores.resize(texts.len(), None);
        Ok(scores)
    }

    fn inputs(&self, query: &str, texts: &[&str], max_tokens: usize) -> Result<Vec<Encoding>, ModelError> {
        let room = self.encoder.max_tokens().saturating_sub(SPECIAL_TOKENS);
        let query = self.encoder.tokens(query, room / 2)?;
        let mut inputs = Vec::new();
        let mut left = max_tokens;
        for text in texts {
            let text = self.encoder.tokens(text, room - query.len())?;
            let input = self.encoder.input(query.clone(), Some(text))?;
            let Some(rest) = left.checked_sub(input.len()) else { break };
            left = rest;
            inputs.push(input);
        }
        Ok(inputs)
    }

    /// Returns the logits of hidden states `[texts, tokens, hidden]`, from each text's first token.
    fn logits(&self, hidden: &Tensor) -> candle_core::Result<Vec<f32>> {
        let first = hidden.i((.., 0))?.contiguous()?;
        let pooled = self.pooler.forward(&first)?.tanh()?;
        self.classifier.forward(&pooled)?.squeeze(1)?.to_vec1()
    }
}

fn head(weights: &VarBuilder<'_>, config: &Config) -> candle_core::Result<(Linear, Linear)> {
    let size = config.hidden_size;
    Ok((linear(size, size, weights.pp("pooler.dense"))?, linear(size, 1, weights.pp("classifier"))?))
}

/// Returns a logit as a probability of relevance, 0 to 1 (the logistic function, with which such models are trained).
#[must_use]
pub fn relevance(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}
