//! A loaded chat model.

use std::fs::File;
use std::path::Path;

use candle_core::Device;

use super::decoder::Decoder;
use super::dimensions::Dimensions;
use super::gguf::Gguf;
use super::schema::Schemas;
use super::template::Template;
use super::vocabulary::Vocabulary;
use super::weights::Precision;
use crate::ModelError;

/// How a model is loaded.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The most tokens that prompt and reply may have together; bounded by what the model was trained for. The cache grows
    /// with what is read, not with this.
    pub max_window: usize,
    /// How precisely weights are kept.
    pub precision: Precision,
    /// Where it runs.
    pub device: Device,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { max_window: 8192, precision: Precision::Quantized, device: Device::Cpu }
    }
}

/// A causal chat model with the state of what it read last. Not thread-safe by design: one thread owns it.
pub struct ChatModel {
    pub(super) decoder: Decoder,
    pub(super) vocabulary: Vocabulary,
    pub(super) template: Template,
    /// Built when the first schema is asked for.
    pub(super) schemas: Option<Schemas>,
    /// The tokens of the last prompt whose places in the cache may be used again.
    pub(super) reusable: Vec<u32>,
    hash: String,
}

impl ChatModel {
    /// Loads a GGUF file.
    ///
    /// # Errors
    /// [`ModelError::Read`] if it cannot be opened, [`ModelError::Architecture`] if its network or tokenizer is of a kind that
    /// is not supported, [`ModelError::File`] if it is damaged or something else.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let mut file = Gguf::open(path, &options.device)?;
        let dimensions = Dimensions::read(&file)?;
        let mut vocabulary = Vocabulary::read(&mut file, dimensions.vocabulary)?;
        let template = Template::read(&file, &mut vocabulary)?;
        let window = dimensions.context.min(options.max_window.max(1));
        let decoder = Decoder::read(&mut file, &dimensions, options.precision, window, &options.device)?;
        let hash = hash(path)?;
        tracing::info!(path = %path.display(), window, layers = dimensions.layers, "chat model loaded");
        Ok(Self { decoder, vocabulary, template, schemas: None, reusable: Vec::new(), hash })
    }

    /// Returns the BLAKE3 hash of the file, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Returns how many tokens prompt and reply may have together.
    #[must_use]
    pub fn window(&self) -> usize {
        self.decoder.window()
    }

    /// Returns how many tokens a text has for this model.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`].
    pub fn count(&mut self, text: &str) -> Result<usize, ModelError> {
        Ok(self.vocabulary.encode(text)?.len())
    }
}

fn hash(path: &Path) -> Result<String, ModelError> {
    let file = File::open(path).map_err(|source| ModelError::read(path, source))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(|source| ModelError::read(path, source))?;
    Ok(hasher.finalize().to_hex().to_string())
}
