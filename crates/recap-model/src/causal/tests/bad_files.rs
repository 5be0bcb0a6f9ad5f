use std::path::Path;

use candle_core::quantized::gguf_file::{Value, write};

use super::{SMOLLM, path};
use crate::ModelError;
use crate::causal::{ChatModel, LoadOptions};

fn load(path: &Path) -> ModelError {
    ChatModel::load(path, &LoadOptions::default()).err().expect("it is no model")
}

/// Writes a file that has metadata only.
fn header(path: &Path, metadata: &[(&str, &Value)]) {
    write(&mut std::fs::File::create(path).unwrap(), metadata, &[]).unwrap();
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn files_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    assert!(matches!(load(&path), ModelError::Read { .. }), "missing");
    assert!(matches!(load(folder.path()), ModelError::File { .. } | ModelError::Read { .. }), "a folder");
    for bytes in
        [b"".as_slice(), b"GGUF", b"{\"model\": 1}", &[0xFF; 4096], b"GGUF\x03\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"]
    {
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(load(&path), ModelError::File { .. }), "{bytes:?}");
    }
}

#[test]
fn an_alignment_of_zero_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    header(&path, &[("general.alignment", &Value::U32(0))]);
    assert!(matches!(load(&path), ModelError::File { .. }));
}

#[test]
fn other_architectures_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    header(&path, &[("general.architecture", &text("gemma3"))]);
    let error = load(&path);
    assert!(matches!(&error, ModelError::Architecture { architecture, .. } if architecture == "gemma3"), "{error}");
    assert!(error.to_string().contains("gemma3"));
    header(&path, &[("general.architecture", &text("llama")), ("llama.expert_count", &Value::U32(8))]);
    assert!(load(&path).to_string().contains("llama with experts"));
    let yarn = text("yarn");
    header(&path, &[("general.architecture", &text("qwen2")), ("qwen2.rope.scaling.type", &yarn)]);
    assert!(load(&path).to_string().contains("yarn"));
}

#[test]
fn senseless_dimensions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    for heads in [Value::U32(0), Value::I32(-9), Value::U64(u64::MAX), text("nine")] {
        header(&path, &[("general.architecture", &text("llama")), ("llama.attention.head_count", &heads)]);
        let error = load(&path);
        assert!(matches!(&error, ModelError::File { why, .. } if why.contains("head_count")), "{error}");
    }
}

#[test]
fn a_model_that_is_cut_or_garbled_is_refused() {
    let Some(whole) = path(SMOLLM) else { return };
    let whole = std::fs::read(whole).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    for length in [100, 10_000, 1_500_000, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(load(&path), ModelError::File { .. }), "{length} bytes");
    }
    // The header's text of the number of layers says 31.
    let mut more = whole.clone();
    let at = more.windows(17).position(|bytes| bytes == b"llama.block_count").unwrap() + 17 + 4;
    more[at] = 31;
    std::fs::write(&path, &more).unwrap();
    assert!(load(&path).to_string().contains("blk.30"));
}
