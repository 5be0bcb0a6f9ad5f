//! How fast a model reads and writes on this machine.

use std::time::Instant;

use super::generate::BLOCK;
use super::model::ChatModel;
use crate::ModelError;

/// Speeds of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BenchReport {
    /// Tokens of a prompt per second.
    pub prompt_tok_s: f64,
    /// Tokens of a reply per second, behind that prompt.
    pub gen_tok_s: f64,
}

/// Reads a prompt of `prompt_tokens` arbitrary tokens and generates `new_tokens`, each at least one. What the model had read
/// is forgotten.
///
/// # Errors
/// [`ModelError::TooLong`] if both do not fit into the window, [`ModelError::Compute`].
pub fn bench(model: &mut ChatModel, prompt_tokens: usize, new_tokens: usize) -> Result<BenchReport, ModelError> {
    let window = model.window();
    let (prompt_tokens, new_tokens) = (prompt_tokens.max(1), new_tokens.max(1));
    if prompt_tokens + new_tokens > window {
        return Err(ModelError::TooLong { tokens: prompt_tokens + new_tokens, window });
    }
    model.reusable.clear();
    model.decoder.truncate(0);
    let known = u32::try_from(model.vocabulary.tokens().len()).unwrap_or(u32::MAX);
    let prompt: Vec<u32> = (0..known).cycle().step_by(97).take(prompt_tokens).collect();
    let mut logits = Vec::new();
    let prompt_tok_s = rate(prompt_tokens, || {
        for block in prompt.chunks(BLOCK) {
            let states = model.decoder.forward(block)?;
            logits = model.decoder.last_logits(&states)?;
        }
        Ok(())
    })?;
    let gen_tok_s = rate(new_tokens, || {
        for _ in 0..new_tokens {
            let next = logits.iter().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other));
            let next = next.and_then(|(id, _)| u32::try_from(id).ok()).unwrap_or_default();
            let states = model.decoder.forward(&[next])?;
            logits = model.decoder.last_logits(&states)?;
        }
        Ok(())
    })?;
    model.decoder.truncate(0);
    Ok(BenchReport { prompt_tok_s, gen_tok_s })
}

/// Returns how many of `count` things are done per second.
fn rate(count: usize, work: impl FnOnce() -> Result<(), ModelError>) -> Result<f64, ModelError> {
    #[expect(clippy::disallowed_methods, reason = "measuring real time is what it is for")]
    let start = Instant::now();
    work()?;
    #[expect(clippy::cast_precision_loss, reason = "a window has some thousand tokens")]
    let count = count as f64;
    Ok(count / start.elapsed().as_secs_f64())
}
