//! How surprising a text is to the model: self-information, −log₂ p(token | tokens before).
//!
//! "Selective Context" (Li et al. 2023, <https://arxiv.org/abs/2310.06201>) prunes by it: what the model expects anyway can go.

use std::ops::Range;

use super::model::ChatModel;
use crate::ModelError;

/// How many tokens are read at once: bounds the memory of their logits.
const CHUNK: usize = 256;

impl ChatModel {
    /// Returns the bits of each token with the bytes of the text that it stands for, in the order of the text.
    ///
    /// Tokens that are parts of one character all have its range. A text that is longer than the window is read in parts, each
    /// after the last quarter of a window before it.
    ///
    /// # Errors
    /// [`ModelError::Cancelled`] if `wanted`, asked before each chunk of 256 tokens, says no; [`ModelError::Tokenizer`],
    /// [`ModelError::Compute`].
    pub fn self_information(
        &mut self,
        text: &str,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Vec<(Range<usize>, f32)>, ModelError> {
        let encoding = self.vocabulary.encode(text)?;
        let bits = self.bits(encoding.get_ids(), wanted)?;
        Ok(encoding.get_offsets().iter().map(|(start, end)| *start..*end).zip(bits).collect())
    }

    /// Returns the mean bits per token of each unit, when they are read in their order with line breaks between. A unit
    /// without a token of its own has 0.
    ///
    /// # Errors
    /// As [`Self::self_information`].
    pub fn unit_scores(&mut self, units: &[&str], wanted: &dyn Fn() -> bool) -> Result<Vec<f32>, ModelError> {
        let mut sums = vec![(0.0_f32, 0.0_f32); units.len()];
        let mut ends = units.iter().scan(0, |end, unit| {
            *end += unit.len() + 1;
            Some(*end)
        });
        let (mut at, mut end) = (0, ends.next().unwrap_or(0));
        for (range, bits) in self.self_information(&units.join("\n"), wanted)? {
            while range.start >= end {
                let Some(next) = ends.next() else { break };
                (at, end) = (at + 1, next);
            }
            // The line break behind a unit is not the unit's.
            if range.start + 1 < end
                && let Some((sum, count)) = sums.get_mut(at)
            {
                (*sum, *count) = (*sum + bits, *count + 1.0);
            }
        }
        Ok(sums.into_iter().map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect())
    }

    /// Returns the bits of each token, the first one behind the token that begins a text.
    fn bits(&mut self, tokens: &[u32], wanted: &dyn Fn() -> bool) -> Result<Vec<f32>, ModelError> {
        self.reusable.clear();
        self.decoder.truncate(0);
        let mut fed = vec![self.vocabulary.begin()];
        fed.extend_from_slice(tokens);
        let window = self.decoder.window();
        let mut bits = Vec::with_capacity(tokens.len());
        while bits.len() < tokens.len() {
            if !wanted() {
                return Err(ModelError::Cancelled);
            }
            if self.decoder.len() == window {
                let before = bits.len() - window / 4..bits.len();
                self.decoder.truncate(0);
                for chunk in fed.get(before).unwrap_or_default().chunks(CHUNK) {
                    self.decoder.forward(chunk)?;
                }
            }
            let length = CHUNK.min(tokens.len() - bits.len()).min(window - self.decoder.len());
            let chunk = bits.len()..bits.len() + length;
            let states = self.decoder.forward(fed.get(chunk.clone()).unwrap_or_default())?;
            let logits = self.decoder.logits(&states)?.to_vec2::<f32>()?;
            let expected = tokens.get(chunk).unwrap_or_default();
            bits.extend(logits.iter().zip(expected).map(|(row, token)| surprise(row, *token)));
        }
        self.decoder.truncate(0);
        Ok(bits)
    }
}

/// Returns −log₂ softmax(logits)\[token\].
fn surprise(logits: &[f32], token: u32) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
    let own = usize::try_from(token).ok().and_then(|token| logits.get(token)).copied().unwrap_or(f32::NEG_INFINITY);
    (sum.ln() + most - own) * std::f32::consts::LOG2_E
}
