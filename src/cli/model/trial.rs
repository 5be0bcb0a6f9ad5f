//! A model loaded and asked one thing.

use std::path::Path;

use recap_model::bert::{CrossEncoder, SentenceEncoder};
use recap_model::causal::{ChatModel, Generation, LoadOptions, Prompt};
use serde::Serialize;
use tokio::time::Instant;

use crate::models::Kind;

/// What a loaded model told.
#[derive(Debug, Serialize)]
pub(super) struct Trial {
    /// The hash that results name it by: BLAKE3, in hexadecimal.
    pub hash: String,
    /// How long loading took.
    pub load_ms: u64,
    /// How long the answer took.
    pub answer_ms: u64,
    /// Tokens that a chat model read for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<usize>,
    /// Tokens that a chat model wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_tokens: Option<usize>,
    /// Tokens of a chat model's window under this configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<usize>,
    /// Numbers of an encoder's embedding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<usize>,
}

const REPLY_TOKENS: usize = 4;
const QUERY: &str = "Which port does the server use?";
const ANSWER: &str = "The server listens on port 7878.";
const OTHER: &str = "The cat sleeps in the sun.";

/// Loads a model and asks it one thing. Blocks.
///
/// # Errors
///
/// Fails where it cannot be loaded, or its answer is none.
pub(super) fn trial(kind: Kind, path: &Path, max_window: usize) -> anyhow::Result<Trial> {
    let start = Instant::now();
    match kind {
        Kind::Chat => chat(path, max_window, start),
        Kind::Reranker => reranker(path, start),
        Kind::Encoder => encoder(path, start),
    }
}

fn chat(path: &Path, max_window: usize, start: Instant) -> anyhow::Result<Trial> {
    let mut model = ChatModel::load(path, &LoadOptions { max_window, ..LoadOptions::default() })?;
    let load_ms = since(start);
    let start = Instant::now();
    let generation = Generation { max_tokens: REPLY_TOKENS, ..Generation::default() };
    let reply = model.generate(&Prompt { system: "", user: "Say yes." }, &generation, &|| true)?;
    anyhow::ensure!(reply.tokens > 0, "it wrote nothing");
    Ok(Trial {
        prompt_tokens: Some(reply.prompt_tokens),
        reply_tokens: Some(reply.tokens),
        window_tokens: Some(model.window()),
        ..Trial::of(model.hash(), load_ms, since(start))
    })
}

fn reranker(path: &Path, start: Instant) -> anyhow::Result<Trial> {
    let model = CrossEncoder::load(path)?;
    let load_ms = since(start);
    let start = Instant::now();
    let scores = model.score(QUERY, &[ANSWER, OTHER], &|| true)?;
    let [answer, other] = scores.as_slice() else { anyhow::bail!("it scored {} of 2 texts", scores.len()) };
    anyhow::ensure!(answer > other, "it scores the answer ({answer}) no higher than another text ({other})");
    Ok(Trial::of(model.hash(), load_ms, since(start)))
}

fn encoder(path: &Path, start: Instant) -> anyhow::Result<Trial> {
    let model = SentenceEncoder::load(path)?;
    let load_ms = since(start);
    let start = Instant::now();
    let points = model.embed(&[QUERY, ANSWER, OTHER], &|| true)?;
    let [query, answer, other] = points.as_slice() else { anyhow::bail!("it embedded {} of 3 texts", points.len()) };
    let (near, far) = (dot(query, answer), dot(query, other));
    anyhow::ensure!(near > far, "it puts the answer ({near}) no nearer than another text ({far})");
    Ok(Trial { dimensions: Some(model.dimensions()), ..Trial::of(model.hash(), load_ms, since(start)) })
}

impl Trial {
    fn of(hash: &str, load_ms: u64, answer_ms: u64) -> Self {
        Self {
            hash: hash.to_owned(),
            load_ms,
            answer_ms,
            prompt_tokens: None,
            reply_tokens: None,
            window_tokens: None,
            dimensions: None,
        }
    }

    /// Returns it in words.
    pub(super) fn said(&self) -> String {
        let mut said = format!("loaded in {} ms, answered in {} ms", self.load_ms, self.answer_ms);
        let numbers = [
            ("tokens read", self.prompt_tokens),
            ("tokens written", self.reply_tokens),
            ("tokens of window", self.window_tokens),
            ("dimensions", self.dimensions),
        ];
        for (what, number) in numbers {
            said.extend(number.map(|number| format!(", {number} {what}")));
        }
        said
    }
}

fn dot(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}
