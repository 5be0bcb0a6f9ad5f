//! A BERT's folder: `config.json`, `tokenizer.json` and the weights, `model.safetensors` or `model.onnx`.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::Config;
use tokenizers::Tokenizer;

use super::onnx::OnnxWeights;
use crate::ModelError;

/// What a folder holds, read.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) config: Config,
    /// Neither cuts nor pads.
    pub(super) tokenizer: Tokenizer,
    /// f32, on the device; without the prefix `bert.`.
    pub(super) weights: VarBuilder<'static>,
    pub(super) hash: String,
}

impl Folder {
    /// Reads a folder. `config.json` may be missing beside `model.onnx`, whose graph tells the sizes.
    pub(super) fn read(path: &Path, device: &Device) -> Result<Self, ModelError> {
        let mut hasher = Hasher::default();
        let tokenizer = tokenizer(&path.join("tokenizer.json"), &mut hasher)?;
        let config_path = path.join("config.json");
        let config_json = read_if_there(&config_path)?;
        if let Some(bytes) = &config_json {
            hasher.add("config.json", bytes);
        }
        let config = config_json.map(|bytes| parse_config(&config_path, &bytes)).transpose()?;
        let (config, tensors) = weights(path, config, &mut hasher, device)?;
        check(&config).map_err(|why| ModelError::file(&config_path, why))?;
        let weights = VarBuilder::from_tensors(plain(tensors), DType::F32, device);
        Ok(Self { path: path.to_owned(), config, tokenizer, weights, hash: hasher.finish() })
    }
}

/// Hashes what decides about a model's answers.
#[derive(Default)]
struct Hasher(blake3::Hasher);

impl Hasher {
    fn add(&mut self, name: &str, bytes: &[u8]) {
        self.0.update(name.as_bytes());
        self.0.update(blake3::hash(bytes).as_bytes());
    }

    fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::read(path, source))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, ModelError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ModelError::read(path, source)),
    }
}

fn tokenizer(path: &Path, hasher: &mut Hasher) -> Result<Tokenizer, ModelError> {
    let bytes = read(path)?;
    hasher.add("tokenizer.json", &bytes);
    let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| ModelError::file(path, error))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| ModelError::file(path, error))?;
    Ok(tokenizer)
}

fn parse_config(path: &Path, bytes: &[u8]) -> Result<Config, ModelError> {
    serde_json::from_slice(bytes).map_err(|error| ModelError::file(path, error))
}

/// Refuses sizes that candle would divide by or index with.
fn check(config: &Config) -> Result<(), String> {
    let (hidden, heads) = (config.hidden_size, config.num_attention_heads);
    if heads == 0 || !hidden.is_multiple_of(heads) {
        return Err(format!("a hidden size of {hidden} cannot be shared among {heads} attention heads"));
    }
    if config.max_position_embeddings < 16 {
        return Err(format!("{} positions are too few for a text", config.max_position_embeddings));
    }
    Ok(())
}

type Tensors = HashMap<String, Tensor>;

fn weights(
    folder: &Path,
    config: Option<Config>,
    hasher: &mut Hasher,
    device: &Device,
) -> Result<(Config, Tensors), ModelError> {
    let safetensors = folder.join("model.safetensors");
    if let Some(bytes) = read_if_there(&safetensors)? {
        hasher.add("model.safetensors", &bytes);
        let config_json = folder.join("config.json");
        let config = config.ok_or_else(|| ModelError::read(&config_json, ErrorKind::NotFound.into()))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, device);
        return Ok((config, tensors.map_err(|error| ModelError::file(&safetensors, error))?));
    }
    let onnx = folder.join("model.onnx");
    let Some(bytes) = read_if_there(&onnx)? else {
        return Err(ModelError::file(folder, "it has neither model.safetensors nor model.onnx"));
    };
    hasher.add("model.onnx", &bytes);
    let weights = OnnxWeights::read(bytes.into()).map_err(|why| ModelError::file(&onnx, why))?;
    let config = config.map_or_else(|| weights.config(), Ok).map_err(|why| ModelError::file(&onnx, why))?;
    Ok((config, weights.tensors(device)?))
}

/// Returns the tensors without the prefix that models with a head put before the encoder's names.
fn plain(tensors: Tensors) -> Tensors {
    let named = |(name, tensor): (String, Tensor)| match name.strip_prefix("bert.") {
        Some(plain) => (plain.to_owned(), tensor),
        None => (name, tensor),
    };
    tensors.into_iter().map(named).collect()
}
