//! What a model is for, told from its files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a model is for: the key of `[models]` that may name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `models.chat`: it writes.
    Chat,
    /// `models.reranker`: it scores lines by a query.
    Reranker,
    /// `models.encoder`: it embeds texts.
    Encoder,
}

/// The tensor that a cross-encoder has and a sentence encoder has not.
const CLASSIFIER: &str = "classifier.weight";
/// The most bytes of a safetensors header (the format's own limit).
const MAX_HEADER: u64 = 100_000_000;
const BLOCK: usize = 1 << 20;

impl Kind {
    /// Returns the name, which is also that of the configuration's key.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Reranker => "reranker",
            Self::Encoder => "encoder",
        }
    }

    /// Tells what a file or folder is by its content; `None` where it is no model that recapd runs.
    ///
    /// # Errors
    ///
    /// Fails where it cannot be read.
    pub fn of(path: &Path) -> io::Result<Option<Self>> {
        if path.is_file() {
            return Ok(begins_with(path, *b"GGUF")?.then_some(Self::Chat));
        }
        if !path.join("tokenizer.json").is_file() {
            return Ok(None);
        }
        let (safetensors, onnx) = (path.join("model.safetensors"), path.join("model.onnx"));
        let ranks = if safetensors.is_file() {
            header_names(&safetensors)?
        } else if onnx.is_file() {
            mentions(&onnx)?
        } else {
            return Ok(None);
        };
        Ok(Some(if ranks { Self::Reranker } else { Self::Encoder }))
    }
}

fn begins_with(path: &Path, magic: [u8; 4]) -> io::Result<bool> {
    let mut first = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut first)?;
    Ok(first == magic)
}

/// Tells whether the header of a safetensors file names a classifier.
fn header_names(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let mut header = String::new();
    file.take(u64::from_le_bytes(length).min(MAX_HEADER)).read_to_string(&mut header)?;
    Ok(header.contains(&format!("{CLASSIFIER}\"")))
}

/// Tells whether an ONNX file names a classifier.
fn mentions(path: &Path) -> io::Result<bool> {
    let name = regex::bytes::Regex::new(&regex::escape(CLASSIFIER)).map_err(io::Error::other)?;
    let mut file = File::open(path)?;
    let mut seen = Vec::new();
    loop {
        // The end of the last block stays, for a name that two blocks share.
        seen.drain(..seen.len().saturating_sub(CLASSIFIER.len()));
        if Read::by_ref(&mut file).take(BLOCK as u64).read_to_end(&mut seen)? == 0 {
            return Ok(false);
        }
        if name.is_match(&seen) {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safetensors(header: &str) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), b"\0\0\0\0"].concat()
    }

    #[test]
    fn content_tells_and_not_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let (file, folder) = (dir.path().join("a.bin"), dir.path().join("b"));
        std::fs::write(&file, "GGUF\x03").unwrap();
        assert_eq!(Kind::of(&file).unwrap(), Some(Kind::Chat));
        std::fs::write(&file, "GGU").unwrap();
        assert_eq!(Kind::of(&file).unwrap(), None);
        std::fs::create_dir(&folder).unwrap();
        assert_eq!(Kind::of(&folder).unwrap(), None);
        std::fs::write(folder.join("tokenizer.json"), "{}").unwrap();
        assert_eq!(Kind::of(&folder).unwrap(), None);
        let mut onnx = vec![0; BLOCK - 5];
        onnx.extend(b"classifier.weight_quantized");
        std::fs::write(folder.join("model.onnx"), onnx).unwrap();
        assert_eq!(Kind::of(&folder).unwrap(), Some(Kind::Reranker), "over the border of two blocks");
        std::fs::write(folder.join("model.safetensors"), safetensors(r#"{"pooler.dense.weight":{}}"#)).unwrap();
        assert_eq!(Kind::of(&folder).unwrap(), Some(Kind::Encoder));
        std::fs::write(folder.join("model.safetensors"), safetensors(r#"{"classifier.weight":{}}"#)).unwrap();
        assert_eq!(Kind::of(&folder).unwrap(), Some(Kind::Reranker));
    }
}
