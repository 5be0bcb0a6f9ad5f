//! `recapd model bench`

use std::path::Path;

use clap::Args;
use recap_model::bert::{CrossEncoder, SentenceEncoder};
use recap_model::causal::{ChatModel, LoadOptions};
use serde::Serialize;
use tokio::time::Instant;

use super::{entry, shelf};
use crate::cli::{Done, Setting, output};
use crate::models::Kind;

/// Measure how fast a model is on this machine, in a single run: sizes, not records.
#[derive(Debug, Args)]
pub struct Bench {
    /// A model's name, or a path
    #[arg(value_name = "MODEL")]
    name: String,
    /// Tokens that a chat model reads
    #[arg(long, value_name = "TOKENS", default_value_t = 512)]
    prompt_tokens: usize,
    /// Tokens that a chat model writes behind them
    #[arg(long, value_name = "TOKENS", default_value_t = 32)]
    new_tokens: usize,
    /// Texts that an encoder reads
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    texts: usize,
    /// Words of each text
    #[arg(long, value_name = "COUNT", default_value_t = 12)]
    words: usize,
    /// Threads; `models.threads` of the configuration where it is left out
    #[arg(long, value_name = "COUNT")]
    pub(super) threads: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Report {
    name: String,
    kind: Kind,
    threads: usize,
    load_ms: u64,
    #[serde(flatten)]
    speed: Speed,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Speed {
    Chat { prompt_tokens: usize, prompt_tokens_per_s: f64, new_tokens: usize, new_tokens_per_s: f64 },
    Texts { texts: usize, words: usize, texts_per_s: f64 },
}

impl Bench {
    /// Measures.
    ///
    /// # Errors
    ///
    /// Fails where the model cannot be loaded or its window is too small.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let config = setting.load(&[])?.config;
        let found = entry(&shelf(setting, &config), &self.name)?;
        let threads = recap_model::bound_threads(self.threads.unwrap_or(config.models.threads));
        let (kind, path) = (found.kind, found.path);
        let measured = tokio::task::spawn_blocking(move || self.measure(kind, &path)).await?;
        let (load_ms, speed) = measured?;
        let report = Report { name: found.name, kind, threads: threads.barrier, load_ms, speed };
        if setting.json {
            output::say_json(&report)?;
        } else {
            output::say(&report.said())?;
        }
        Ok(Done::Well)
    }

    fn measure(&self, kind: Kind, path: &Path) -> anyhow::Result<(u64, Speed)> {
        let start = Instant::now();
        let loaded = || u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let texts = self.texts();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        Ok(match kind {
            Kind::Chat => {
                let max_window = self.prompt_tokens.max(1) + self.new_tokens.max(1);
                let mut model = ChatModel::load(path, &LoadOptions { max_window, ..LoadOptions::default() })?;
                let load_ms = loaded();
                let speeds = recap_model::causal::bench(&mut model, self.prompt_tokens, self.new_tokens)?;
                let (prompt_tokens, new_tokens) = (self.prompt_tokens.max(1), self.new_tokens.max(1));
                let (prompt_tokens_per_s, new_tokens_per_s) = (speeds.prompt_tok_s, speeds.gen_tok_s);
                (load_ms, Speed::Chat { prompt_tokens, prompt_tokens_per_s, new_tokens, new_tokens_per_s })
            }
            Kind::Reranker => {
                let model = CrossEncoder::load(path)?;
                let load_ms = loaded();
                let start = Instant::now();
                model.score("Which request did the server refuse?", &texts, &|| true)?;
                (load_ms, self.per_second(start))
            }
            Kind::Encoder => {
                let model = SentenceEncoder::load(path)?;
                let load_ms = loaded();
                let start = Instant::now();
                model.embed(&texts, &|| true)?;
                (load_ms, self.per_second(start))
            }
        })
    }

    /// Returns texts of which no two are alike.
    fn texts(&self) -> Vec<String> {
        const WORDS: [&str; 11] =
            ["server", "request", "limit", "retry", "token", "journal", "closed", "after", "worker", "the", "failed"];
        let word = |at: usize| WORDS.get((at * 7 + at / 5) % WORDS.len()).copied().unwrap_or_default();
        let text = |text: usize| (0..self.words).map(|at| word(text * 31 + at)).collect::<Vec<_>>().join(" ");
        (0..self.texts.max(1)).map(text).collect()
    }

    #[expect(clippy::cast_precision_loss, reason = "a benchmark has no 2^52 texts")]
    fn per_second(&self, start: Instant) -> Speed {
        let texts = self.texts.max(1);
        Speed::Texts { texts, words: self.words, texts_per_s: texts as f64 / start.elapsed().as_secs_f64() }
    }
}

impl Report {
    fn said(&self) -> String {
        let Self { name, kind, threads, load_ms, speed } = self;
        let speed = match speed {
            Speed::Chat { prompt_tokens, prompt_tokens_per_s, new_tokens, new_tokens_per_s } => format!(
                "{prompt_tokens_per_s:.1} tokens/s read ({prompt_tokens}), {new_tokens_per_s:.1} tokens/s written \
                 ({new_tokens})"
            ),
            Speed::Texts { texts, words, texts_per_s } => {
                format!("{texts_per_s:.1} texts/s ({texts} texts of {words} words)")
            }
        };
        let threads = if *threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
        format!("{name} ({}): {speed}; {threads}, loaded in {load_ms} ms", kind.name())
    }
}
