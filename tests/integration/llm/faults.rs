//! What goes wrong, and how often it is tried again.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use recapd::config::Llm;
use recapd::llm::{Answer, Backend, LlmError, Outcome, Prompt, Remote, Retry};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::script::{Script, Step};
use super::{KEY, ask, backend, llm, outcomes, prompt, world};

#[tokio::test]
async fn a_failing_endpoint_gets_exactly_our_attempts() {
    for max_attempts in [1, 3] {
        let server = Script::start((0..9).map(|_| Step::status(500, "oops"))).await;
        let config = Llm { max_attempts, ..llm(&server.base_url) };
        let answer = ask(&backend(&config), &prompt()).await;
        assert_eq!(answer.result, Err(LlmError::Server { status: 500, retry_after: None }));
        assert_eq!(server.requests().len(), max_attempts as usize);
        assert_eq!(outcomes(&answer.attempts), vec![Outcome::ServerError; max_attempts as usize]);
    }
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let steps = [Step::status(408, ""), Step::status(409, ""), Step::cut(), Step::status(503, ""), Step::says("Red.")];
    let server = Script::start(steps).await;
    let answer = ask(&backend(&Llm { max_attempts: 9, ..llm(&server.base_url) }), &prompt()).await;
    assert_eq!(answer.result.unwrap().text, "Red.");
    let failures = [Outcome::ServerError, Outcome::ServerError, Outcome::Transport, Outcome::ServerError, Outcome::Ok];
    assert_eq!(outcomes(&answer.attempts), failures);
    let charged: Vec<bool> = answer.attempts.iter().map(|attempt| attempt.prompt_tokens > 0).collect();
    assert_eq!(charged, [false, false, true, false, true], "a broken answer may be charged for");
}

