//! A GGUF file: typed metadata and tensors of known shape.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. candle parses it; here every value gets checked before
//! it is relied on, because the file may be damaged or made by somebody else.

use std::fmt::Display;
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::QTensor;
use candle_core::quantized::gguf_file::{Content, Value};

use crate::ModelError;

/// An open GGUF file.
pub(super) struct Gguf {
    path: PathBuf,
    reader: BufReader<File>,
    /// Metadata and the places of the tensors.
    pub(super) content: Content,
    device: Device,
}

impl Gguf {
    /// Reads the file's header; tensors will be put on `device`.
    ///
    /// # Errors
    /// [`ModelError::Read`] if the file cannot be opened, [`ModelError::File`] if it is no whole GGUF file.
    pub(super) fn open(path: &Path, device: &Device) -> Result<Self, ModelError> {
        let file = File::open(path).map_err(|source| ModelError::read(path, source))?;
        let mut reader = BufReader::new(file);
        // candle divides by the alignment that the file states, and it may state zero.
        let content = catch_unwind(AssertUnwindSafe(|| Content::read(&mut reader)))
            .map_err(|_| ModelError::file(path, "its header cannot be parsed"))?
            .map_err(|error| ModelError::file(path, error))?;
        Ok(Self { path: path.to_owned(), reader, content, device: device.clone() })
    }

    /// Returns the error that says what is wrong with this file.
    pub(super) fn fault(&self, why: impl Display) -> ModelError {
        ModelError::file(&self.path, why.to_string())
    }

    /// Returns the error of an architecture that is not supported, with what it was called.
    pub(super) fn unsupported(&self, architecture: impl Display) -> ModelError {
        ModelError::Architecture { path: self.path.clone(), architecture: architecture.to_string() }
    }

    /// Returns a text of the metadata, if it is there.
    pub(super) fn text(&self, key: &str) -> Result<Option<&str>, ModelError> {
        match self.content.metadata.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.fault(format!("`{key}` is not a text"))),
        }
    }

    /// Returns a whole number of the metadata, if it is there.
    pub(super) fn whole(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let Some(value) = self.content.metadata.get(key) else { return Ok(None) };
        let number = match value {
            Value::I32(number) => u64::try_from(*number).ok(),
            Value::I64(number) => u64::try_from(*number).ok(),
            other => other.to_u64().ok(),
        };
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.map(Some).ok_or_else(|| self.fault(format!("`{key}` is not a whole number")))
    }

    /// Returns a number of the metadata, if it is there.
    pub(super) fn number(&self, key: &str) -> Result<Option<f32>, ModelError> {
        let Some(value) = self.content.metadata.get(key) else { return Ok(None) };
        value.to_f32().map(Some).map_err(|_| self.fault(format!("`{key}` is not a number")))
    }

    /// Returns a list of the metadata.
    pub(super) fn list(&self, key: &str) -> Result<&[Value], ModelError> {
        match self.content.metadata.get(key) {
            Some(Value::Array(values)) => Ok(values),
            _ => Err(self.fault(format!("there is no list `{key}`"))),
        }
    }

    /// Returns whether there is a tensor of that name.
    pub(super) fn has(&self, tensor: &str) -> bool {
        self.content.tensor_infos.contains_key(tensor)
    }

    /// Returns the shape of a tensor, outermost dimension first.
    pub(super) fn shape(&self, tensor: &str) -> Result<&[usize], ModelError> {
        let info = self.content.tensor_infos.get(tensor);
        info.map(|info| info.shape.dims()).ok_or_else(|| self.fault(format!("there is no tensor `{tensor}`")))
    }

    /// Reads a tensor, which must have that shape.
    pub(super) fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<QTensor, ModelError> {
        let found = self.shape(name)?;
        if found != shape {
            return Err(self.fault(format!("tensor `{name}` has shape {found:?}, expected {shape:?}")));
        }
        let tensor = self.content.tensor(&mut self.reader, name, &self.device);
        tensor.map_err(|error| self.fault(format!("tensor `{name}`: {error}")))
    }
}
