//! Runs as models read them that look back on them.

use proptest::prelude::*;
use recap_core::context::{ContextRequest, Include, LookBack, Reformatting, Session, admit};
use recap_core::trajectory::generate::{Mess, any_bulky_trajectory};
use recap_core::trajectory::{Limits, Message, OutFormat, Role, WireFormat, parse_messages};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::world::{cases, cheap, settings};

fn session(messages: Vec<Message>) -> Session {
    let counter = cheap();
    let mut session = Session::new(settings(&counter));
    session.append(messages.into_iter().map(|message| admit(message, &*counter, Reformatting::On)).collect());
    session
}

fn messages(natives: &[Value]) -> Vec<Message> {
    let raws: Vec<Box<RawValue>> =
        natives.iter().map(|native| RawValue::from_string(native.to_string()).unwrap()).collect();
    let raws: Vec<&RawValue> = raws.iter().map(AsRef::as_ref).collect();
    parse_messages(WireFormat::OpenAi, &raws, &Limits::default()).unwrap()
}

fn tokens(run: &LookBack) -> u32 {
    let counter = cheap();
    counter.count(&run.task) + counter.count(&run.text)
}

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn law_2_a_run_fits_what_is_read_of_it(log in any_bulky_trajectory(Mess::Real), most in 300_u32..6_000) {
        let messages = log.messages();
        let has_acted = messages.iter().any(|message| message.role == Role::Assistant);
        let observed: usize = messages.iter().map(|message| message.observations().count()).sum();
        let run = session(messages).look_back(most);
        prop_assert_eq!(run.is_some(), has_acted);
        if let Some(run) = run {
            prop_assert!(tokens(&run) <= most, "{} tokens of {most}", tokens(&run));
            prop_assert!(run.observations.len() >= observed);
        }
    }

    #[test]
    fn law_5_looking_back_changes_no_served_byte(log in any_bulky_trajectory(Mess::Real), most in 300_u32..3_000) {
        let request = ContextRequest {
            budget: 3_000, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default(),
        };
        let (mut looked, mut other) = (session(log.messages()), session(log.messages()));
        let _first = looked.look_back(most);
        let (one, two) = (looked.serve(&request), other.serve(&request));
        prop_assert_eq!(one.map(|served| served.messages), two.map(|served| served.messages));
        let _second = looked.look_back(most);
        let (one, two) = (looked.serve(&request), other.serve(&request));
        prop_assert_eq!(one.map(|served| served.messages), two.map(|served| served.messages));
    }
}

#[test]
fn law_10_what_recapd_wrote_is_not_looked_back_on() {
    let served = "<recapd_context epoch=\"1\">\nthe refund was declined\n</recapd_context>";
    let native = [
        json!({ "role": "system", "content": "You serve customers." }),
        json!({ "role": "user", "content": "Refund order 17." }),
        json!({ "role": "user", "content": served }),
        json!({ "role": "assistant", "content": "I look.", "reasoning_content": "hidden", "tool_calls": [
            { "id": "c1", "type": "function", "function": { "name": "get_order", "arguments": "{\"id\": 17}" } }] }),
        json!({ "role": "tool", "tool_call_id": "c1", "content": "status: shipped" }),
    ];
    let run = session(messages(&native)).look_back(2_000).unwrap();
    assert_eq!(run.task, "You serve customers.\n\nRefund order 17.");
    assert!(!run.text.contains("declined"), "{}", run.text);
    assert!(run.text.contains("called get_order: {\"id\": 17}\n") && run.text.ends_with("result: status: shipped\n"));
    assert_eq!(run.observations.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["status: shipped"]);
}

#[test]
fn a_long_run_is_read_as_a_context_with_numbered_turns() {
    let mut native = vec![json!({ "role": "user", "content": "Find the fault." })];
    for turn in 1..40 {
        let id = format!("c{turn}");
        let lines: Vec<String> =
            (0..40).map(|line| format!("row {line} of part {turn}: {}", turn * 7919 + line)).collect();
        native.push(json!({ "role": "assistant", "content": null, "tool_calls": [
            { "id": id, "type": "function", "function": { "name": "read", "arguments": format!("{{\"part\": {turn}}}") } }] }));
        native.push(json!({ "role": "tool", "tool_call_id": id, "content": lines.join("\n") }));
    }
    let run = session(messages(&native)).look_back(2_000).unwrap();
    assert_eq!((run.last_turn, run.observations.len()), (39, 39));
    assert!(
        run.text.contains("<recapd_context") && run.text.contains("[39] called read: {\"part\": 39}"),
        "{}",
        run.text
    );
    assert!(tokens(&run) <= 2_000);
}
