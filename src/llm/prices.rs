//! What tokens cost. An unknown price is a value of its own, never 0.

use std::collections::BTreeMap;

use crate::config::Price;

/// Tokens of one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Read, those from the provider's cache included, as OpenAI counts them.
    pub prompt: u64,
    /// Read from the provider's cache; never more than `prompt`.
    pub cached: u64,
    /// Written.
    pub reply: u64,
}

impl Usage {
    /// Returns tokens read and written.
    #[must_use]
    pub fn total(self) -> u64 {
        self.prompt.saturating_add(self.reply)
    }
}

/// The price of one model, which may be unknown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelPrice(Option<Price>);

impl ModelPrice {
    /// Looks a model up by its configured name.
    #[must_use]
    pub fn of(model: &str, prices: &BTreeMap<String, Price>) -> Self {
        Self(prices.get(model).copied())
    }

    /// Tells whether the price is known.
    #[must_use]
    pub fn is_known(self) -> bool {
        self.0.is_some()
    }

    /// Returns millionths of a US dollar, rounded up; `None` for tokens of an unknown price.
    #[must_use]
    pub fn cost_usd_micros(self, usage: Usage) -> Option<i64> {
        if usage.total() == 0 {
            return Some(0);
        }
        let price = self.0?;
        let cached = usage.cached.min(usage.prompt);
        // Dollars for a million tokens are millionths of a dollar for one.
        let micros = float(usage.prompt - cached) * price.input
            + float(cached) * price.cached.unwrap_or(price.input)
            + float(usage.reply) * price.output;
        Some(whole_micros(micros))
    }
}

/// Returns US dollars as whole millionths, rounded up.
#[must_use]
pub fn micros_of_usd(usd: f64) -> i64 {
    whole_micros(usd * 1e6)
}

#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^53")]
fn float(tokens: u64) -> f64 {
    tokens as f64
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
fn whole_micros(micros: f64) -> i64 {
    // A product of decimal prices is a hair off: 0.1 × 3 is not to become 1.
    (micros - 1e-6).ceil().max(0.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prices() -> BTreeMap<String, Price> {
        BTreeMap::from([
            ("m".to_owned(), Price { input: 0.4, cached: Some(0.1), output: 1.6 }),
            ("plain".to_owned(), Price { input: 2.0, cached: None, output: 8.0 }),
            ("free".to_owned(), Price { input: 0.0, cached: None, output: 0.0 }),
        ])
    }

    fn cost(model: &str, prompt: u64, cached: u64, reply: u64) -> Option<i64> {
        ModelPrice::of(model, &prices()).cost_usd_micros(Usage { prompt, cached, reply })
    }

    #[test]
    fn cached_tokens_are_part_of_the_prompt_and_priced_apart() {
        assert_eq!(cost("m", 1_000_000, 0, 0), Some(400_000));
        assert_eq!(cost("m", 1_000_000, 250_000, 0), Some(325_000));
        assert_eq!(cost("plain", 1_000_000, 250_000, 1000), Some(2_008_000));
        assert_eq!(cost("m", 10, 99, 0), Some(1), "never more cached than read");
    }

    #[test]
    fn unknown_is_not_free() {
        assert_eq!(cost("other", 10, 0, 1), None);
        assert_eq!(cost("other", 0, 0, 0), Some(0), "nothing was used");
        assert_eq!(cost("free", 10, 0, 1), Some(0));
    }

    #[test]
    fn costs_are_rounded_up_once() {
        assert_eq!(cost("m", 1, 0, 0), Some(1));
        assert_eq!(cost("m", 0, 0, 10), Some(16));
        assert_eq!(micros_of_usd(5.0), 5_000_000);
    }
}
