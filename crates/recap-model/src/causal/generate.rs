//! One reply.

use serde_json::Value;

use super::model::ChatModel;
use super::sample::Sampler;
use super::schema::{Constraint, Schemas};
use super::template::Prompt;
use crate::ModelError;

/// How many tokens of a prompt are read at once. Blocks begin at multiples of it, whatever was read before, so that a reply
/// does not depend on what the cache held.
pub(super) const BLOCK: usize = 128;

/// How a reply is made.
#[derive(Debug, Clone, Default)]
pub struct Generation {
    /// The most tokens of the reply.
    pub max_tokens: usize,
    /// 0 takes the likeliest token always.
    pub temperature: f64,
    /// The seed of what is drawn at temperatures above 0.
    pub seed: u64,
    /// A JSON schema that the reply keeps to.
    pub schema: Option<Value>,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The text, without control tokens.
    pub text: String,
    /// How many tokens the prompt has.
    pub prompt_tokens: usize,
    /// How many of these were not read again, because the last prompt began with them too.
    pub reused_tokens: usize,
    /// How many tokens were generated, the one that ends the reply included.
    pub tokens: usize,
    /// Why it ends.
    pub finish: Finish,
}

/// Why a reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model ended it, or the schema did.
    Stop,
    /// It has `max_tokens`, or the window is full. With a schema, the text may not be whole.
    Length,
    /// Whoever asked no longer waits.
    Cancelled,
}

impl ChatModel {
    /// Replies to a prompt. `wanted` is asked before each token and each block of 128 prompt tokens.
    ///
    /// The same prompt and settings give the same reply on the same machine, whatever was asked before. With a schema, the text
    /// satisfies it unless `finish` says that it was cut.
    ///
    /// # Errors
    /// [`ModelError::TooLong`] if the prompt leaves no room in the window, [`ModelError::Schema`] for a schema that cannot be
    /// kept to, [`ModelError::Tokenizer`], [`ModelError::Compute`].
    pub fn generate(
        &mut self,
        prompt: &Prompt<'_>,
        generation: &Generation,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Generated, ModelError> {
        let tokens = self.template.tokens(prompt, &mut self.vocabulary)?;
        let window = self.decoder.window();
        if tokens.is_empty() || tokens.len() >= window {
            return Err(ModelError::TooLong { tokens: tokens.len(), window });
        }
        let constraint = generation.schema.as_ref().map(|schema| self.constraint(schema)).transpose()?;
        let reused_tokens = self.reuse(&tokens);
        let logits = self.read_prompt(&tokens, wanted)?;
        let sampler = Sampler::new(generation.temperature, generation.seed);
        let most = generation.max_tokens.min(window - tokens.len());
        let reply = Reply { tokens: Vec::new(), sampler, constraint, most };
        let (ids, finish) = match logits {
            Some(logits) => self.reply(reply, logits, wanted)?,
            None => (Vec::new(), Finish::Cancelled),
        };
        let text = self.vocabulary.decode(&ids);
        Ok(Generated { text, prompt_tokens: tokens.len(), reused_tokens, tokens: ids.len(), finish })
    }

    fn constraint(&mut self, schema: &Value) -> Result<Constraint, ModelError> {
        let schemas = match self.schemas.take() {
            Some(schemas) => schemas,
            None => Schemas::new(&self.vocabulary)?,
        };
        self.schemas.insert(schemas).compile(schema)
    }

    /// Cuts the cache back to the whole blocks that the last prompt began with too; returns how many tokens these are. At least
    /// one token is left to be read, for its logits.
    fn reuse(&mut self, tokens: &[u32]) -> usize {
        let same = tokens.iter().zip(&self.reusable).take_while(|(new, old)| new == old).count();
        let kept = same.min(tokens.len() - 1) / BLOCK * BLOCK;
        self.decoder.truncate(kept);
        self.reusable.truncate(kept);
        kept
    }

    /// Reads the rest of the prompt; returns the logits of the reply's first token, or nothing if they are not wanted any more.
    fn read_prompt(&mut self, tokens: &[u32], wanted: &dyn Fn() -> bool) -> Result<Option<Vec<f32>>, ModelError> {
        let mut logits = None;
        for block in tokens.chunks(BLOCK).skip(self.reusable.len() / BLOCK) {
            if !wanted() {
                return Ok(None);
            }
            let states = self.decoder.forward(block)?;
            if block.len() == BLOCK {
                self.reusable.extend_from_slice(block);
            }
            if self.decoder.len() == tokens.len() {
                logits = Some(self.decoder.last_logits(&states)?);
            }
        }
        Ok(logits)
    }

    fn reply(
        &mut self,
        mut reply: Reply,
        mut logits: Vec<f32>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(Vec<u32>, Finish), ModelError> {
        while reply.tokens.len() < reply.most {
            if !wanted() {
                return Ok((reply.tokens, Finish::Cancelled));
            }
            let token = reply.sampler.choose(logits, reply.constraint.as_mut())?;
            reply.tokens.push(token);
            if self.vocabulary.ends().contains(&token) || reply.ended_with(token)? {
                return Ok((reply.tokens, Finish::Stop));
            }
            if reply.tokens.len() == reply.most {
                break;
            }
            logits = {
                let states = self.decoder.forward(&[token])?;
                self.decoder.last_logits(&states)?
            };
        }
        Ok((reply.tokens, Finish::Length))
    }
}

/// A reply in the making.
struct Reply {
    tokens: Vec<u32>,
    sampler: Sampler,
    constraint: Option<Constraint>,
    most: usize,
}

impl Reply {
    /// Tells the constraint of a token; returns whether it was the last that the constraint allows.
    fn ended_with(&mut self, token: u32) -> Result<bool, ModelError> {
        let Some(constraint) = self.constraint.as_mut() else { return Ok(false) };
        constraint.take(token)?;
        Ok(constraint.ended())
    }
}
