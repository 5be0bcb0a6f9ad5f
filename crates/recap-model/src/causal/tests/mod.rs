//! Tests with real weights, of the folder that `RECAPD_TEST_MODELS` names. What is not there is not tested, and the test says
//! so. References are llama.cpp's (`reference.json`).

mod bad_files;
mod chat;
mod generation;
mod scoring;
mod tokens;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::Value;

use super::{ChatModel, Generated, Generation, LoadOptions, Prompt};

const SMOLLM: &str = "smollm2-135m";
const QWEN: &str = "qwen2.5-coder-0.5b-q4km";

/// Returns the path of a model, or says that it is missing.
fn path(name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
    let folder = std::env::var_os("RECAPD_TEST_MODELS");
    let path = folder.map(|folder| PathBuf::from(folder).join(format!("{name}.gguf")));
    let path = path.filter(|path| path.is_file());
    if path.is_none() {
        eprintln!("not tested: there is no {name}.gguf in RECAPD_TEST_MODELS");
    }
    path
}

/// Returns a loaded model, one test at a time.
fn model(name: &'static str) -> Option<MutexGuard<'static, ChatModel>> {
    static SMALL: OnceLock<Option<Mutex<ChatModel>>> = OnceLock::new();
    static LARGE: OnceLock<Option<Mutex<ChatModel>>> = OnceLock::new();
    let place = if name == SMOLLM { &SMALL } else { &LARGE };
    let load = || path(name).map(|path| Mutex::new(ChatModel::load(&path, &LoadOptions::default()).unwrap()));
    place.get_or_init(load).as_ref().map(|model| model.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Returns what llama.cpp says.
fn reference(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("reference.json")).unwrap();
    all[name].clone()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// Replies without being disturbed.
fn reply(model: &mut ChatModel, prompt: Prompt<'_>, generation: &Generation) -> Generated {
    model.generate(&prompt, generation, &|| true).unwrap()
}
