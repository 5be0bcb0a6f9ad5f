//! A model that does not answer (law 6).

use std::collections::HashSet;

use recap_core::context::RULES;
use serde_json::json;

use super::endpoint::{Endpoint, MARK, good};
use super::{Bench, PATIENCE, by_model, only_grew, recaps, text, told, until};
use crate::run::tool_run;
use crate::store::bed::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn law_6_reads_across_epochs_do_not_wait_for_a_model_that_hangs() {
    let bench = Bench::start(Bed::sqlite().await, Endpoint::held(good).await, &[]).await;
    let path = bench.app.trajectory(&json!({})).await;
    bench.app.append(&path, &tool_run(1, super::WORDS)).await;
    let mut epochs = HashSet::new();
    let mut preparing = 0;
    let reads = async {
        let mut before = bench.read(&path).await;
        for turn in 1..30 {
            let now = bench.grow(&path, turn).await;
            if now["epoch"] == before["epoch"] {
                only_grew(&before, &now);
            }
            assert!(recaps(&now).iter().all(|piece| piece["compressor"] == RULES), "{now}");
            if now["next"]["compaction"] == "preparing" {
                preparing += 1;
                until("the model is asked", async || (bench.endpoint.pending() == 1).then_some(())).await;
            }
            epochs.insert(now["epoch"].as_u64());
            before = now;
        }
    };
    tokio::time::timeout(PATIENCE, reads).await.expect("a read waits for the model");
    assert!(epochs.len() >= 3 && preparing >= 2, "{epochs:?} {preparing}");
    assert_eq!((bench.endpoint.pending(), bench.endpoint.answered()), (1, 0), "the model hangs no more");

    bench.endpoint.release();
    told(&bench.made(&path, 1).await);
    let swapped = bench.app.post(&format!("{path}/compact"), &json!({})).await.ok();
    assert!(!by_model(&swapped).is_empty() && text(&swapped).contains(MARK), "{}", swapped["pieces"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn law_6_nothing_is_asked_below_the_soft_mark() {
    let endpoint = Endpoint::open(good).await;
    let bench = Bench::start(Bed::sqlite().await, endpoint, &[("context.soft_mark", "0.95")]).await;
    let path = bench.app.trajectory(&json!({})).await;
    bench.app.append(&path, &tool_run(super::TURNS, super::WORDS)).await;
    assert_eq!(bench.read(&path).await["next"]["compaction"], "idle");
    // another trajectory, past its mark: what was asked before it is heard before it
    let other = bench.run(&json!({ "budget": 2400 })).await;
    bench.made(&other, 1).await;
    assert!(bench.calls(&path).await.is_empty());
}
