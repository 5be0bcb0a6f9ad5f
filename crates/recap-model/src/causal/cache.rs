//! Keys and values of the positions that were read, of one layer.

use candle_core::{DType, Device, Result, Tensor};

/// Positions that memory is first taken for.
const FIRST: usize = 256;

/// A growing cache that can be cut back.
pub(super) struct KvCache {
    heads: usize,
    head_width: usize,
    /// The most positions that will ever be held.
    window: usize,
    length: usize,
    /// Keys and values, `[heads, capacity, head_width]` each.
    held: Option<(Tensor, Tensor)>,
}

impl KvCache {
    /// Returns an empty cache.
    pub(super) fn new(heads: usize, head_width: usize, window: usize) -> Self {
        Self { heads, head_width, window, length: 0, held: None }
    }

    /// Forgets all positions from `length` on. Memory is kept.
    pub(super) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Adds `[heads, new, head_width]` keys and values; returns all of them, `[heads, length, head_width]`.
    pub(super) fn append(&mut self, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let (all_keys, all_values) = self.room_for(keys.dim(1)?, keys.device())?;
        all_keys.slice_set(keys, 1, self.length)?;
        all_values.slice_set(values, 1, self.length)?;
        self.length += keys.dim(1)?;
        let held = (all_keys.narrow(1, 0, self.length)?, all_values.narrow(1, 0, self.length)?);
        self.held = Some((all_keys, all_values));
        Ok(held)
    }

    /// Returns the held tensors, with room for `more` positions.
    fn room_for(&mut self, more: usize, device: &Device) -> Result<(Tensor, Tensor)> {
        let needed = self.length + more;
        let old = self.held.take();
        if let Some((keys, values)) = old.as_ref()
            && keys.dim(1)? >= needed
        {
            return Ok((keys.clone(), values.clone()));
        }
        let capacity = needed.next_power_of_two().clamp(FIRST.min(self.window), self.window.max(needed));
        let shape = (self.heads, capacity, self.head_width);
        let keys = Tensor::zeros(shape, DType::F32, device)?;
        let values = Tensor::zeros(shape, DType::F32, device)?;
        if let Some((old_keys, old_values)) = old
            && self.length > 0
        {
            keys.slice_set(&old_keys.narrow(1, 0, self.length)?.contiguous()?, 1, 0)?;
            values.slice_set(&old_values.narrow(1, 0, self.length)?.contiguous()?, 1, 0)?;
        }
        Ok((keys, values))
    }
}
