//! What this daemon does not let through.

use std::time::Duration;

use recapd::config::Llm;
use recapd::llm::{Backend, Cap, LlmError, Outcome, Prompt, Remote, RemoteError, Spent};

use super::script::{Script, Step};
use super::{NOW_MS, ask, backend, llm, outcomes, prompt, world};

fn cap(error: Option<LlmError>) -> Cap {
    match error {
        Some(LlmError::Capped { which, .. }) => which,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tokens_are_counted_by_what_was_used() {
    let server = Script::start([Step::says("Red."), Step::says("Red.")]).await;
    // A call is estimated at 88 tokens and uses 15.
    let backend = backend(&Llm { max_tokens_per_hour: 110, ..llm(&server.base_url) });
    ask(&backend, &prompt()).await.result.unwrap();
    ask(&backend, &prompt()).await.result.unwrap();
    let third = ask(&backend, &prompt()).await;
    assert_eq!(cap(third.result.err()), Cap::TokensPerHour);
    assert_eq!(outcomes(&third.attempts), [Outcome::Capped]);
    assert_eq!((third.attempts[0].prompt_tokens, third.attempts[0].cost_usd_micros), (0, Some(0)));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn the_ledger_counts_after_a_restart() {
    let server = Script::start([Step::says("Red.")]).await;
    let config = Llm { max_cost_per_day_usd: Some(0.001), ..llm(&server.base_url) };
    let remote = Remote::new(&config, None, world()).unwrap();
    remote.seed([Spent { at_ms: NOW_MS - 60_000, tokens: 10, cost_usd_micros: 300 }]);
    let backend = Backend::Remote(remote.clone());
    ask(&backend, &prompt()).await.result.unwrap();
    remote.seed([Spent { at_ms: NOW_MS - 60_000, tokens: 10, cost_usd_micros: 300 }]);
    let failure = ask(&backend, &prompt()).await.result.unwrap_err();
    // 07:28 of the day.
    assert_eq!(failure.retry_after(), Some(Duration::from_mins(16 * 60 + 32)));
    assert_eq!(cap(Some(failure)), Cap::CostPerDay);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_unknown_price_is_no_price_of_zero() {
    let server = Script::start([Step::says("Red.")]).await;
    let unpriced = Llm { prices: std::collections::BTreeMap::new(), ..llm(&server.base_url) };
    let answer = ask(&backend(&unpriced), &prompt()).await;
    assert_eq!((answer.attempts[0].prompt_tokens, answer.attempts[0].cost_usd_micros), (12, None));
    let limited = Llm { max_cost_per_day_usd: Some(5.0), ..unpriced };
    let refused = Remote::new(&limited, None, world()).unwrap_err();
    assert!(matches!(&refused, RemoteError::UnknownPrice { model } if model == "m"), "{refused}");
}

#[tokio::test]
async fn calls_wait_for_their_turn() {
    let server = Script::start([Step::hang(), Step::says("Red.")]).await;
    let backend = backend(&Llm { concurrency: 1, ..llm(&server.base_url) });
    let (first, second) = (
        Prompt { within: Some(Duration::from_millis(300)), ..prompt() },
        Prompt { within: Some(Duration::from_millis(50)), ..prompt() },
    );
    let (first, second) = tokio::join!(ask(&backend, &first), ask(&backend, &second));
    assert_eq!(outcomes(&first.attempts), [Outcome::Timeout]);
    assert_eq!((second.result, second.attempts), (Err(LlmError::Timeout { after_ms: 50 }), vec![]));
    assert_eq!(server.requests().len(), 1);
    ask(&backend, &prompt()).await.result.unwrap();
}
