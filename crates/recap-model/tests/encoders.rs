//! The encoders with real weights: `RECAPD_TEST_MODELS` names a folder with `minilm` (all-MiniLM-L6-v2, safetensors) and
//! `reranker` (ms-marco-MiniLM-L-12-v2, ONNX with 8-bit weights).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests may fail loudly, and say what they pass over")]

use std::cell::Cell;
use std::path::PathBuf;

use recap_model::bert::{CrossEncoder, SentenceEncoder, relevance};
use recap_model::extract::score_units;
use recap_model::{Encoder, Health, ModelError, Reranker};

/// Returns a model's folder; without one the test says so and passes.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
fn model(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("RECAPD_TEST_MODELS").map(|models| PathBuf::from(models).join(name));
    if folder.is_none() {
        println!("skipped: RECAPD_TEST_MODELS is not set");
    }
    folder
}

const QUERY: &str = "How many requests per minute does the API allow?";

/// Pairs with their logits: by the model's definition in double precision on the weights that the 8-bit ones stand for, and
/// by onnxruntime 1.32 with the file's own graph, which also rounds what flows between the layers to 8 bits. One pair at a
/// time, without padding.
const LOGITS: [(&str, &str, f32, f32); 8] = [
    (QUERY, "The rate limit is 600 requests per minute for each key; beyond it the server answers 429.", 6.047, 6.002),
    (QUERY, "Requests are retried three times with exponential backoff.", -9.373, -9.643),
    (QUERY, "The quick brown fox jumps over the lazy dog.", -11.277, -11.277),
    (QUERY, "rate_limit: 600", -9.503, -9.830),
    ("which test failed", "test store::compact::tests::drops_expired ... FAILED", 2.576, 2.498),
    ("which test failed", "test store::compact::tests::keeps_live ... ok", -8.858, -8.950),
    (
        "Wie heißt die Hauptstadt von Frankreich?",
        "Paris ist die Hauptstadt und größte Stadt Frankreichs.",
        4.705,
        4.875,
    ),
    ("who wrote the report", "報告書は田中さんが書きました。", -10.690, -10.543),
];

#[test]
fn eight_bit_weights_are_read_exactly() {
    let Some(folder) = model("reranker") else { return };
    let model = CrossEncoder::load(&folder).unwrap();
    for (query, text, exact, runtime) in LOGITS {
        let logit = model.score(query, &[text], &|| true).unwrap()[0];
        assert!((logit - exact).abs() < 0.01, "{text}: {logit}, not {exact}");
        assert!((logit - runtime).abs() < 0.4, "{text}: {logit}, the runtime gives {runtime}");
    }
}

#[test]
fn scores_do_not_depend_on_the_batch() {
    let Some(folder) = model("reranker") else { return };
    let model = CrossEncoder::load(&folder).unwrap();
    let long = "The service keeps a journal of every change. ".repeat(80);
    let texts: Vec<&str> = LOGITS.iter().map(|(_, text, ..)| *text).chain([long.as_str(), ""]).collect();
    let together = model.score(QUERY, &texts, &|| true).unwrap();
    for (text, together) in texts.iter().zip(together) {
        let alone = model.score(QUERY, &[text], &|| true).unwrap()[0];
        assert!((alone - together).abs() < 1e-3, "{text}: {alone} alone, {together} in a batch");
    }
}

#[test]
fn long_texts_and_queries_are_cut_at_their_ends() {
    let Some(folder) = model("reranker") else { return };
    let model = CrossEncoder::load(&folder).unwrap();
    let score = |query: &str, text: &str| model.score(query, &[text], &|| true).unwrap()[0];
    let long = "The service keeps a journal of every change. ".repeat(80);
    let answer = "The rate limit is 600 requests per minute.";
    // onnxruntime, cut to 512 tokens
    assert!((score(QUERY, &format!("{long}{answer}")) + 10.652).abs() < 0.1);
    assert!(score(QUERY, &format!("{answer} {long}")) > -5.0);
    // half of the positions stay the text's
    assert!(
        score(&QUERY.repeat(200), answer) > score(&QUERY.repeat(200), "The quick brown fox jumps over the lazy dog.")
    );
}

#[test]
fn work_that_nobody_wants_ends_after_the_batch() {
    let Some(folder) = model("reranker") else { return };
    let model = CrossEncoder::load(&folder).unwrap();
    let asked = Cell::new(0);
    let once = || asked.replace(asked.get() + 1) < 1;
    let result = model.score(QUERY, &["a line of text"; 40], &once);
    assert!(matches!(result, Err(ModelError::Cancelled)));
    assert_eq!(asked.get(), 2);
}

