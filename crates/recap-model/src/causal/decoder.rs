//! The whole network: tokens in, hidden states and logits out, with the positions read so far in a cache.

use std::sync::Arc;

use candle_core::quantized::{QMatMul, QTensor};
use candle_core::{Device, Module, Tensor};
use candle_nn::ops;

use super::dimensions::Dimensions;
use super::gguf::Gguf;
use super::layer::{Layer, Step};
use super::rope::Rope;
use super::weights::{self, Precision};
use crate::ModelError;

/// The network with its cache.
pub(super) struct Decoder {
    /// `[vocabulary, width]`, as stored: only single rows are read.
    embedding: Arc<QTensor>,
    layers: Vec<Layer>,
    norm: Tensor,
    epsilon: f32,
    head: QMatMul,
    rope: Rope,
    device: Device,
    window: usize,
    read: usize,
}

impl Decoder {
    /// Reads the weights for `window` positions.
    pub(super) fn read(
        file: &mut Gguf,
        dimensions: &Dimensions,
        precision: Precision,
        window: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let shape = [dimensions.vocabulary, dimensions.width];
        let embedding = Arc::new(file.tensor("token_embd.weight", &shape)?);
        let head = if file.has("output.weight") {
            weights::matrix(file, precision, "output.weight", shape)?
        } else {
            QMatMul::from_arc(weights::kept(Arc::clone(&embedding), precision)?)?
        };
        let layers = (0..dimensions.layers).map(|index| Layer::read(file, dimensions, precision, index, window));
        let layers = layers.collect::<Result<_, _>>()?;
        Ok(Self {
            embedding,
            layers,
            norm: weights::vector(file, "output_norm.weight", dimensions.width)?,
            epsilon: dimensions.norm_epsilon,
            head,
            rope: Rope::new(file, dimensions, window, device)?,
            device: device.clone(),
            window,
            read: 0,
        })
    }

    /// Returns how many positions there are.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// Returns how many tokens were read and are still known.
    pub(super) fn len(&self) -> usize {
        self.read
    }

    /// Forgets all tokens from `length` on.
    pub(super) fn truncate(&mut self, length: usize) {
        self.read = self.read.min(length);
        for layer in &mut self.layers {
            layer.truncate(length);
        }
    }

    /// Reads `tokens` behind those that were read before; returns their normed hidden states, `[tokens, width]`.
    ///
    /// # Errors
    /// [`ModelError::TooLong`] if they do not fit into the window, [`ModelError::Compute`] for what candle reports. The cache
    /// then is as before.
    pub(super) fn forward(&mut self, tokens: &[u32]) -> Result<Tensor, ModelError> {
        let (start, end) = (self.read, self.read + tokens.len());
        if end > self.window {
            return Err(ModelError::TooLong { tokens: end, window: self.window });
        }
        match self.states(tokens) {
            Ok(states) => {
                self.read = end;
                Ok(states)
            }
            Err(error) => {
                self.truncate(start);
                Err(error.into())
            }
        }
    }

    fn states(&mut self, tokens: &[u32]) -> candle_core::Result<Tensor> {
        let mask = mask(self.read, tokens.len(), &self.device)?;
        let mut states = self.embedding.embedding(&Tensor::new(tokens, &self.device)?)?;
        let step = Step { rope: &self.rope, start: self.read, mask: mask.as_ref() };
        for layer in &mut self.layers {
            states = layer.forward(&states, &step)?;
        }
        ops::rms_norm(&states, &self.norm, self.epsilon)
    }

    /// Returns the logits of hidden states, `[rows, vocabulary]`.
    pub(super) fn logits(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.head.forward(states)?)
    }

    /// Returns the logits behind the last of the hidden states.
    pub(super) fn last_logits(&self, states: &Tensor) -> Result<Vec<f32>, ModelError> {
        let last = states.narrow(0, states.dim(0)? - 1, 1)?.contiguous()?;
        Ok(self.logits(&last)?.squeeze(0)?.to_vec1()?)
    }
}

/// Returns what `length` rows from position `start` on may look at: themselves and everything before.
fn mask(start: usize, length: usize, device: &Device) -> candle_core::Result<Option<Tensor>> {
    if length == 1 {
        return Ok(None);
    }
    let seen = start + length;
    let cells =
        (0..length).flat_map(|row| (0..seen).map(move |at| if at > start + row { f32::NEG_INFINITY } else { 0.0 }));
    Tensor::from_vec(cells.collect(), (length, seen), device).map(Some)
}
