//! A real model behind a real server.

use recapd::config::Llm;
use recapd::llm::{Outcome, Prompt};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{backend, constrained, llm, outcomes, prompt};
use crate::support::llm_server::LlmServer;

/// One test for all, because one server lives at a time.
#[tokio::test]
async fn a_real_model_answers_plainly_and_by_a_schema() {
    let Some(server) = LlmServer::start("smollm2-135m.gguf") else {
        return;
    };
    let config = Llm { model: Some("smollm2-135m".into()), timeout_ms: 120_000, ..llm(server.base_url()) };
    let backend = backend(&config);

    let plain = Prompt { user: "Say yes.".into(), max_tokens: 48, ..prompt() };
    let answer = super::ask(&backend, &plain).await;
    let reply = answer.result.unwrap();
    assert!(!reply.constrained);
    assert_eq!(reply.model, "smollm2-135m");
    let attempt = &answer.attempts[0];
    assert_eq!(answer.attempts.len(), 1);
    assert!((10..60).contains(&attempt.prompt_tokens), "{attempt:?}");
    assert!((1..=48).contains(&attempt.reply_tokens), "{attempt:?}");
    assert_eq!(attempt.cost_usd_micros, None, "its price is unknown");

    let colour = |reply: &recapd::llm::Reply| -> Result<Value, String> {
        let value: Value = serde_json::from_str(&reply.text).map_err(|error| error.to_string())?;
        let is_colour = matches!(value["colour"].as_str(), Some("red" | "green"));
        if is_colour && value["count"].is_i64() { Ok(value) } else { Err("it has no colour and count".into()) }
    };
    let (result, attempts) = backend.complete_with_repair(&constrained(), &CancellationToken::new(), colour).await;
    let (value, reply) = result.unwrap();
    assert!(reply.constrained);
    assert_eq!(value.as_object().unwrap().len(), 2);
    assert_eq!(outcomes(&attempts), [Outcome::Ok]);

    let cut = Prompt { user: "Count to a thousand in words.".into(), max_tokens: 2, ..prompt() };
    let answer = super::ask(&backend, &cut).await;
    assert_eq!(outcomes(&answer.attempts), [Outcome::Cut]);
    assert_eq!(answer.attempts[0].reply_tokens, 2);
}
