//! Compares two scorers of lines on made-up texts: a cross-encoder that reads each line with a query, and the
//! self-information of a causal model, which knows no query (Selective Context).
//!
//! `cargo run --release -p recap-model --example line_scorers -- RERANKER_FOLDER CHAT.gguf` prints, for each text, at which
//! rank each scorer puts the line that answers the query (1 is best), and how long it took.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use recap_model::bert::CrossEncoder;
use recap_model::causal::{ChatModel, LoadOptions};

struct Case {
    name: &'static str,
    query: &'static str,
    lines: Vec<String>,
    answer: usize,
}

#[expect(clippy::disallowed_methods, reason = "how long scoring takes is what is measured")]
fn now() -> Instant {
    Instant::now()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(reranker), Some(chat)) = (arguments.next(), arguments.next()) else {
        return Err("give the folder of a cross-encoder and a GGUF file".into());
    };
    let cross = CrossEncoder::load(Path::new(&reranker))?;
    let mut causal = ChatModel::load(Path::new(&chat), &LoadOptions::default())?;
    let mut table = String::from("text | lines | cross-encoder rank, ms | self-information rank, ms\n");
    for case in cases() {
        let lines: Vec<&str> = case.lines.iter().map(String::as_str).collect();
        let start = now();
        let by_query = cross.score(case.query, &lines, &|| true)?;
        let cross_ms = start.elapsed().as_millis();
        let start = now();
        let by_surprise = causal.unit_scores(&lines, &|| true)?;
        let causal_ms = start.elapsed().as_millis();
        let (name, count) = (case.name, lines.len());
        let ranks = [rank(&by_query, case.answer), rank(&by_surprise, case.answer)];
        writeln!(table, "{name} | {count} | {}, {cross_ms} | {}, {causal_ms}", ranks[0], ranks[1])?;
    }
    std::io::Write::write_all(&mut std::io::stdout(), table.as_bytes())?;
    Ok(())
}

/// At which place a line stands when the best score comes first.
fn rank(scores: &[f32], line: usize) -> usize {
    let own = scores.get(line).copied().unwrap_or(f32::MIN);
    1 + scores.iter().filter(|score| **score > own).count()
}

fn cases() -> Vec<Case> {
    vec![test_log(), api_reply(), page()]
}

fn test_log() -> Case {
    let mut lines: Vec<String> =
        (0..40).map(|n| format!("test store::pages::case_{n:02} ... ok ({} ms)", 3 + n * 7 % 11)).collect();
    lines.insert(23, "test cache::evicts_the_oldest ... FAILED (expected 64 entries, found 65)".to_owned());
    Case { name: "test log", query: "Why does the cache test fail?", lines, answer: 23 }
}

fn api_reply() -> Case {
    let mut lines: Vec<String> = (0..30)
        .map(|n| {
            format!("{{\"id\": \"FL{:03}\", \"from\": \"OSL\", \"to\": \"CDG\", \"seats\": {}}}", 100 + n * 13, n % 5)
        })
        .collect();
    lines.insert(17, "{\"id\": \"FL999\", \"from\": \"OSL\", \"to\": \"LIS\", \"seats\": 2}".to_owned());
    Case { name: "API reply", query: "Book a flight from Oslo (OSL) to Lisbon (LIS).", lines, answer: 17 }
}

fn page() -> Case {
    let lines = [
        "The service keeps its data in one folder.",
        "Every setting can be given in a file or in the environment.",
        "Values in the environment go before those in the file.",
        "Logs are written to standard error, one line for each event.",
        "A stop waits for requests in work, at most thirty seconds.",
        "Requests without a key are answered 401 unless they come from loopback.",
        "Sessions expire after 3600 seconds without a request; session_ttl changes that.",
        "The metrics endpoint needs no key on loopback.",
        "Backups can be made while the service runs.",
        "Two processes cannot share one folder.",
        "The schema is migrated when the service starts.",
        "An older program refuses a newer schema.",
    ];
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    Case { name: "page", query: "How long does a login stay valid, and where is it set?", lines, answer: 6 }
}
