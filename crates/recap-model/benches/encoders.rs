//! How many texts the encoders read in a second, by their length. Needs `RECAPD_TEST_MODELS`, a folder with `minilm` and
//! `reranker`.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail loudly")]

use std::path::PathBuf;

use divan::Bencher;
use divan::counter::ItemsCount;
use recap_model::bert::{CrossEncoder, SentenceEncoder};

/// Texts of a request.
const TEXTS: usize = 32;

fn main() {
    if models().is_none() {
        eprintln!("nothing measured: RECAPD_TEST_MODELS is not set");
        return;
    }
    divan::main();
}

#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration")]
fn models() -> Option<PathBuf> {
    std::env::var_os("RECAPD_TEST_MODELS").map(PathBuf::from)
}

/// Returns texts of so many words, no two alike.
fn texts(words: usize) -> Vec<String> {
    const WORDS: [&str; 11] =
        ["server", "request", "limit", "retry", "token", "journal", "closed", "after", "worker", "the", "failed"];
    let word = |at: usize| WORDS[(at * 7 + at / 5) % WORDS.len()];
    (0..TEXTS).map(|text| (0..words).map(|at| word(text * 31 + at)).collect::<Vec<_>>().join(" ")).collect()
}

#[divan::bench(args = [12, 60, 200], sample_count = 5, sample_size = 1)]
fn score(bencher: Bencher, words: usize) {
    let model = CrossEncoder::load(&models().unwrap().join("reranker")).unwrap();
    let texts = texts(words);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let query = "Which request did the server refuse, and when may it be sent again?";
    bencher.counter(ItemsCount::new(TEXTS)).bench_local(|| model.score(query, &texts, &|| true).unwrap());
}

#[divan::bench(args = [12, 60, 200], sample_count = 5, sample_size = 1)]
fn embed(bencher: Bencher, words: usize) {
    let model = SentenceEncoder::load(&models().unwrap().join("minilm")).unwrap();
    let texts = texts(words);
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    bencher.counter(ItemsCount::new(TEXTS)).bench_local(|| model.embed(&texts, &|| true).unwrap());
}
