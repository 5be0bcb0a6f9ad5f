//! Who decides which compressor works.

use serde_json::{Value, json};

use super::endpoint::{Endpoint, good};
use super::{Bench, TURNS, WORDS, address, compressions, id, made};
use crate::process::Daemon;
use crate::run::tool_run;
use crate::store::bed::Bed;

#[tokio::test(flavor = "multi_thread")]
async fn a_trajectory_goes_before_its_agent_before_its_namespace_before_all() {
    let (bed, endpoint, folder) = (Bed::sqlite().await, Endpoint::open(good).await, tempfile::tempdir().unwrap());
    let config = format!(
        "[storage]\ndatabase_url = {}\n[llm]\nbase_url = {}\nmodel = \"m\"\n[compress]\nt_hist = 1000\n\
         [context]\nbudget = 4000\nsoft_mark = 0.5\nlow_mark = 0.4\n[policies]\n\
         \"namespace:research\" = {{ compress = {{ history = \"llm\" }} }}\n\
         \"agent:thrifty\" = {{ compress = {{ history = \"rules\" }} }}\n\
         \"agent:eager\" = {{ compress = {{ history = \"llm\" }} }}\n",
        json!(address(&bed)),
        json!(endpoint.base_url)
    );
    std::fs::write(folder.path().join("recapd.toml"), config).unwrap();
    let daemon = Daemon::start(folder.path());
    let by = |history: &str| json!({ "compress": { "history": history } });
    let cases = [
        ("configuration", json!({}), false),
        ("agent-over-namespace", json!({ "namespace": "research", "agent": "thrifty" }), false),
        ("own-over-agent", json!({ "agent": "eager", "policy": by("rules") }), false),
        ("own-over-namespace", json!({ "namespace": "research", "policy": by("rules") }), false),
        ("namespace", json!({ "namespace": "research" }), true),
        ("unnamed-agent", json!({ "namespace": "research", "agent": "other" }), true),
        ("agent", json!({ "agent": "eager" }), true),
        ("own", json!({ "agent": "thrifty", "policy": by("llm") }), true),
    ];
    for (name, fields, _) in &cases {
        let mut fields: Value = fields.clone();
        fields["id"] = json!(name);
        daemon.post("/v1/trajectories", &fields).await.unwrap();
        let path = format!("/v1/trajectories/{name}");
        daemon.post(&format!("{path}/messages"), &json!({ "messages": tool_run(TURNS, WORDS) })).await.unwrap();
        daemon.get(&format!("{path}/context")).await.ok();
    }
    // those of models come last: what the others had asked for would be done by then
    for (name, _, is_told) in cases.iter().rev() {
        let path = format!("/v1/trajectories/{name}");
        if *is_told {
            made(&bed.store, &path, 1).await;
        } else {
            assert!(compressions(&bed.store, &path).await.is_empty(), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressor_without_its_model_is_refused() {
    let bench = Bench::start(Bed::sqlite().await, Endpoint::open(good).await, &[]).await;
    let policy = json!({ "compress": { "observation": "extract" } });
    let problem = bench.app.post("/v1/trajectories", &json!({ "policy": policy })).await.problem(422);
    assert!(problem.to_string().contains("/policy/compress/observation"), "{problem}");
    assert!(problem.to_string().contains("models.reranker"), "{problem}");
    let path = bench.app.trajectory(&json!({ "id": "t-observation" })).await;
    let change = json!({ "policy": policy });
    let changed = bench.app.send(reqwest::Method::PATCH, &path, Some(&change), &[("if-match", "\"1\"")]).await;
    assert_eq!(changed.status, 422, "{}: {}", id(&path), changed.text());
    // of old turns a trained head may choose, which no configuration names
    bench.app.trajectory(&json!({ "policy": { "compress": { "history": "extract" } } })).await;
    bench.app.post("/v1/trajectories", &json!({ "policy": { "compress": { "history": "off" } } })).await.problem(422);
}