#[test]
fn units_that_answer_score_high_within_the_bound_of_tokens() {
    let Some(folder) = model("reranker") else { return };
    let model = CrossEncoder::load(&folder).unwrap();
    let units = ["---", "Starting the server.", LOGITS[0].1, "Starting the server.", "It listens on port 8080."];
    let scores = score_units(&model, QUERY, &units, usize::MAX, &|| true).unwrap();
    let scores: Vec<f32> = scores.into_iter().map(Option::unwrap).collect();
    assert!(scores[2] > 0.99 && scores[1] < 0.01 && scores[4] < 0.01, "{scores:?}");
    assert_eq!((scores[0], scores[1]), (0.0, scores[3]));
    assert!((scores[2] - relevance(LOGITS[0].2)).abs() < 0.01);
    // room for the first text alone
    let bounded = score_units(&model, QUERY, &units, 30, &|| true).unwrap();
    assert_eq!(bounded.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, true, false]);
}

/// Texts with the first numbers of their embeddings, computed in double precision by the definition of the model
/// (transformers' BERT, sentence-transformers' mean pooling).
const EMBEDDINGS: [(&str, [f32; 6]); 6] = [
    ("The rate limit is 600 requests per minute.", [-0.0437, -0.0139, -0.0742, -0.0345, -0.0571, -0.0447]),
    ("Each key may send six hundred requests a minute.", [0.0118, -0.0165, -0.0593, -0.0498, -0.1335, -0.0557]),
    ("The cat sleeps on the warm windowsill.", [0.1075, -0.0112, -0.0337, 0.1452, -0.0401, 0.0343]),
    ("A cat is napping on the sunny window ledge.", [0.0821, 0.0252, -0.0635, 0.0929, -0.0507, 0.0179]),
    ("Größe und Länge: café naïve", [0.0133, 0.0494, 0.0171, 0.0189, 0.0027, 0.0757]),
    ("x = compact.rs:212:9", [0.0124, 0.0434, -0.0909, 0.0136, 0.0139, 0.0384]),
];

fn embed_all(model: &SentenceEncoder) -> Vec<Vec<f32>> {
    model.embed(&EMBEDDINGS.map(|(text, _)| text), &|| true).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn embeddings_are_those_of_the_definition() {
    let Some(folder) = model("minilm") else { return };
    let model = SentenceEncoder::load(&folder).unwrap();
    assert_eq!(model.dimensions(), 384);
    for (embedding, (text, expected)) in embed_all(&model).iter().zip(EMBEDDINGS) {
        assert_eq!(embedding.len(), 384);
        assert!((cosine(embedding, embedding) - 1.0).abs() < 1e-4);
        for (number, expected) in embedding.iter().zip(expected) {
            assert!((number - expected).abs() < 2e-4, "{text}: {number}, not {expected}");
        }
    }
}

#[test]
fn paraphrases_are_nearer_than_other_texts() {
    let Some(folder) = model("minilm") else { return };
    let embeddings = embed_all(&SentenceEncoder::load(&folder).unwrap());
    let near = |a: usize, b: usize| cosine(&embeddings[a], &embeddings[b]);
    assert!((near(0, 1) - 0.676).abs() < 2e-3 && (near(2, 3) - 0.734).abs() < 2e-3);
    for (a, b) in [(0, 2), (0, 3), (0, 4), (0, 5), (1, 2), (1, 3), (1, 4), (1, 5), (2, 4), (3, 5), (4, 5)] {
        assert!(near(a, b) < 0.2, "{a} and {b}: {}", near(a, b));
    }
}

#[tokio::test]
async fn handles_answer_and_name_what_answered() {
    let (Some(reranker), Some(minilm)) = (model("reranker"), model("minilm")) else { return };
    let reranker = Reranker::start("ms-marco", reranker, 4).unwrap();
    let encoder = Encoder::start("all-minilm", minilm, 4).unwrap();
    let scores = reranker.score(QUERY.to_owned(), vec![LOGITS[0].1.to_owned()]).await.unwrap();
    assert!((scores[0] - LOGITS[0].2).abs() < 0.1);
    let units = reranker.score_units(QUERY.to_owned(), vec!["---".to_owned()], 100).await.unwrap();
    assert_eq!(units, [Some(0.0)]);
    assert_eq!(encoder.embed(vec![QUERY.to_owned()]).await.unwrap()[0].len(), encoder.dimensions().await.unwrap());
    assert_eq!((reranker.name(), encoder.name()), ("ms-marco", "all-minilm"));
    let hashes = [reranker.hash().unwrap(), encoder.hash().unwrap()];
    assert!(hashes.iter().all(|hash| hash.len() == 64) && hashes[0] != hashes[1]);
    reranker.stop().await;
    assert_eq!((reranker.health(), encoder.health()), (Health::Stopped, Health::Ready));
}

#[tokio::test]
async fn a_folder_that_is_no_model_fails_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let encoder = Encoder::start("none", folder.path().to_owned(), 1).unwrap();
    let error = encoder.ready().await.unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
    assert_eq!(encoder.hash(), None);
}
