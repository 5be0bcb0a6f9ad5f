//! The real LLM server that other tests stand on.

use serde_json::{Value, json};

use crate::app::client;
use crate::support::llm_server::LlmServer;

#[tokio::test]
async fn a_real_model_answers() {
    let Some(server) = LlmServer::start("smollm2-135m.gguf") else {
        return;
    };
    let base = server.base_url();
    let models = client().get(format!("{base}/models")).send().await.unwrap();
    let models: Value = models.error_for_status().unwrap().json().await.unwrap();
    let id = models["data"][0]["id"].as_str().unwrap();
    assert_eq!(id, "smollm2-135m");
    let body = json!({
        "model": id,
        "messages": [{ "role": "user", "content": "Say yes." }],
        "max_tokens": 1,
        "temperature": 0,
    });
    let reply = client().post(format!("{base}/chat/completions")).json(&body).send().await.unwrap();
    let reply: Value = reply.error_for_status().unwrap().json().await.unwrap();
    assert!(!reply["choices"][0]["message"]["content"].as_str().unwrap().is_empty(), "{reply}");
    assert_eq!(reply["usage"]["completion_tokens"], 1);
}
