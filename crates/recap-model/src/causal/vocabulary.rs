//! Text to tokens and back, by the vocabulary of the GGUF file.
//!
//! candle builds the byte-level BPE; the splitting before it is set here where candle's differs from the one that the model
//! was trained with. Token ids equal llama.cpp's (tests).

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::{Encoding, Tokenizer};

use super::gguf::Gguf;
use crate::ModelError;

const PRE: &str = "tokenizer.ggml.pre";
/// Ends of a turn, in the chat formats of the supported families.
const ENDS: [&str; 2] = ["<|im_end|>", "<|eot_id|>"];
/// Types of tokens in GGUF that stand for text: normal ones and single bytes.
const TEXT_TYPES: [u64; 2] = [1, 6];

/// The vocabulary of a model.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    tokens: Vec<Token>,
    /// Tokens that end a reply; never empty.
    ends: Vec<u32>,
    /// The token that stands before every text.
    begin: Option<u32>,
    begin_text: String,
    end_text: String,
}

/// One entry.
pub(super) struct Token {
    /// What it stands for; may be part of a character. The name of a control token.
    pub(super) bytes: Vec<u8>,
    /// Whether it steers the model and is no text.
    pub(super) control: bool,
}

impl Vocabulary {
    /// Reads the vocabulary of `size` tokens.
    ///
    /// # Errors
    /// [`ModelError::Architecture`] for kinds of tokenizers that are not supported, [`ModelError::File`] for a damaged one.
    pub(super) fn read(file: &mut Gguf, size: usize) -> Result<Self, ModelError> {
        let split = split(file)?;
        let mut tokenizer = Tokenizer::from_gguf(&file.content).map_err(|error| file.fault(error))?;
        if let Some(split) = split {
            tokenizer.with_pre_tokenizer(Some(split));
        }
        // Offsets stay those of the text itself, and the chat template decides what stands before and behind.
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);
        let tokens = tokens(file)?;
        if tokens.len() != size {
            return Err(file.fault(format!("{} tokens for {size} embeddings", tokens.len())));
        }
        let named = |key: &str| -> Result<Option<u32>, ModelError> {
            let id = file.whole(&format!("tokenizer.ggml.{key}_token_id"))?;
            Ok(id.filter(|id| *id < size).and_then(|id| u32::try_from(id).ok()))
        };
        let end = named("eos")?;
        let mut ends: Vec<u32> = ENDS.iter().filter_map(|name| tokenizer.token_to_id(name)).collect();
        ends.extend([end, named("eot")?].into_iter().flatten());
        ends.sort_unstable();
        ends.dedup();
        if ends.is_empty() {
            return Err(file.fault("no token ends a reply"));
        }
        let begin = named("bos")?;
        let text = |id: Option<u32>| id.and_then(|id| tokenizer.id_to_token(id)).unwrap_or_default();
        let (begin_text, end_text) = (text(begin), text(end));
        Ok(Self { tokenizer, tokens, ends, begin, begin_text, end_text })
    }

    /// Returns the tokens of a text. Names of control tokens in it are text.
    pub(super) fn encode(&mut self, text: &str) -> Result<Encoding, ModelError> {
        self.tokenizer.set_encode_special_tokens(true);
        self.tokenizer.encode(text, false).map_err(|error| ModelError::Tokenizer(error.to_string()))
    }

    /// Returns the tokens of a text in which names of control tokens mean those tokens.
    pub(super) fn encode_control(&mut self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.tokenizer.set_encode_special_tokens(false);
        let encoding = self.tokenizer.encode_fast(text, false);
        Ok(encoding.map_err(|error| ModelError::Tokenizer(error.to_string()))?.get_ids().to_vec())
    }

    /// Returns the text of tokens, without control tokens. Bytes that are no UTF-8 become U+FFFD.
    pub(super) fn decode(&self, ids: &[u32]) -> String {
        let known = ids.iter().filter_map(|id| self.tokens.get(usize::try_from(*id).ok()?));
        let bytes: Vec<u8> =
            known.filter(|token| !token.control).flat_map(|token| token.bytes.iter().copied()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns all tokens in the order of their ids.
    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Returns the tokens that end a reply; never empty.
    pub(super) fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Returns the token that stands before every text, or one that ends a text if there is none.
    pub(super) fn begin(&self) -> u32 {
        self.begin.or(self.ends.first().copied()).unwrap_or_default()
    }

    /// Returns the names of the tokens that begin and end a text, as chat templates want them.
    pub(super) fn names(&self) -> (&str, &str) {
        (&self.begin_text, &self.end_text)
    }

    /// Returns whether there is a control token of that name.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.tokenizer.token_to_id(name).is_some()
    }
}

