//! Real models: the whole way works, and nothing invented is served.

use std::path::PathBuf;

use recap_core::compress::llm::Grounds;
use recap_core::context::{Compression, RULES};
use serde_json::{Value, json};

use super::endpoint::{Endpoint, good};
use super::{Bench, TURNS, by_model, recaps, told};
use crate::app::TestApp;
use crate::run::{tool_run, tool_turn};
use crate::store::bed::Bed;
use crate::support::llm_server::LlmServer;

/// Words of a turn: models compute slowly here.
const SMALL: usize = 40;

/// Everything that was sent, as one text.
fn sent(turns: usize, words: usize) -> String {
    let texts = tool_run(turns, words).into_iter().flat_map(|message| {
        let call = message["tool_calls"][0]["function"]["arguments"].as_str().unwrap_or_default().to_owned();
        [message["content"].as_str().unwrap_or_default().to_owned(), call]
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_model_tells_what_stands_there_or_rules_serve() {
    let Some(server) = LlmServer::start("smollm2-135m.gguf") else {
        return;
    };
    let values = [
        ("llm.base_url", server.base_url()),
        ("llm.model", "smollm2-135m"),
        ("llm.timeout_ms", "300000"),
        ("llm.max_attempts", "1"),
        ("llm.window_tokens", "4096"),
        ("llm.max_reply_tokens", "256"),
        ("jobs.max_attempts", "1"),
        ("compress.t_hist", "400"),
        ("context.budget", "1600"),
    ];
    // the scripted endpoint stands for none here: the real one's address goes before it
    let bench = Bench::start(Bed::sqlite().await, Endpoint::open(good).await, &values).await;
    let path = bench.app.trajectory(&json!({})).await;
    bench.app.append(&path, &tool_run(TURNS, SMALL)).await;
    bench.read(&path).await;
    let made = tokio::time::timeout(std::time::Duration::from_mins(10), async {
        loop {
            let rows = super::compressions(&bench.bed.store, &path).await;
            if !rows.is_empty() && super::all_jobs(&bench.bed.store).await.is_empty() {
                return told(&rows);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    let made = made.await.expect("the model never ends");
    let calls = bench.calls(&path).await;
    assert!((1..=2 * made.len()).contains(&calls.len()), "{calls:?}");
    let original = sent(TURNS, SMALL);
    let task = tool_run(0, 0)[1]["content"].as_str().unwrap().to_owned();
    for told in &made {
        if told.text.is_empty() {
            assert_eq!((told.by.compressor.as_str(), told.by.rejected.len()), ("none", 1));
            assert!(
                calls.iter().any(|call| call.outcome != "ok" && call.error.is_some() || call.outcome == "unaccepted")
            );
        } else {
            let invented = told
                .text
                .lines()
                .filter_map(|line| line.strip_prefix("- "))
                .flat_map(|item| Grounds::of([original.as_str(), task.as_str()]).invented(item));
            assert_eq!(invented.collect::<Vec<_>>(), Vec::<&str>::new(), "{}", told.text);
            assert_eq!(told.by.compressor, "llm:smollm2-135m");
        }
    }
    println!(
        "told {} of {} ranges, calls {:?}",
        made.iter().filter(|told| !told.text.is_empty()).count(),
        made.len(),
        calls.iter().map(|call| (&call.outcome, call.prompt_tokens, call.reply_tokens, call.ms)).collect::<Vec<_>>()
    );
    let context = bench.app.post(&format!("{path}/compact"), &json!({})).await.ok();
    let is_told = made.iter().any(|told| !told.text.is_empty());
    assert_eq!(!by_model(&context).is_empty(), is_told, "{}", context["pieces"]);
    assert!(context["tokens"]["total"].as_u64().unwrap() <= 1600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cross_encoder_scores_lines_and_rules_quote_them() {
    let Some(models) = std::env::var_os("RECAPD_TEST_MODELS").map(PathBuf::from) else {
        println!("skipped: RECAPD_TEST_MODELS is not set; `cargo xtask test` sets it");
        return;
    };
    let bed = Bed::sqlite().await;
    let (url, reranker) = (super::address(&bed), models.join("reranker").display().to_string());
    let app = TestApp::start_with(&[
        ("storage.database_url", url.as_str()),
        ("models.reranker", reranker.as_str()),
        ("compress.history", "extract"),
        ("context.budget", "1600"),
        ("context.soft_mark", "0.5"),
        ("context.low_mark", "0.4"),
    ])
    .await;
    let path = app.trajectory(&json!({})).await;
    app.append(&path, &tool_run(TURNS, SMALL)).await;
    let read = async || -> Value { app.get(&format!("{path}/context")).await.ok() };
    let mut before = read().await;
    // one job for each turn that the next epoch would cover
    let made = super::made(&bed.store, &path, TURNS - 1).await;
    for made in &made {
        let Compression::Scored(scored) = made else { panic!("{made:?}") };
        assert!(scored.by.compressor.starts_with("extract:reranker"), "{:?}", scored.by);
        assert!(!scored.scores.is_empty() && scored.scores.iter().all(|(_, score)| (0.0..=1.0).contains(score)));
    }
    assert_eq!(read().await["messages"], before["messages"]);
    let mut epochs = 0;
    for turn in TURNS..TURNS + 6 {
        app.append(&path, &tool_turn(turn, SMALL)).await;
        let now = read().await;
        if now["epoch"] == before["epoch"] {
            super::only_grew(&before, &now);
        } else {
            epochs += 1;
            let pieces = recaps(&now);
            assert!(!pieces.is_empty());
            // a section of turns that no model has scored yet names the rules alone
            let compressors: Vec<&str> = pieces.iter().map(|piece| piece["compressor"].as_str().unwrap()).collect();
            assert!(compressors.iter().all(|compressor| compressor.ends_with(RULES)), "{compressors:?}");
            let scored = |compressor: &&str| compressor.starts_with("extract:reranker");
            assert!(compressors.iter().any(scored), "{compressors:?}");
        }
        before = now;
    }
    assert!(epochs > 0, "no epoch began");
    super::until("the jobs end", async || super::all_jobs(&bed.store).await.is_empty().then_some(())).await;
    let app = app.restart().await;
    assert_eq!(app.get(&format!("{path}/context")).await.ok()["messages"], before["messages"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cross_encoder_shortens_results() {
    let Some(models) = std::env::var_os("RECAPD_TEST_MODELS").map(PathBuf::from) else {
        println!("skipped: RECAPD_TEST_MODELS is not set; `cargo xtask test` sets it");
        return;
    };
    let bed = Bed::sqlite().await;
    let (url, reranker) = (super::address(&bed), models.join("reranker").display().to_string());
    let app = TestApp::start_with(&[
        ("storage.database_url", url.as_str()),
        ("models.reranker", reranker.as_str()),
        ("compress.observation", "extract"),
        ("compress.history", "rules"),
        ("compress.t_obs", "100"),
        ("context.budget", "4000"),
        ("context.tail_share", "0.5"),
    ])
    .await;
    let path = app.trajectory(&json!({})).await;
    app.append(&path, &tool_run(TURNS, super::WORDS)).await;
    let read = async || -> Value { app.get(&format!("{path}/context")).await.ok() };
    let before = read().await;
    let made = super::made(&bed.store, &path, TURNS).await;
    let original = sent(TURNS, super::WORDS);
    for made in &made {
        let Compression::Condensed(condensed) = made else { panic!("{made:?}") };
        assert!(condensed.by.compressor.starts_with("extract:reranker"), "{:?}", condensed.by);
        assert!((1..=100).contains(&condensed.tokens), "{condensed:?}");
        let quoted = condensed.text.lines().filter(|line| !line.trim_start().starts_with('['));
        for line in quoted.clone() {
            assert!(original.contains(line.trim()), "{line:?} was never said");
        }
        assert!(quoted.count() > 0, "{condensed:?}");
    }
    assert_eq!(read().await["messages"], before["messages"]);

    let context = app.post(&format!("{path}/compact"), &json!({})).await.ok();
    let pieces = context["pieces"].as_array().unwrap();
    let shortened: Vec<&Value> = pieces.iter().filter(|piece| piece["kind"] == "observation").collect();
    assert!(!shortened.is_empty(), "{}", context["pieces"]);
    for piece in shortened {
        let compressor = piece["compressor"].as_str().unwrap();
        assert!(compressor.starts_with("extract:reranker") && compressor.ends_with(RULES), "{piece}");
        assert!(piece["guideline"].as_str().unwrap().starts_with("default/observation@b3:"), "{piece}");
        assert!(piece["tokens"].as_u64() < piece["full_tokens"].as_u64(), "{piece}");
    }
    super::only_grew(&context, &read().await);
    let app = app.restart().await;
    assert_eq!(app.get(&format!("{path}/context")).await.ok()["messages"], context["messages"]);
}
