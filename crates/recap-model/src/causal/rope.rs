//! Rotary position embedding (Su et al. 2021, `RoFormer`, <https://arxiv.org/abs/2104.09864>).

use candle_core::{Device, Tensor};
use candle_nn::rotary_emb;

use super::dimensions::{Dimensions, Family};
use super::gguf::Gguf;
use super::weights;
use crate::ModelError;

/// The angles of every position.
pub(super) struct Rope {
    /// `[positions, head_width / 2]`
    cos: Tensor,
    /// `[positions, head_width / 2]`
    sin: Tensor,
    interleaved: bool,
}

impl Rope {
    /// Computes the angles of `positions` positions. The file may stretch each frequency (`rope_freqs.weight`, Llama 3).
    pub(super) fn new(
        file: &mut Gguf,
        dimensions: &Dimensions,
        positions: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let pairs = dimensions.head_width / 2;
        let stretch = match weights::vector_if_any(file, "rope_freqs.weight", pairs)? {
            Some(factors) => factors.to_vec1::<f32>()?,
            None => vec![1.0; pairs],
        };
        let frequencies: Vec<f32> =
            stretch.iter().enumerate().map(|(pair, factor)| frequency(dimensions, pair) / factor).collect();
        let angles = Tensor::arange(0, u32::try_from(positions).unwrap_or(u32::MAX), device)?
            .to_dtype(candle_core::DType::F32)?
            .reshape((positions, 1))?
            .matmul(&Tensor::from_vec(frequencies, (1, pairs), device)?)?;
        Ok(Self { cos: angles.cos()?, sin: angles.sin()?, interleaved: dimensions.family == Family::Llama })
    }

    /// Rotates `[heads, length, head_width]`, whose first position is `start`.
    pub(super) fn apply(&self, values: &Tensor, start: usize) -> candle_core::Result<Tensor> {
        let length = values.dim(1)?;
        let (cos, sin) = (self.cos.narrow(0, start, length)?, self.sin.narrow(0, start, length)?);
        let values = values.unsqueeze(0)?;
        let rotated = if self.interleaved {
            rotary_emb::rope_i(&values, &cos, &sin)?
        } else {
            rotary_emb::rope(&values, &cos, &sin)?
        };
        rotated.squeeze(0)
    }
}

/// Returns the angle per position of a pair of values.
fn frequency(dimensions: &Dimensions, pair: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a head has some hundred values")]
    let exponent = (2 * pair) as f32 / dimensions.head_width as f32;
    1.0 / (dimensions.rope_base.powf(exponent) * dimensions.rope_scale)
}
