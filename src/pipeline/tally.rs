//! What a trajectory's steps cost, in full and as served (ACON, metrics of the paper's section on evaluation).

use recap_core::context::TokenReceipt;
use recap_core::tokens::REPLY_TOKENS;
use recap_core::trajectory::Role;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Sums over the steps of one side. A step is one assistant message; its input is the messages before it, without tool
/// schemas and the reply's priming.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tally {
    /// Largest input, system prompt apart.
    pub peak_tokens: u64,
    /// Sum of `(n_in + 2 n_out) n_out / 2` over the steps.
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

/// What the steps of a trajectory cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sums {
    /// Uncompressed.
    pub full: Tally,
    /// As served, for the steps before which a context was read.
    pub served: Tally,
    system: u64,
    before: u64,
    head: Head,
    last_read: Option<(u64, u64)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Head {
    #[default]
    Open,
    Over,
}

impl Sums {
    /// Counts message number `n`.
    pub fn message(&mut self, n: u64, role: Role, tokens: u32) {
        let tokens = u64::from(tokens);
        match role {
            Role::System | Role::Developer if self.head == Head::Open => self.system += tokens,
            Role::Assistant => self.step(n, tokens),
            _ => self.head = Head::Over,
        }
        self.before += tokens;
    }

    /// Notes that a context was served after `length` messages. Of its tokens those of messages count, as they
    /// do in full: tool schemas and the reply's priming do not.
    pub fn read(&mut self, length: u64, tokens: &TokenReceipt) {
        let tools = tokens.by_source.get("tools").copied().unwrap_or(0);
        let messages = tokens.total.saturating_sub(tools.saturating_add(REPLY_TOKENS));
        self.last_read = Some((length, u64::from(messages)));
    }

    fn step(&mut self, n: u64, output: u64) {
        self.head = Head::Over;
        self.full.step(self.before, self.system, output);
        if let Some((_, input)) = self.last_read.take_if(|(length, _)| *length == n) {
            self.served.step(input, self.system, output);
        }
    }
}
