//! Remote models: faults from a scripted server, replies from a real one.

mod calls;
mod faults;
mod limits;
mod real;
mod repair;
pub mod script;
mod tls;

use std::collections::BTreeMap;

use recapd::config::{Llm, Price};
use recapd::llm::{Answer, Attempt, Backend, Outcome, Prompt, Purpose, Remote, Retry, Schema};
use recapd::world::World;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// 2015-10-21T07:28:00Z, when all tests here happen.
const NOW_MS: i64 = 1_445_412_480_000;
const KEY: &str = "sk-very-secret";

fn world() -> World {
    World::new(|| NOW_MS, String::new)
}

/// The shipped configuration with a model at an address, its price, and short times.
fn llm(base_url: &str) -> Llm {
    let folder = tempfile::tempdir().unwrap();
    let price = Price { input: 2.0, cached: Some(0.5), output: 8.0 };
    Llm {
        base_url: base_url.to_owned(),
        model: Some("m".to_owned()),
        timeout_ms: 20_000,
        prices: BTreeMap::from([("m".to_owned(), price)]),
        ..crate::app::config(folder.path(), &[]).llm
    }
}

/// A backend that never waits longer between attempts than it is asked to.
fn backend(config: &Llm) -> Backend {
    let retry = Retry { dice: || 0.0, ..Retry::of(config.max_attempts) };
    Backend::Remote(Remote::with_retry(config, Some(KEY.into()), world(), retry).unwrap())
}

fn prompt() -> Prompt {
    Prompt {
        purpose: Purpose::Probe,
        system: "Be brief.".into(),
        user: "Say a colour.".into(),
        schema: None,
        max_tokens: 64,
        temperature: 0.0,
        within: None,
    }
}

fn constrained() -> Prompt {
    let schema = json!({
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "green"]}, "count": {"type": "integer"}},
        "required": ["colour", "count"],
        "additionalProperties": false,
    });
    Prompt { schema: Some(Schema { name: "colour".into(), json: schema }), ..prompt() }
}

async fn ask(backend: &Backend, prompt: &Prompt) -> Answer {
    backend.complete(prompt, &CancellationToken::new()).await
}

fn outcomes(attempts: &[Attempt]) -> Vec<Outcome> {
    attempts.iter().map(|attempt| attempt.outcome).collect()
}
