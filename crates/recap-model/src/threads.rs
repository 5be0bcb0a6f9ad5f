//! How many threads candle may use.

/// The threads that candle computes with, all models of the process together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threads {
    /// Threads of rayon's global pool: f32 matrix products, softmax, layer norms.
    pub rayon: usize,
    /// Threads of candle's barrier pool, its caller included: quantised products and element-wise operations on more
    /// than 65,536 numbers. They spin while they wait for each other, so with busy neighbours more threads are slower.
    pub barrier: usize,
}

/// Bounds rayon's global pool to `n` threads (at least one) and returns what holds from now on.
///
/// Call it once at start-up, before anything computes: a pool that exists keeps its size. candle sizes its barrier pool
/// on the first use (this function is one) from the environment alone: `CANDLE_NUM_THREADS`, else `RAYON_NUM_THREADS`,
/// else the physical cores. A process cannot change its own environment safely, so whoever starts it must set
/// `CANDLE_NUM_THREADS`; compare [`Threads::barrier`] with `n` and say so to the operator. `RAYON_NUM_THREADS` is also the
/// number of parts that candle cuts an f32 product into; set it too, or at least not higher than `n`.
#[must_use]
pub fn bound_threads(n: usize) -> Threads {
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(n.max(1)).build_global() {
        tracing::warn!(%error, "the number of rayon's threads stays as it is");
    }
    Threads { rayon: rayon::current_num_threads(), barrier: candle_core::utils::barrier_pool().n_workers() + 1 }
}
