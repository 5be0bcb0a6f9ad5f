//! A model that does what it is asked: its recap stands from the next epoch on, and stays.

use recap_core::context::RULES;
use serde_json::{Value, json};

use super::endpoint::{Endpoint, good, said};
use super::{Bench, TURNS, by_model, only_grew, recaps, text, told, until};
use crate::store::bed::{Bed, on_each_engine};

on_each_engine!(law_5_a_recap_stands_from_the_next_epoch_on, law_5_and_12_recaps_and_makers_survive_a_restart);

async fn law_5_a_recap_stands_from_the_next_epoch_on(bed: Bed) {
    let bench = Bench::start(bed, Endpoint::held(good).await, &[]).await;
    let path = bench.run(&json!({ "agent": "mender" })).await;
    until("the model is asked", async || (bench.endpoint.pending() == 1).then_some(())).await;
    let before = bench.read(&path).await;
    assert_eq!(before["next"]["compaction"], "preparing");
    bench.endpoint.release();
    let made = told(&bench.made(&path, 1).await);
    let after = bench.read(&path).await;
    assert_eq!((&after["messages"], &after["pieces"]), (&before["messages"], &before["pieces"]));
    assert_eq!(after["next"]["compaction"], "ready");

    let (context, _) = bench.grow_to_epoch(&path, TURNS).await;
    let [piece] = &by_model(&context)[..] else { panic!("{}", context["pieces"]) };
    assert_eq!(piece["compressor"], format!("llm:m+{RULES}"));
    assert!(piece["guideline"].as_str().unwrap().starts_with("default/history@b3:"), "{piece}");
    assert!(piece["facts_appended"].as_u64() > Some(0), "{piece}");
    assert!(piece["tokens"].as_u64() < piece["full_tokens"].as_u64(), "law 4: {piece}");
    let section =
        context["messages"][usize::try_from(piece["index"].as_u64().unwrap()).unwrap()]["content"].as_str().unwrap();
    assert!(section.contains(made[0].text.trim_end()), "{section}");
    assert!(context["tokens"]["total"].as_u64().unwrap() <= 4000);

    bench.quiet().await;
    let calls = bench.calls(&path).await;
    assert_eq!(calls.len(), bench.endpoint.sources().len());
    for call in &calls {
        let what = (call.agent.as_str(), call.purpose.as_str(), call.backend.as_str(), call.model.as_str());
        assert_eq!(what, ("mender", "compress_history", "remote", "m"));
        assert_eq!((call.outcome.as_str(), call.error.as_deref()), ("ok", None));
        assert_eq!((call.prompt_tokens, call.reply_tokens, call.job.is_some()), (12, 3, true));
    }
}

async fn law_5_and_12_recaps_and_makers_survive_a_restart(bed: Bed) {
    let bench = Bench::start(bed, Endpoint::open(good).await, &[]).await;
    let path = bench.run(&json!({})).await;
    bench.made(&path, 1).await;
    let (context, turn) = bench.grow_to_epoch(&path, TURNS).await;
    assert_eq!(by_model(&context).len(), 1);
    bench.quiet().await;
    let (before, requests) = (bench.read(&path).await, bench.endpoint.sources().len());

    let Bench { app, endpoint, bed } = bench;
    let bench = Bench { app: app.restart().await, endpoint, bed };
    let after = bench.read(&path).await;
    for part in ["messages", "pieces", "epoch", "tokens", "omitted"] {
        assert_eq!(after[part], before[part], "{part}");
    }
    let epoch = bench.app.get(&format!("{path}/epochs/{}", before["epoch"])).await.ok();
    let makers: Vec<&Value> = epoch["record"]["sections"].as_array().unwrap().iter().map(|part| &part["by"]).collect();
    assert!(makers.iter().any(|by| by["compressor"] == "llm:m"), "{makers:?}");
    bench.quiet().await;
    assert_eq!(bench.endpoint.sources().len(), requests, "the model was asked again");

    let (next, _) = bench.grow_to_epoch(&path, turn).await;
    assert!(text(&next).contains(&said(0)), "the first recap is gone: {:?}", recaps(&next));
    bench.quiet().await;
    told(&super::compressions(&bench.bed.store, &path).await);
    assert_eq!(bench.endpoint.asked_for(1), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_epoch_that_begins_while_the_model_works_changes_nothing_later() {
    let bench = Bench::start(Bed::sqlite().await, Endpoint::held(good).await, &[]).await;
    let path = bench.run(&json!({})).await;
    let (context, turn) = bench.grow_to_epoch(&path, TURNS).await;
    assert!(by_model(&context).is_empty(), "{}", context["pieces"]);
    bench.endpoint.release();
    bench.made(&path, 1).await;
    let after = bench.read(&path).await;
    only_grew(&context, &after);
    assert_eq!(after["pieces"], context["pieces"]);
    let (next, _) = bench.grow_to_epoch(&path, turn).await;
    assert!(!by_model(&next).is_empty(), "{}", next["pieces"]);
}
