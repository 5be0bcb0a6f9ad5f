//! The ledger of model calls.

use recapd::store::{ModelCall, ModelCallFilter, ModelSpending, ModelUsage, StoreError};

use super::bed::{Bed, on_each_engine};

const DAY: i64 = 86_400_000;

on_each_engine!(calls_are_listed, calls_are_summed, law_11_bills_outlive_trajectories);

fn call(at_ms: i64, purpose: &str) -> ModelCall {
    ModelCall {
        at_ms,
        namespace: "n".into(),
        agent: "a".into(),
        purpose: purpose.into(),
        backend: "remote".into(),
        model: "m".into(),
        outcome: "ok".into(),
        prompt_tokens: 100,
        cached_tokens: 40,
        reply_tokens: 10,
        cost_usd_micros: Some(7),
        ms: 5,
        ..ModelCall::default()
    }
}

async fn calls_are_listed(bed: Bed) {
    let job = ModelCall { job: Some("j".into()), agent: String::new(), ..call(3, "reflect") };
    let failed = ModelCall {
        outcome: "timeout".into(),
        cost_usd_micros: None,
        error: Some("é".repeat(600)),
        ..call(2, "compress_history")
    };
    let kept = ModelCall { error: Some("é".repeat(500)), ..failed.clone() };
    bed.store.add_model_calls(vec![call(1, "compress_history"), failed, job.clone()]).await.unwrap();
    bed.store.add_model_calls(Vec::new()).await.unwrap();

    let all = ModelCallFilter::default();
    let page = bed.store.list_model_calls(&all, None, 2).await.unwrap();
    assert_eq!(page.calls, [job.clone(), kept.clone()]);
    let rest = bed.store.list_model_calls(&all, page.next_cursor.as_deref(), 2).await.unwrap();
    assert_eq!((rest.calls, rest.next_cursor), (vec![call(1, "compress_history")], None));
    let bad = bed.store.list_model_calls(&all, Some("x"), 2).await;
    assert!(matches!(bad, Err(StoreError::BadCursor)));

    let some = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (ModelCallFilter { namespace: some("other"), ..all.clone() }, vec![]),
        (ModelCallFilter { agent: some(""), ..all.clone() }, vec![job.clone()]),
        (ModelCallFilter { job: some("j"), ..all.clone() }, vec![job.clone()]),
        (ModelCallFilter { trajectory: some("t"), ..all.clone() }, vec![]),
        (ModelCallFilter { purpose: some("reflect"), ..all.clone() }, vec![job]),
        (ModelCallFilter { outcome: some("timeout"), ..all.clone() }, vec![kept.clone()]),
        (ModelCallFilter { since_ms: Some(2), until_ms: Some(3), ..all.clone() }, vec![kept]),
    ] {
        let page = bed.store.list_model_calls(&filter, None, 9).await.unwrap();
        assert_eq!(page.calls, expected, "{filter:?}");
    }
}

async fn calls_are_summed(bed: Bed) {
    let unpriced = ModelCall { cost_usd_micros: None, outcome: "cut".into(), ..call(DAY + 60_000, "probe") };
    let local = ModelCall { backend: "local".into(), ..call(DAY + 60_001, "probe") };
    let calls = vec![call(DAY - 1, "probe"), call(DAY, "probe"), unpriced, local, call(DAY + 9, "reflect")];
    bed.store.add_model_calls(calls).await.unwrap();

    let sum = ModelUsage { namespace: "n".into(), agent: "a".into(), day: 1, ..ModelUsage::default() };
    let probes = ModelUsage {
        purpose: "probe".into(),
        calls: 3,
        failed: 1,
        prompt_tokens: 300,
        cached_tokens: 120,
        reply_tokens: 30,
        cost_usd_micros: 14,
        unpriced: 1,
        ..sum.clone()
    };
    let reflections = ModelUsage {
        purpose: "reflect".into(),
        calls: 1,
        prompt_tokens: 100,
        cached_tokens: 40,
        reply_tokens: 10,
        cost_usd_micros: 7,
        ..sum
    };
    assert_eq!(bed.store.model_usage(None, 1, 2).await.unwrap(), [probes, reflections]);
    assert_eq!(bed.store.model_usage(Some("n"), 0, 1).await.unwrap().len(), 1);
    assert!(bed.store.model_usage(Some("other"), 0, 9).await.unwrap().is_empty());

    let spending = bed.store.model_spending("remote", DAY).await.unwrap();
    let minute = |at_ms, tokens, cost_usd_micros| ModelSpending { at_ms, tokens, cost_usd_micros };
    assert_eq!(spending, [minute(DAY, 220, 14), minute(DAY + 60_000, 110, 0)]);
}

async fn law_11_bills_outlive_trajectories(bed: Bed) {
    bed.trajectory("stays").await;
    bed.trajectory("goes").await;
    let of = |trajectory: &str| ModelCall {
        trajectory: Some(trajectory.into()),
        error: Some("quotes the text".into()),
        ..call(1, "compress_history")
    };
    bed.store.add_model_calls(vec![of("goes"), of("stays"), of("goes")]).await.unwrap();
    let report = bed.store.delete_trajectory("goes", "me", 9).await.unwrap();
    assert_eq!(report.released_model_calls, 2);
    bed.store.add_model_calls(vec![of("goes"), of("stays")]).await.unwrap();

    let bill = call(1, "compress_history");
    let page = bed.store.list_model_calls(&ModelCallFilter::default(), None, 9).await.unwrap();
    assert_eq!(page.calls, [of("stays"), bill.clone(), bill.clone(), of("stays"), bill]);
    assert_eq!(bed.store.model_usage(None, 0, 1).await.unwrap()[0].calls, 5);
}
