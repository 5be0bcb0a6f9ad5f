//! What is sent and what comes back when all goes well.

use recapd::config::JsonSchemaUse;
use recapd::llm::{Attempt, Finish, LlmError, Outcome, Purpose, Remote, Reply, Site};
use serde_json::json;

use super::script::{Script, Step};
use super::{KEY, NOW_MS, ask, backend, constrained, llm, outcomes, prompt};

#[tokio::test]
async fn a_reply_comes_with_its_account() {
    let server = Script::start([Step::says(" Red. ")]).await;
    let answer = ask(&backend(&llm(&server.base_url)), &prompt()).await;

    let reply = Reply { text: " Red. ".into(), constrained: false, model: "m-1".into(), finish: Finish::Stop };
    assert_eq!(answer.result, Ok(reply));
    let attempt = Attempt {
        purpose: Purpose::Probe,
        model: "m".into(),
        backend: Site::Remote,
        started_ms: NOW_MS,
        ms: answer.attempts[0].ms,
        prompt_tokens: 12,
        cached_tokens: 4,
        reply_tokens: 3,
        cost_usd_micros: Some(8 * 2 + 2 + 3 * 8),
        outcome: Outcome::Ok,
        error: None,
    };
    assert_eq!(answer.attempts, [attempt]);

    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path, "/v1/chat/completions");
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {KEY}"));
    let body = json!({
        "messages": [{"content": "Be brief.", "role": "system"}, {"content": "Say a colour.", "role": "user"}],
        "model": "m", "max_tokens": 64, "temperature": 0.0,
    });
    assert_eq!(requests[0].body, body);
}

#[tokio::test]
async fn without_a_key_the_user_of_the_address_is_sent() {
    let server = Script::start([Step::says("Red."), Step::says("Red.")]).await;
    let address = server.base_url.replace("http://", "http://me:word@");
    let config = llm(&address);
    let anonymous = Remote::new(&llm(&server.base_url), None, super::world()).unwrap();
    let named = Remote::new(&config, None, super::world()).unwrap();
    for remote in [anonymous, named] {
        ask(&recapd::llm::Backend::Remote(remote), &prompt()).await.result.unwrap();
    }
    let requests = server.requests();
    assert!(!requests[0].headers.contains_key("authorization"));
    assert_eq!(requests[1].headers["authorization"], "Basic bWU6d29yZA==");
}

#[tokio::test]
async fn replies_are_never_longer_than_configured() {
    let server = Script::start([Step::says("Red.")]).await;
    let config = recapd::config::Llm { max_reply_tokens: 32, ..llm(&server.base_url) };
    ask(&backend(&config), &prompt()).await.result.unwrap();
    assert_eq!(server.requests()[0].body["max_tokens"], 32);
}

#[tokio::test]
async fn an_endpoint_without_schemas_gets_plain_prompts_from_then_on() {
    let refusal = Step::error(400, "'response_format.type' must be 'text'");
    let server = Script::start([refusal, Step::says("Red."), Step::says("Red.")]).await;
    let backend = backend(&llm(&server.base_url));

    let first = ask(&backend, &constrained()).await;
    assert!(!first.result.unwrap().constrained);
    assert_eq!(outcomes(&first.attempts), [Outcome::Rejected, Outcome::Ok]);
    assert_eq!((first.attempts[0].prompt_tokens, first.attempts[0].cost_usd_micros), (0, Some(0)));
    let second = ask(&backend, &constrained()).await;
    assert_eq!(outcomes(&second.attempts), [Outcome::Ok]);

    let with_schema: Vec<bool> =
        server.requests().iter().map(|request| request.body.get("response_format").is_some()).collect();
    assert_eq!(with_schema, [true, false, false]);
}

#[tokio::test]
async fn schemas_are_sent_as_configured() {
    let refusal = || Step::error(400, "'response_format.type' must be 'text'");
    let server = Script::start([refusal(), Step::says("Red.")]).await;
    let config = |json_schema| recapd::config::Llm { json_schema, ..llm(&server.base_url) };

    let answer = ask(&backend(&config(JsonSchemaUse::On)), &constrained()).await;
    assert!(matches!(answer.result, Err(LlmError::Rejected { status: 400, .. })));
    assert_eq!(server.requests()[0].body["response_format"]["json_schema"]["strict"], true);
    assert!(!ask(&backend(&config(JsonSchemaUse::Off)), &constrained()).await.result.unwrap().constrained);
    assert_eq!(server.requests()[0].body.get("response_format"), None);
}

#[tokio::test]
async fn reasoning_models_are_asked_in_their_own_way() {
    let refusal = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                   Use 'max_completion_tokens' instead.";
    let server = Script::start([Step::error(400, refusal), Step::says("Red.")]).await;
    ask(&backend(&llm(&server.base_url)), &prompt()).await.result.unwrap();
    let requests = server.requests();
    assert_eq!(requests[1].body["max_completion_tokens"], 64);
    assert_eq!(requests[1].body.get("max_tokens"), None);
}