#[tokio::test]
async fn the_endpoint_says_when_to_ask_again() {
    // Without what the header says these calls would wait for minutes, and so fail at once.
    let patient =
        Retry { dice: || 1.0, first: Duration::from_mins(5), longest: Duration::from_mins(5), ..Retry::of(3) };
    for header in ["0", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let limited = Step::error(429, "slow down").with("retry-after", header);
        let server = Script::start([limited, Step::says("Red.")]).await;
        let remote = Remote::with_retry(&llm(&server.base_url), None, world(), patient).unwrap();
        let answer = ask(&Backend::Remote(remote), &prompt()).await;
        assert_eq!(outcomes(&answer.attempts), [Outcome::RateLimited, Outcome::Ok], "{header}");
    }
    for header in ["3600", "Wed, 21 Oct 2015 08:28:00 GMT"] {
        let limited = Step::error(429, "slow down").with("retry-after", header);
        let server = Script::start([limited]).await;
        let failure = ask(&backend(&llm(&server.base_url)), &prompt()).await.result.unwrap_err();
        assert_eq!(failure.retry_after(), Some(Duration::from_hours(1)), "{header}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_spent_quota_is_not_waited_for() {
    let spent = json!({"error": {"message": "no credit", "code": "insufficient_quota"}}).to_string();
    let server = Script::start([Step::status(429, spent)]).await;
    let answer = ask(&backend(&llm(&server.base_url)), &prompt()).await;
    assert!(matches!(answer.result, Err(LlmError::RateLimited { is_quota: true, .. })));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn what_the_endpoint_does_not_take_is_final_and_tells_no_secret() {
    for status in [400, 401, 403, 404, 413, 422, 302] {
        let server = Script::start([Step::error(status, &format!("no\nkey {KEY} here"))]).await;
        let answer = ask(&backend(&llm(&server.base_url)), &prompt()).await;
        let reason = "no key *** here".to_owned();
        assert_eq!(answer.result, Err(LlmError::Rejected { status, reason }));
        let account = answer.attempts[0].error.as_deref();
        assert_eq!(account, Some(format!("the endpoint answered {status}: no key *** here").as_str()));
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn what_is_no_reply_is_final() {
    let message = |content: &str| json!({"role": "assistant", "content": content});
    let refusal = json!({"role": "assistant", "content": null, "refusal": "I cannot."});
    for (step, outcome) in [
        (Step::status(200, "<html><body>Welcome</body></html>"), Outcome::Garbage),
        (Step::status(200, "{\"choices\": [{\"mess"), Outcome::Garbage),
        (Step::status(200, "{\"error\": {\"message\": \"busy\"}}"), Outcome::Garbage),
        (Step::ends(&refusal, "stop"), Outcome::Refused),
        (Step::ends(&message(""), "content_filter"), Outcome::Refused),
        (Step::ends(&message(" \n"), "stop"), Outcome::Empty),
        (Step::ends(&message("Re"), "length"), Outcome::Cut),
        (Step::endless(), Outcome::TooLarge),
    ] {
        let server = Script::start([step]).await;
        let answer = ask(&backend(&llm(&server.base_url)), &prompt()).await;
        assert_eq!(answer.result.unwrap_err().outcome(), outcome);
        assert_eq!(outcomes(&answer.attempts), [outcome]);
        assert!(answer.attempts[0].prompt_tokens > 0 && answer.attempts[0].cost_usd_micros > Some(0), "{outcome:?}");
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn each_attempt_has_its_time_and_the_call_its_own() {
    let server = Script::start([Step::hang(), Step::says("Red.")]).await;
    let config = Llm { timeout_ms: 200, ..llm(&server.base_url) };
    let answer = ask(&backend(&config), &prompt()).await;
    assert_eq!(outcomes(&answer.attempts), [Outcome::Timeout, Outcome::Ok]);
    assert!(answer.attempts[0].ms >= 200 && answer.attempts[0].prompt_tokens > 0);

    let server = Script::start([Step::hang(), Step::hang()]).await;
    let hurried = Prompt { within: Some(Duration::from_millis(50)), ..prompt() };
    let answer = ask(&backend(&llm(&server.base_url)), &hurried).await;
    assert!(matches!(answer.result, Err(LlmError::Timeout { .. })));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn nobody_listens() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = llm(&format!("http://me:{KEY}@{free}/v1"));
    let answer = ask(&backend(&config), &prompt()).await;
    assert_eq!(outcomes(&answer.attempts), [Outcome::Transport; 3]);
    assert_eq!(answer.attempts[0].prompt_tokens, 0, "nothing was sent");
    let said = format!("{answer:?} {}", answer.result.as_ref().unwrap_err());
    assert!(!said.contains(KEY), "{said}");
}

#[tokio::test]
async fn a_caller_goes_away() {
    let server = Script::start([Step::hang()]).await;
    let (backend, cancelled) = (backend(&llm(&server.base_url)), CancellationToken::new());
    let prompt = prompt();
    let call = backend.complete(&prompt, &cancelled);
    let leave = async {
        while server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        cancelled.cancel();
    };
    let (answer, ()) = tokio::join!(call, leave);
    assert_eq!(answer.result, Err(LlmError::Cancelled));
    assert_eq!(outcomes(&answer.attempts), [Outcome::Cancelled]);
    let Answer { result, attempts } = backend.complete(&prompt, &cancelled).await;
    assert_eq!((result, attempts.len()), (Err(LlmError::Cancelled), 0));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The server's part runs on this thread, too: nothing of it is quiet by accident.
#[tokio::test]
async fn logs_hold_neither_texts_nor_keys() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    let _guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
    tracing::info!("logs are written");
    for step in [
        Step::says("plum"),
        Step::status(200, "<p>plum"),
        Step::status(200, "{\"choices\": 3, \"plum\": 1}"),
        Step::status(500, "plum"),
        Step::status(400, "plum"),
        Step::error(429, "plum"),
    ] {
        let server = Script::start([step]).await;
        let asked = Prompt { user: "Say plum.".into(), ..prompt() };
        ask(&backend(&Llm { max_attempts: 1, ..llm(&server.base_url) }), &asked).await;
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("logs are written"));
    assert!(!text.contains("plum") && !text.contains(KEY), "{text}");
}
