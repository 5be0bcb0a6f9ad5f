//! What both encoders share: texts to ids, ids to hidden states, batch by batch.

use candle_core::{Device, Tensor};
use candle_transformers::models::bert::BertModel;
use tokenizers::{Encoding, Tokenizer, TruncationDirection};

use super::batch::Batches;
use super::folder::Folder;
use crate::ModelError;

/// Of a text at most this many characters are looked at; the model sees at most as many tokens as it has positions.
pub const MAX_TEXT_CHARS: usize = 8_192;

/// Says whether the answer is still wanted; asked between batches.
pub type Wanted<'w> = &'w dyn Fn() -> bool;

/// A BERT with its tokenizer.
pub(super) struct Encoder {
    bert: BertModel,
    tokenizer: Tokenizer,
    device: Device,
    pad_id: u32,
    /// The most tokens of an input.
    max_tokens: usize,
}

impl Encoder {
    pub(super) fn new(folder: &Folder, device: &Device) -> Result<Self, ModelError> {
        let config = &folder.config;
        let bert =
            BertModel::load(folder.weights.clone(), config).map_err(|error| ModelError::file(&folder.path, error))?;
        let pad_id = u32::try_from(config.pad_token_id).unwrap_or(0);
        Ok(Self {
            bert,
            tokenizer: folder.tokenizer.clone(),
            device: device.clone(),
            pad_id,
            max_tokens: config.max_position_embeddings,
        })
    }

    pub(super) fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Returns a text's tokens, without special ones, and at most `most` of them.
    pub(super) fn tokens(&self, text: &str, most: usize) -> Result<Encoding, ModelError> {
        let end = text.char_indices().nth(MAX_TEXT_CHARS).map_or(text.len(), |(at, _)| at);
        let text = text.get(..end).unwrap_or(text);
        let mut tokens =
            self.tokenizer.encode_fast(text, false).map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        tokens.truncate(most, 0, TruncationDirection::Right);
        Ok(tokens)
    }

    /// Returns the input of a text, or of a pair: the tokens with the special ones between and around them.
    pub(super) fn input(&self, first: Encoding, second: Option<Encoding>) -> Result<Encoding, ModelError> {
        self.tokenizer.post_process(first, second, true).map_err(|error| ModelError::Tokenizer(error.to_string()))
    }

    /// Computes the inputs in batches and returns one result for each, in the inputs' order.
    ///
    /// `read` gets a batch's hidden states `[texts, tokens, hidden]` and mask `[texts, tokens]`, 1 where there is a
    /// token and 0 for padding, and returns one result for each of its texts.
    pub(super) fn run<T>(
        &self,
        inputs: &[Encoding],
        wanted: Wanted<'_>,
        read: impl Fn(&Tensor, &Tensor) -> candle_core::Result<Vec<T>>,
    ) -> Result<Vec<T>, ModelError> {
        let lengths: Vec<usize> = inputs.iter().map(Encoding::len).collect();
        let mut results: Vec<(usize, T)> = Vec::with_capacity(inputs.len());
        for batch in Batches::plan(&lengths).iter() {
            if !wanted() {
                return Err(ModelError::Cancelled);
            }
            let texts: Vec<&Encoding> = batch.iter().filter_map(|&index| inputs.get(index)).collect();
            let (hidden, mask) = self.forward(&texts)?;
            results.extend(batch.iter().copied().zip(read(&hidden, &mask)?));
        }
        results.sort_by_key(|&(index, _)| index);
        Ok(results.into_iter().map(|(_, result)| result).collect())
    }

    fn forward(&self, texts: &[&Encoding]) -> candle_core::Result<(Tensor, Tensor)> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let padded = |of: fn(&Encoding) -> &[u32], padding: u32| {
            let row = |text: &&Encoding| {
                let mut row = of(text).to_vec();
                row.resize(longest, padding);
                row
            };
            let rows: Vec<u32> = texts.iter().flat_map(row).collect();
            Tensor::from_vec(rows, (texts.len(), longest), &self.device)
        };
        let ids = padded(Encoding::get_ids, self.pad_id)?;
        let types = padded(Encoding::get_type_ids, 0)?;
        let mask = padded(Encoding::get_attention_mask, 0)?;
        let hidden = self.bert.forward(&ids, &types, Some(&mask))?;
        Ok((hidden, mask))
    }
}
