//! What the metadata say about the network: its family and its dimensions.

use super::gguf::Gguf;
use crate::ModelError;

/// The largest dimension that is believed. Products of two stay far below what a word holds.
const LARGEST: usize = 1 << 24;

/// Families of networks that can be run. Both are the pre-norm decoder with rotary positions, grouped-query attention and a
/// gated feed-forward of `LLaMA` (<https://arxiv.org/abs/2302.13971>) and "Qwen2" (<https://arxiv.org/abs/2407.10671>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Rotates neighbouring pairs of a head's values.
    Llama,
    /// Rotates a head's first half against its second; has biases on queries, keys and values.
    Qwen2,
}

/// The dimensions of a network.
#[derive(Debug, Clone)]
pub(super) struct Dimensions {
    pub(super) family: Family,
    pub(super) layers: usize,
    /// Values per position between the layers.
    pub(super) width: usize,
    /// Values inside the feed-forward.
    pub(super) inner: usize,
    pub(super) heads: usize,
    /// Key and value heads; divides `heads`.
    pub(super) kv_heads: usize,
    /// Values per head; even.
    pub(super) head_width: usize,
    pub(super) vocabulary: usize,
    /// Positions that the network was trained for.
    pub(super) context: usize,
    pub(super) rope_base: f32,
    /// What positions are divided by (linear rope scaling); 1 for most.
    pub(super) rope_scale: f32,
    pub(super) norm_epsilon: f32,
}

impl Dimensions {
    /// Reads the dimensions.
    ///
    /// # Errors
    /// [`ModelError::Architecture`] for anything but dense llama and qwen2, [`ModelError::File`] for missing or senseless
    /// values.
    pub(super) fn read(file: &Gguf) -> Result<Self, ModelError> {
        let name = file.text("general.architecture")?.ok_or_else(|| file.fault("it names no architecture"))?;
        let family = match name {
            "llama" => Family::Llama,
            "qwen2" => Family::Qwen2,
            other => return Err(file.unsupported(other)),
        };
        let keys = Keys { file, name };
        keys.refuse_variants()?;
        let (heads, width) = (keys.size("attention.head_count")?, keys.size("embedding_length")?);
        let dimensions = Self {
            family,
            layers: keys.size("block_count")?,
            width,
            inner: keys.size("feed_forward_length")?,
            heads,
            kv_heads: keys.size_or("attention.head_count_kv", heads)?,
            head_width: keys.size_or("attention.key_length", width / heads)?,
            vocabulary: file.shape("token_embd.weight")?.first().copied().unwrap_or(0),
            context: keys.size("context_length")?,
            rope_base: keys.positive_or("rope.freq_base", 10_000.0)?,
            rope_scale: keys.positive_or("rope.scaling.factor", 1.0)?,
            norm_epsilon: keys.positive_or("attention.layer_norm_rms_epsilon", 1e-5)?,
        };
        let rotated = keys.size_or("rope.dimension_count", dimensions.head_width)?;
        dimensions.check(file, rotated)?;
        Ok(dimensions)
    }

    fn check(&self, file: &Gguf, rotated: usize) -> Result<(), ModelError> {
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(file.fault(format!("{} heads do not share {} key heads", self.heads, self.kv_heads)));
        }
        if !self.head_width.is_multiple_of(2) || self.head_width == 0 || rotated != self.head_width {
            return Err(file.fault(format!("{rotated} of {} values of a head would be rotated", self.head_width)));
        }
        if self.vocabulary == 0 || self.vocabulary > LARGEST {
            return Err(file.fault(format!("a vocabulary of {} tokens", self.vocabulary)));
        }
        Ok(())
    }
}

/// The metadata of one architecture: keys below its name.
struct Keys<'a> {
    file: &'a Gguf,
    name: &'a str,
}

impl Keys<'_> {
    fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn size(&self, key: &str) -> Result<usize, ModelError> {
        let key = self.key(key);
        let size = self.file.whole(&key)?.ok_or_else(|| self.file.fault(format!("`{key}` is missing")))?;
        self.believed(&key, size)
    }

    fn size_or(&self, key: &str, otherwise: usize) -> Result<usize, ModelError> {
        let key = self.key(key);
        let size = self.file.whole(&key)?.unwrap_or(otherwise);
        self.believed(&key, size)
    }

    fn believed(&self, key: &str, size: usize) -> Result<usize, ModelError> {
        if (1..=LARGEST).contains(&size) { Ok(size) } else { Err(self.file.fault(format!("`{key}` is {size}"))) }
    }

    fn positive_or(&self, key: &str, otherwise: f32) -> Result<f32, ModelError> {
        let key = self.key(key);
        let number = self.file.number(&key)?.unwrap_or(otherwise);
        if number.is_finite() && number > 0.0 {
            Ok(number)
        } else {
            Err(self.file.fault(format!("`{key}` is {number}")))
        }
    }

    /// Refuses what shares the name and would be computed wrongly: mixtures of experts, and stretched positions other than
    /// linear ones.
    fn refuse_variants(&self) -> Result<(), ModelError> {
        if self.file.whole(&self.key("expert_count"))?.unwrap_or(0) > 0 {
            return Err(self.file.unsupported(format!("{} with experts", self.name)));
        }
        match self.file.text(&self.key("rope.scaling.type"))? {
            None | Some("none" | "linear") => Ok(()),
            Some(scaling) => Err(self.file.unsupported(format!("{} with {scaling} rope scaling", self.name))),
        }
    }
}
