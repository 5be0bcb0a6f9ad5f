//! One more try for replies that are not accepted.

use recapd::llm::{LlmError, Outcome, RepairError, Reply};
use tokio_util::sync::CancellationToken;

use super::script::{Script, Step};
use super::{backend, llm, outcomes, prompt};

fn number(reply: &Reply) -> Result<u32, String> {
    reply.text.trim().parse().map_err(|_| "it is no number".to_owned())
}

#[tokio::test]
async fn an_accepted_reply_is_asked_for_once() {
    let server = Script::start([Step::says("7")]).await;
    let backend = backend(&llm(&server.base_url));
    let (result, attempts) = backend.complete_with_repair(&prompt(), &CancellationToken::new(), number).await;
    let (value, reply) = result.unwrap();
    assert_eq!((value, reply.text.as_str()), (7, "7"));
    assert_eq!(outcomes(&attempts), [Outcome::Ok]);
}

#[tokio::test]
async fn a_rejected_reply_is_shown_with_the_reason() {
    let server = Script::start([Step::says("seven"), Step::says("7")]).await;
    let backend = backend(&llm(&server.base_url));
    let (result, attempts) = backend.complete_with_repair(&prompt(), &CancellationToken::new(), number).await;
    assert_eq!(result.unwrap().0, 7);
    assert_eq!(outcomes(&attempts), [Outcome::Unaccepted, Outcome::Ok]);
    let second = "Say a colour.\n\nYour last reply was:\n<reply>\nseven\n</reply>\nIt cannot be used: it is no number\n\
                  Write the whole reply again, without that fault. Write nothing else.";
    assert_eq!(server.requests()[1].text(), second);
}

#[tokio::test]
async fn there_is_no_third_try() {
    let server = Script::start([Step::says("seven"), Step::says("eight"), Step::says("9")]).await;
    let backend = backend(&llm(&server.base_url));
    let (result, attempts) = backend.complete_with_repair(&prompt(), &CancellationToken::new(), number).await;
    assert_eq!(result.unwrap_err(), RepairError::Rejected { reason: "it is no number".into() });
    assert_eq!(outcomes(&attempts), [Outcome::Unaccepted; 2]);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_failure_of_the_second_try_is_told() {
    let server = Script::start([Step::says("seven"), Step::error(400, "too long")]).await;
    let backend = backend(&llm(&server.base_url));
    let (result, attempts) = backend.complete_with_repair(&prompt(), &CancellationToken::new(), number).await;
    assert!(matches!(result, Err(RepairError::Llm(LlmError::Rejected { status: 400, .. }))));
    assert_eq!(outcomes(&attempts), [Outcome::Unaccepted, Outcome::Rejected]);
}
