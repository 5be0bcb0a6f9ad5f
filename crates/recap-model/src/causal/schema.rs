//! Replies held to a JSON schema: which tokens may come next.
//!
//! The grammar work is llguidance's (<https://github.com/guidance-ai/llguidance>), over a trie of this model's vocabulary.

use llguidance::api::TopLevelGrammar;
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie};
use llguidance::{JsonCompileOptions, Matcher, ParserFactory};
use serde_json::Value;

use super::vocabulary::{Token, Vocabulary};
use crate::ModelError;

/// Compiles schemas for one vocabulary.
pub(super) struct Schemas {
    factory: ParserFactory,
}

impl Schemas {
    /// Builds the trie of the vocabulary; takes some hundred milliseconds.
    pub(super) fn new(vocabulary: &Vocabulary) -> Result<Self, ModelError> {
        let mark = |token: &Token| {
            if token.control {
                [&[TokTrie::SPECIAL_TOKEN_MARKER], token.bytes.as_slice()].concat()
            } else {
                token.bytes.clone()
            }
        };
        let words: Vec<Vec<u8>> = vocabulary.tokens().iter().map(mark).collect();
        let size = u32::try_from(words.len()).map_err(schema_error)?;
        let ends = vocabulary.ends();
        let info = TokRxInfo::new(size, ends.first().copied().unwrap_or_default());
        let trie = TokTrie::from(&info, &words).with_eos_tokens(ends);
        let environment: TokEnv = std::sync::Arc::new(ApproximateTokEnv::new(trie));
        let slices = SlicedBiasComputer::json_slices();
        let mut factory =
            ParserFactory::new(&environment, InferenceCapabilities::default(), &slices).map_err(schema_error)?;
        factory.quiet();
        Ok(Self { factory })
    }

    /// Compiles a schema. Replies will be written on one line with a blank after `,` and `:`, because a small model that may
    /// choose its white space can write nothing else until it is cut.
    ///
    /// # Errors
    /// [`ModelError::Schema`] if the schema is none, nothing can satisfy it, or it uses what is not supported.
    pub(super) fn compile(&self, schema: &Value) -> Result<Constraint, ModelError> {
        if !schema.is_object() {
            return Err(schema_error("a JSON schema is an object"));
        }
        let mut schema = schema.clone();
        let form = JsonCompileOptions {
            item_separator: ", ".to_owned(),
            key_separator: ": ".to_owned(),
            whitespace_flexible: false,
            ..JsonCompileOptions::default()
        };
        form.apply_to(&mut schema);
        let parser = self.factory.create_parser(TopLevelGrammar::from_json_schema(schema)).map_err(schema_error)?;
        let matcher = Matcher::new(Ok(parser));
        match matcher.get_error() {
            Some(error) => Err(schema_error(error)),
            None => Ok(Constraint { matcher }),
        }
    }
}

/// The state of one reply that keeps to a schema.
pub(super) struct Constraint {
    matcher: Matcher,
}

impl Constraint {
    /// Makes all logits −∞ whose tokens may not come next. Ends of a reply stay only where the reply is whole.
    pub(super) fn apply(&mut self, logits: &mut [f32]) -> Result<(), ModelError> {
        let allowed: SimpleVob = self.matcher.compute_mask_or_eos().map_err(schema_error)?;
        for (id, logit) in logits.iter_mut().enumerate() {
            if id >= allowed.len() || !allowed.get(id) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Takes the token that was chosen.
    pub(super) fn take(&mut self, token: u32) -> Result<(), ModelError> {
        self.matcher.consume_token(token).map_err(schema_error)
    }

    /// Returns whether the reply is whole and nothing can follow.
    pub(super) fn ended(&self) -> bool {
        self.matcher.is_stopped()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "takes errors as `map_err` gives them")]
fn schema_error(why: impl ToString) -> ModelError {
    ModelError::Schema { why: why.to_string() }
}