/// Returns how text is split before BPE, where candle's choice is wrong; makes candle choose right otherwise.
fn split(file: &mut Gguf) -> Result<Option<PreTokenizerWrapper>, ModelError> {
    match file.text("tokenizer.ggml.model")? {
        Some("gpt2") => {}
        other => return Err(file.unsupported(format!("tokenizer model {}", other.unwrap_or("(none)")))),
    }
    let byte_level = ByteLevel::new(false, false, true);
    match file.text(PRE)? {
        // Digits stand alone, then GPT-2's pattern.
        Some("smollm") => Ok(Some(Sequence::new(vec![Digits::new(true).into(), byte_level.into()]).into())),
        Some("gpt-2") => Ok(Some(byte_level.into())),
        Some("qwen2" | "deepseek-r1-qwen") => {
            file.content.metadata.insert(PRE.to_owned(), Value::String("qwen2".to_owned()));
            Ok(None)
        }
        Some("llama-bpe" | "llama3" | "llama-v3") => {
            file.content.metadata.insert(PRE.to_owned(), Value::String("llama3".to_owned()));
            file.content.metadata.insert("tokenizer.ggml.ignore_merges".to_owned(), Value::Bool(true));
            Ok(None)
        }
        other => Err(file.unsupported(format!("pre-tokenizer {}", other.unwrap_or("(none)")))),
    }
}

/// Reads what every token stands for.
fn tokens(file: &Gguf) -> Result<Vec<Token>, ModelError> {
    let texts = file.list("tokenizer.ggml.tokens")?;
    let types = file.list("tokenizer.ggml.token_type")?;
    if texts.len() != types.len() {
        return Err(file.fault(format!("{} tokens have {} types", texts.len(), types.len())));
    }
    let kind = |value: &Value| match value {
        Value::I32(kind) => u64::try_from(*kind).ok(),
        other => other.to_u64().ok(),
    };
    let token = |(text, of): (&Value, &Value)| {
        let Value::String(text) = text else { return Err(file.fault("a token is no text")) };
        let control = !kind(of).is_some_and(|kind| TEXT_TYPES.contains(&kind));
        let bytes = if control { text.as_bytes().to_vec() } else { text.chars().flat_map(bytes_of).collect() };
        Ok(Token { bytes, control })
    };
    texts.iter().zip(types).map(token).collect()
}

/// Returns the byte that a character of a byte-level vocabulary stands for (GPT-2's `bytes_to_unicode`: printable Latin-1 is
/// itself, the 68 other bytes follow from U+0100 on in their order). Other characters are themselves.
fn bytes_of(character: char) -> Vec<u8> {
    let point = u32::from(character);
    let printable = |point: u32| matches!(point, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let byte = match point {
        point if printable(point) => Some(point),
        0x100..=0x143 => (0..=0xFF).filter(|point| !printable(*point)).nth((point - 0x100) as usize),
        _ => None,
    };
    match byte.and_then(|byte| u8::try_from(byte).ok()) {
        Some(byte) => vec![byte],
        None => character.to_string().into_bytes(),
    }
}
