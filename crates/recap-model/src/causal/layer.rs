//! One layer: grouped-query attention, then a gated feed-forward, each behind a norm and beside a residual path.

use candle_core::quantized::QMatMul;
use candle_core::{Module, Tensor};
use candle_nn::ops;

use super::cache::KvCache;
use super::dimensions::{Dimensions, Family};
use super::gguf::Gguf;
use super::rope::Rope;
use super::weights::{self, Precision};
use crate::ModelError;

/// The weights of a layer and its cache.
pub(super) struct Layer {
    attention: Attention,
    attention_norm: Tensor,
    gate: QMatMul,
    up: QMatMul,
    down: QMatMul,
    feed_norm: Tensor,
    epsilon: f32,
}

impl Layer {
    /// Reads layer `index`, whose cache will hold up to `window` positions.
    pub(super) fn read(
        file: &mut Gguf,
        dimensions: &Dimensions,
        precision: Precision,
        index: usize,
        window: usize,
    ) -> Result<Self, ModelError> {
        let name = |part: &str| format!("blk.{index}.{part}.weight");
        let (width, inner) = (dimensions.width, dimensions.inner);
        Ok(Self {
            attention: Attention::read(file, dimensions, precision, index, window)?,
            attention_norm: weights::vector(file, &name("attn_norm"), width)?,
            gate: weights::matrix(file, precision, &name("ffn_gate"), [inner, width])?,
            up: weights::matrix(file, precision, &name("ffn_up"), [inner, width])?,
            down: weights::matrix(file, precision, &name("ffn_down"), [width, inner])?,
            feed_norm: weights::vector(file, &name("ffn_norm"), width)?,
            epsilon: dimensions.norm_epsilon,
        })
    }

    /// Maps `[length, width]` to `[length, width]`; the first of the positions is `start`.
    pub(super) fn forward(&mut self, input: &Tensor, step: &Step<'_>) -> candle_core::Result<Tensor> {
        let normed = ops::rms_norm(input, &self.attention_norm, self.epsilon)?;
        let input = (input + self.attention.forward(&normed, step)?)?;
        let normed = ops::rms_norm(&input, &self.feed_norm, self.epsilon)?;
        let gated = (ops::silu(&self.gate.forward(&normed)?)? * self.up.forward(&normed)?)?;
        input + self.down.forward(&gated)?
    }

    /// Forgets all positions from `length` on.
    pub(super) fn truncate(&mut self, length: usize) {
        self.attention.cache.truncate(length);
    }
}

/// What all layers need to know of one forward step.
pub(super) struct Step<'a> {
    pub(super) rope: &'a Rope,
    /// The position of the first row.
    pub(super) start: usize,
    /// 0 where a row may look and −∞ where it may not, `[length, start + length]`; none for a single row.
    pub(super) mask: Option<&'a Tensor>,
}

/// A projection with its bias, if it has one.
struct Projection {
    weight: QMatMul,
    bias: Option<Tensor>,
}

impl Projection {
    fn read(
        file: &mut Gguf,
        family: Family,
        precision: Precision,
        name: &str,
        shape: [usize; 2],
    ) -> Result<Self, ModelError> {
        let bias = format!("{name}.bias");
        Ok(Self {
            weight: weights::matrix(file, precision, &format!("{name}.weight"), shape)?,
            bias: match family {
                Family::Llama => weights::vector_if_any(file, &bias, shape[0])?,
                Family::Qwen2 => Some(weights::vector(file, &bias, shape[0])?),
            },
        })
    }

    fn forward(&self, input: &Tensor) -> candle_core::Result<Tensor> {
        let output = self.weight.forward(input)?;
        match &self.bias {
            Some(bias) => output.broadcast_add(bias),
            None => Ok(output),
        }
    }
}

struct Attention {
    query: Projection,
    key: Projection,
    value: Projection,
    output: QMatMul,
    heads: usize,
    kv_heads: usize,
    head_width: usize,
    cache: KvCache,
}

impl Attention {
    fn read(
        file: &mut Gguf,
        dimensions: &Dimensions,
        precision: Precision,
        index: usize,
        window: usize,
    ) -> Result<Self, ModelError> {
        let &Dimensions { family, width, heads, kv_heads, head_width, .. } = dimensions;
        let mut project = |part: &str, heads: usize| {
            Projection::read(file, family, precision, &format!("blk.{index}.{part}"), [heads * head_width, width])
        };
        Ok(Self {
            query: project("attn_q", heads)?,
            key: project("attn_k", kv_heads)?,
            value: project("attn_v", kv_heads)?,
            output: weights::matrix(
                file,
                precision,
                &format!("blk.{index}.attn_output.weight"),
                [width, heads * head_width],
            )?,
            heads,
            kv_heads,
            head_width,
            cache: KvCache::new(kv_heads, head_width, window),
        })
    }

    fn forward(&mut self, input: &Tensor, step: &Step<'_>) -> candle_core::Result<Tensor> {
        let length = input.dim(0)?;
        let query = step.rope.apply(&self.split(&self.query.forward(input)?, self.heads)?, step.start)?;
        let key = step.rope.apply(&self.split(&self.key.forward(input)?, self.kv_heads)?, step.start)?;
        let value = self.split(&self.value.forward(input)?, self.kv_heads)?;
        let (keys, values) = self.cache.append(&key, &value)?;
        let looked = self.look(&query, &keys, &values, step.mask)?;
        self.output.forward(&looked.transpose(0, 1)?.reshape((length, self.heads * self.head_width))?)
    }

    /// Turns `[length, heads × head_width]` into `[heads, length, head_width]`.
    fn split(&self, values: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
        values.reshape((values.dim(0)?, heads, self.head_width))?.transpose(0, 1)?.contiguous()
    }

    /// Computes attention. The heads that share keys are stacked as rows of one product, so that no key is copied.
    fn look(
        &self,
        query: &Tensor,
        keys: &Tensor,
        values: &Tensor,
        mask: Option<&Tensor>,
    ) -> candle_core::Result<Tensor> {
        let (heads, length, width) = query.dims3()?;
        let seen = keys.dim(1)?;
        let rows = heads / self.kv_heads * length;
        #[expect(clippy::cast_precision_loss, reason = "a head has some hundred values")]
        let scale = 1.0 / (width as f64).sqrt();
        let query = (query * scale)?.reshape((self.kv_heads, rows, width))?;
        let scores = query.matmul(&keys.transpose(1, 2)?)?;
        let scores = match mask {
            Some(mask) => scores.reshape((heads, length, seen))?.broadcast_add(mask)?,
            None => scores,
        };
        let shares = ops::softmax_last_dim(&scores)?.reshape((self.kv_heads, rows, seen))?;
        shares.matmul(values)?.reshape((heads, length, width))
    }
}
