//! Which token comes next.

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};

use super::schema::Constraint;
use crate::ModelError;

/// Chooses tokens: the likeliest, or drawn from the distribution at a temperature.
pub(super) struct Sampler {
    processor: LogitsProcessor,
}

impl Sampler {
    /// Returns a sampler; the same seed draws the same tokens from the same logits.
    pub(super) fn new(temperature: f64, seed: u64) -> Self {
        let sampling = if temperature > 0.0 { Sampling::All { temperature } } else { Sampling::ArgMax };
        Self { processor: LogitsProcessor::from_sampling(seed, sampling) }
    }

    /// Chooses among the tokens that the constraint allows.
    pub(super) fn choose(
        &mut self,
        mut logits: Vec<f32>,
        constraint: Option<&mut Constraint>,
    ) -> Result<u32, ModelError> {
        if let Some(constraint) = constraint {
            constraint.apply(&mut logits)?;
        }
        let length = logits.len();
        Ok(self.processor.sample(&Tensor::from_vec(logits, length, &Device::Cpu)?)?)
    }
}
