//! The same history in two trajectories.

use serde_json::json;

use super::endpoint::{Endpoint, good};
use super::{Bench, by_model, told};
use crate::store::bed::{Bed, on_each_engine};

on_each_engine!(the_same_work_is_done_once_in_a_namespace_and_again_in_another);

async fn the_same_work_is_done_once_in_a_namespace_and_again_in_another(bed: Bed) {
    let bench = Bench::start(bed, Endpoint::open(good).await, &[]).await;
    let mut texts = Vec::new();
    for (namespace, calls, requests) in [("red", 1, 1), ("red", 0, 1), ("blue", 1, 2), ("blue", 0, 2)] {
        let path = bench.run(&json!({ "namespace": namespace })).await;
        let made = told(&bench.made(&path, 1).await);
        assert_eq!((made.len(), bench.calls(&path).await.len()), (1, calls), "{namespace}");
        assert_eq!(bench.endpoint.sources().len(), requests, "{namespace}");
        texts.push(made[0].text.clone());
        let context = bench.app.post(&format!("{path}/compact"), &json!({})).await.ok();
        assert_eq!(by_model(&context).len(), 1, "{namespace}");
        bench.quiet().await;
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
}
