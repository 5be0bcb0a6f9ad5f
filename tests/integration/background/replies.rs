//! Models that fail: rules serve, nothing of a bad reply is served, and nothing is asked for ever.

use std::sync::atomic::{AtomicUsize, Ordering};

use recap_core::context::RULES;
use recapd::store::JobState;
use serde_json::{Value, json};

use super::endpoint::{Endpoint, good, item, said, writes};
use super::{Bench, TURNS, all_jobs, by_model, recaps, text, told, until};
use crate::llm::script::{Request, Step};
use crate::store::bed::Bed;

/// What stands in every bad reply.
const PLUM: &str = "plum";

struct Case {
    name: &'static str,
    rule: fn(&Request) -> Step,
    /// How each attempt ends.
    outcome: &'static str,
    /// Attempts for each range of turns.
    attempts: usize,
}

const fn case(name: &'static str, rule: fn(&Request) -> Step, outcome: &'static str, attempts: usize) -> Case {
    Case { name, rule, outcome, attempts }
}

fn ends(message: &Value, finish: &str) -> Step {
    Step::ends(message, finish)
}

fn message(content: &str) -> Value {
    json!({ "role": "assistant", "content": content })
}

/// Runs a daemon beside a model that fails in one way, through several epochs.
async fn rules_serve(case: &Case) {
    // as an endpoint that fails for good: the wait between attempts is tested elsewhere
    let once = [("llm.max_attempts", "1"), ("jobs.max_attempts", "1"), ("llm.timeout_ms", "500")];
    let bench = Bench::start(Bed::sqlite().await, Endpoint::open(case.rule).await, &once).await;
    let path = bench.run(&json!({})).await;
    bench.made(&path, 1).await;
    let mut turn = TURNS;
    for _ in 0..2 {
        let (context, next) = bench.grow_to_epoch(&path, turn).await;
        turn = next;
        assert!(!text(&context).contains(PLUM), "{}: {}", case.name, text(&context));
        let recaps = recaps(&context);
        assert!(!recaps.is_empty() && recaps.iter().all(|piece| piece["compressor"] == RULES), "{}", case.name);
    }
    bench.quiet().await;
    let made = told(&super::compressions(&bench.bed.store, &path).await);
    for told in &made {
        assert_eq!((&*told.text, told.by.compressor.as_str()), ("", "none"), "{}", case.name);
        assert!(told.by.failed.is_some(), "{}: why is not said", case.name);
    }
    let calls = bench.calls(&path).await;
    assert_eq!(calls.len(), made.len() * case.attempts, "{}: {calls:?}", case.name);
    assert_eq!(bench.endpoint.sources().len(), calls.len(), "{}", case.name);
    assert_eq!(bench.endpoint.asked_for(1), case.attempts, "{}", case.name);
    for call in calls {
        assert_eq!(call.outcome, case.outcome, "{}", case.name);
        assert!(!call.error.unwrap_or_default().contains(PLUM), "{}: a text of the model is kept", case.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_replies_that_cannot_stand_are_repaired_once_and_given_up() {
    let cases = [
        case("talk", |_| Step::says("I'm sorry, I cannot help with plum."), "unaccepted", 2),
        case("half a reply", |_| Step::says("{\"Reasoning\": [\"plum"), "unaccepted", 2),
        case("no object", |_| Step::says("[\"plum\"]"), "unaccepted", 2),
        case("a missing section", |_| Step::says("{\"Reasoning\": [\"plum\"]}"), "unaccepted", 2),
        case("no items", |request| writes(request, []), "unaccepted", 2),
        case("invented", |request| writes(request, ["plum 880017", "/etc/plum.conf", "plum"]), "unaccepted", 2),
        case("one endless item", |request| writes(request, ["plum and ".repeat(4000).as_str()]), "unaccepted", 2),
    ];
    for case in &cases {
        rules_serve(case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_what_is_no_reply_is_given_up_at_once() {
    let refusal = |_: &Request| ends(&json!({ "role": "assistant", "content": null, "refusal": "plum" }), "stop");
    let cases = [
        case("a page", |_| Step::status(200, "<html>plum"), "garbage", 1),
        case("empty", |_| Step::says(" \n"), "empty", 1),
        case("refused", refusal, "refused", 1),
        case("filtered", |_| ends(&message("plum"), "content_filter"), "refused", 1),
        case("cut", |_| ends(&message("{\"Reasoning\": [\"plum"), "length"), "cut", 1),
        case("larger than any reply", |_| Step::endless(), "too_large", 1),
        case("no such key", |_| Step::error(401, "no"), "rejected", 1),
    ];
    for case in &cases {
        rules_serve(case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_7_an_endpoint_that_keeps_failing_is_given_up() {
    let cases = [
        case("a failure", |_| Step::status(500, "plum"), "server_error", 1),
        case("limited", |_| Step::error(429, "slow").with("retry-after", "3600"), "rate_limited", 1),
        case("a broken connection", |_| Step::cut(), "transport", 1),
        case("silence", |_| Step::hang(), "timeout", 1),
    ];
    for case in &cases {
        rules_serve(case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn law_9_items_with_invented_values_are_left_out_and_named() {
    let endpoint = Endpoint::open(|request| {
        writes(request, [item(request).as_str(), "the agent goes on", "the limit is 880017 rows"])
    });
    let bench = Bench::start(Bed::sqlite().await, endpoint.await, &[]).await;
    let path = bench.run(&json!({})).await;
    assert_eq!(told(&bench.made(&path, 1).await)[0].by.rejected, ["880017"]);
    let (context, _) = bench.grow_to_epoch(&path, TURNS).await;
    let [piece] = &by_model(&context)[..] else { panic!("{}", context["pieces"]) };
    let rejected = piece["rejected"].as_array().unwrap();
    assert!(!rejected.is_empty() && rejected.iter().all(|value| value == "880017"), "{piece}");
    let text = text(&context);
    assert!(text.contains(&said(0)) && text.contains("the agent goes on") && !text.contains("880017"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn law_4_a_reply_that_goes_on_and_on_is_cut_below_its_source() {
    let endpoint = Endpoint::open(|request| {
        let items: Vec<String> =
            (0..60).map(|n| format!("{} goes on {}", item(request), "and on ".repeat(n))).collect();
        writes(request, items.iter().map(String::as_str))
    });
    let bench = Bench::start(Bed::sqlite().await, endpoint.await, &[]).await;
    let path = bench.run(&json!({})).await;
    let made = told(&bench.made(&path, 1).await);
    assert!(!made[0].text.is_empty());
    let (context, _) = bench.grow_to_epoch(&path, TURNS).await;
    for piece in recaps(&context) {
        assert!(piece["tokens"].as_u64() < piece["full_tokens"].as_u64(), "{piece}");
    }
    assert!(u64::from(made[0].tokens) * 4 <= context["tokens"]["full"].as_u64().unwrap(), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_once_is_asked_again_and_counted() {
    let asked = AtomicUsize::new(0);
    let endpoint =
        Endpoint::open(
            move |request| {
                if asked.fetch_add(1, Ordering::SeqCst) == 0 { Step::status(500, PLUM) } else { good(request) }
            },
        );
    let bench = Bench::start(Bed::sqlite().await, endpoint.await, &[("llm.max_attempts", "1")]).await;
    let path = bench.run(&json!({})).await;
    let made = told(&bench.made(&path, 1).await);
    assert!(made[0].text.contains(&said(0)), "{made:?}");
    let outcomes: Vec<String> = bench.calls(&path).await.into_iter().map(|call| call.outcome).collect();
    assert_eq!(outcomes, ["ok", "server_error"], "newest first");
    let metrics = bench.app.get("/metrics").await;
    for result in ["made", "later"] {
        let counter = format!("recapd_compressions_total{{result=\"{result}\"}}");
        assert!(metrics.text().contains(&counter), "{counter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_asked_again_when_it_says() {
    let limited = |_: &Request| Step::error(429, "slow down").with("retry-after", "3600");
    let bench = Bench::start(Bed::sqlite().await, Endpoint::open(limited).await, &[]).await;
    let path = bench.run(&json!({})).await;
    let job = until("the job waits", async || {
        let jobs = all_jobs(&bench.bed.store).await;
        jobs.into_iter().find(|job| job.state == JobState::Ready && job.last_error.is_some())
    })
    .await;
    assert!(job.last_error.unwrap().contains("slow down"));
    assert_eq!(job.run_after_ms - job.updated_ms, 3_600_000);
    let (context, _) = bench.grow_to_epoch(&path, TURNS).await;
    assert!(by_model(&context).is_empty());
    assert_eq!(bench.endpoint.sources().len(), 1);
}
