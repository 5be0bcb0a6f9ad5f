//! Which results wait to be shortened by a model: none that an epoch covers, and each once.

use recap_core::context::{Compression, Condensed, ContextRequest, Include, Reformatting, Session, admit};
use recap_core::trajectory::{OriginalHash, OutFormat, WireFormat};
use serde_json::json;

use crate::models::maker;
use crate::world::{cheap, message, settings};

fn request(budget: u32) -> ContextRequest {
    let include = Include::default();
    ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include }
}

fn result(turn: u32) -> String {
    let rows = (0..40).map(|row| format!("ORD-{turn}{row:03} weighs {} g, lot {turn}/{row}", row * 37));
    rows.collect::<Vec<_>>().join("\n")
}

fn say(session: &mut Session, native: &serde_json::Value) {
    session.append(vec![admit(message(WireFormat::OpenAi, native), &*cheap(), Reformatting::On)]);
}

/// One exchange with a large result.
fn step(session: &mut Session, turn: u32) {
    let call = json!({"id": format!("c{turn}"), "type": "function", "function": {"name": "look", "arguments": "{}"}});
    say(session, &json!({"role": "assistant", "content": null, "tool_calls": [call]}));
    say(session, &json!({"role": "tool", "tool_call_id": format!("c{turn}"), "content": result(turn)}));
}

fn started() -> Session {
    let mut session = Session::new(settings(&cheap()));
    say(&mut session, &json!({"role": "user", "content": "Find the order."}));
    session
}

#[test]
fn results_wait_oldest_first_until_they_are_shortened() {
    let mut session = started();
    assert!(!session.has_observation_work(100));
    (1..=3).for_each(|turn| step(&mut session, turn));
    let third = session.observation_work_of(OriginalHash::of(&result(3)), 100).expect("it waits");
    assert!(third.source.len() < result(3).len(), "it is shortened to what a model reads");
    for turn in 1..=3 {
        let work = session.observation_work(100, u32::MAX).expect("there is work");
        assert_eq!(work.original, OriginalHash::of(&result(turn)));
        assert!(session.has_observation_work(100) && !session.has_observation_work(work.source_tokens));
        let made = Condensed { original: work.original, text: "short".into(), tokens: 2, by: maker() };
        assert!(session.take(Compression::Condensed(made)));
    }
    assert!(session.observation_work(100, u32::MAX).is_none() && !session.has_observation_work(100));
    assert!(session.observation_work_of(OriginalHash::of(&result(3)), 100).is_none());
}

#[test]
fn a_line_that_is_no_longer_read_is_not_waited_for() {
    let mut session = started();
    let next = |session: &Session| session.observation_work(100, u32::MAX).map(|work| work.original);
    step(&mut session, 1);
    assert!(session.serve(&request(1_000_000)).is_ok());
    for turn in 2..=20 {
        step(&mut session, turn);
        assert!(session.serve(&request(3_000)).is_ok());
    }
    assert_eq!(next(&session), Some(OriginalHash::of(&result(1))), "the large line still shows it");
    for turn in 21..=40 {
        step(&mut session, turn);
        assert!(session.serve(&request(3_000)).is_ok());
    }
    let next = next(&session).expect("the newest wait");
    assert!((21..=40).any(|turn| OriginalHash::of(&result(turn)) == next));
}
