//! Single results, shortened by a model.

use recap_core::context::{Compression, RULES};
use serde_json::{Value, json};

use super::endpoint::{Endpoint, MARK, good, said};
use super::{Bench, TURNS, WORDS, only_grew, text, until};
use crate::run::tool_run;
use crate::store::bed::Bed;

/// Results of more than 100 tokens, and turns kept as messages up to half of the room.
const VALUES: [(&str, &str); 4] = [
    ("compress.observation", "llm"),
    ("compress.history", "rules"),
    ("compress.t_obs", "100"),
    ("context.tail_share", "0.5"),
];

fn shortened(context: &Value) -> Vec<Value> {
    context["pieces"].as_array().unwrap().iter().filter(|piece| piece["kind"] == "observation").cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_results_are_short_from_the_next_epoch_on() {
    let bench = Bench::start(Bed::sqlite().await, Endpoint::held(good).await, &VALUES).await;
    let path = bench.run(&json!({})).await;
    until("the model is asked", async || (bench.endpoint.pending() == 1).then_some(())).await;
    let before = bench.read(&path).await;
    bench.endpoint.release();
    let made = bench.made(&path, TURNS).await;
    assert_eq!((made.len(), bench.endpoint.sources().len()), (TURNS, TURNS), "each result is asked for once");
    let after = bench.read(&path).await;
    assert_eq!((&after["messages"], &after["pieces"]), (&before["messages"], &before["pieces"]));

    let context = bench.app.post(&format!("{path}/compact"), &json!({})).await.ok();
    let pieces = shortened(&context);
    assert!(pieces.len() >= 2, "{}", context["pieces"]);
    for piece in &pieces {
        assert_eq!(piece["compressor"], format!("llm:m+{RULES}"));
        assert!(piece["guideline"].as_str().unwrap().starts_with("default/observation@b3:"), "{piece}");
        assert!(piece["tokens"].as_u64() < piece["full_tokens"].as_u64(), "{piece}");
        let turn = usize::try_from(piece["turns"][0].as_u64().unwrap()).unwrap();
        let result =
            context["messages"][usize::try_from(piece["index"].as_u64().unwrap()).unwrap() + 1]["content"].clone();
        let result = result.as_str().unwrap();
        assert!(result.contains(&said(turn - 1)), "{result}");
        let handle = result.split("[shortened; whole: ").nth(1).unwrap().trim_end_matches(']');
        let original = bench.app.get(&format!("/v1/originals/{handle}?trajectory={}", super::id(&path))).await;
        let sent = tool_run(TURNS, WORDS)[2 * turn + 1]["content"].as_str().unwrap().to_owned();
        assert_eq!((original.status, original.text()), (200, sent.as_str()));
    }
    let last = |context: &Value| context["messages"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last(&context), last(&before), "the last turn is whole");
    assert!(context["warnings"].as_array().unwrap().is_empty(), "{}", context["warnings"]);
    only_grew(&context, &bench.grow(&path, TURNS).await);
    bench.made(&path, TURNS + 1).await;
    only_grew(&context, &bench.read(&path).await);
    assert!(bench.calls(&path).await.iter().all(|call| call.purpose == "compress_observation"));
}

#[tokio::test(flavor = "multi_thread")]
async fn results_that_no_model_can_shorten_stay_whole() {
    let endpoint = Endpoint::open(|_| crate::llm::script::Step::says("plum")).await;
    let bench = Bench::start(Bed::sqlite().await, endpoint, &VALUES).await;
    let path = bench.run(&json!({})).await;
    let made = bench.made(&path, TURNS).await;
    assert!(made.iter().all(|made| matches!(made, Compression::Condensed(condensed) if condensed.text.is_empty())));
    let context = bench.app.post(&format!("{path}/compact"), &json!({})).await.ok();
    assert!(shortened(&context).is_empty() && !text(&context).contains("plum"), "{}", context["pieces"]);
    assert_eq!(bench.endpoint.sources().len(), 2 * TURNS, "one repair each");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_together_are_done_and_warned_of() {
    let history = [("compress.history", "llm"), ("compress.t_hist", "300"), ("context.tail_share", "0.1")];
    let values = [&VALUES[..], &history].concat();
    let bench = Bench::start(Bed::sqlite().await, Endpoint::open(good).await, &values).await;
    let path = bench.run(&json!({})).await;
    bench.made(&path, TURNS + 1).await;
    let (context, _) = bench.grow_to_epoch(&path, TURNS).await;
    bench.quiet().await;
    assert_eq!(context["warnings"], json!(["observation_and_history_compressed"]));
    assert!(text(&context).contains(MARK));
    let purposes: std::collections::HashSet<String> =
        bench.calls(&path).await.into_iter().map(|call| call.purpose).collect();
    assert_eq!(purposes.len(), 2, "{purposes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_results_of_an_append_are_shortened_though_nobody_reads_meanwhile() {
    let values = [&VALUES[..], &[("limits.cache_sessions", "1")]].concat();
    let bench = Bench::start(Bed::sqlite().await, Endpoint::held(good).await, &values).await;
    let path = bench.app.trajectory(&json!({})).await;
    bench.app.append(&path, &tool_run(3, WORDS)).await;
    until("the model is asked", async || (bench.endpoint.pending() == 1).then_some(())).await;
    // another trajectory takes the only place in memory
    let other = bench.app.trajectory(&json!({})).await;
    bench.app.append(&other, &tool_run(0, WORDS)).await;
    bench.endpoint.release();
    bench.made(&path, 3).await;
}
