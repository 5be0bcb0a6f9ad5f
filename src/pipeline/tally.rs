//! What a trajectory's steps cost, in full and as served (ACON, metrics of the paper's section on evaluation).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Sums over the steps of one side. A step is one assistant message; its input is what stood before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tally {
    /// Largest input, system prompt apart.
    pub peak_tokens: u64,
    /// Sum of (n_in + 2 n_out) n_out / 2 over the steps.
    pub dependency: f64,
    /// Steps counted.
    pub steps: u64,
}

impl Tally {
    /// Counts a step that read `input` tokens (`system` of them the system prompt) and wrote `output`.
    #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
    pub fn step(&mut self, input: u64, system: u64, output: u64) {
        let input = input.saturating_sub(system);
        self.peak_tokens = self.peak_tokens.max(input);
        self.dependency += (input + 2 * output) as f64 * output as f64 / 2.0;
        self.steps += 1;
    }
}
