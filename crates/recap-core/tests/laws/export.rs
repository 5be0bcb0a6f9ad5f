//! Examples of a compressor's work, and what may not be in them.

use proptest::prelude::*;
use recap_core::context::{ContextRequest, EpochRecord, Include, Reformatting, Session, admit};
use recap_core::secrets::Secrets;
use recap_core::trajectory::generate::{Generated, Mess, any_bulky_trajectory};
use recap_core::trajectory::{Limits, Message, OutFormat, WireFormat, parse_messages};
use recap_core::tuning::{By, ChatExample, LeftOut, Run, pieces_served};
use serde_json::value::RawValue;

use crate::world::{cases, cheap, settings};

const MOST: u32 = 100_000;

/// Serves a run after each message, and returns what that began.
fn served(messages: Vec<Message>, budget: u32) -> (Session, Vec<EpochRecord>) {
    let counter = cheap();
    let mut session = Session::new(settings(&counter));
    let mut epochs = Vec::new();
    let request =
        ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
    for message in messages {
        session.append(vec![admit(message, &*counter, Reformatting::On)]);
        epochs.extend(session.serve(&request).ok().and_then(|served| served.new_epoch));
    }
    (session, epochs)
}

fn examples(session: &Session, epochs: &[EpochRecord]) -> Vec<Result<ChatExample, LeftOut>> {
    let mut secrets = Secrets::default();
    session.texts().for_each(|text| secrets.learn(text));
    let masking = secrets.masking();
    let run = Run { id: "run", task: "task", success: Some(true), session, masking: &masking, most_tokens: MOST };
    let pieces = pieces_served(epochs, By::Any, Some("ship/history@b3:00"));
    pieces.iter().map(|piece| piece.example(&run, |input| Some(format!("At most {}.", input.most_tokens)))).collect()
}

/// The run's messages with words after the first text of each result.
fn with_words(log: &Generated, words: &str) -> Vec<Message> {
    let natives = log.natives.iter().map(|native| {
        let mut value: serde_json::Value = serde_json::from_str(native).unwrap();
        if value["role"] == "tool" && value["content"].is_string() {
            let told = format!("{words}\n{}\n{words}", value["content"].as_str().unwrap());
            value["content"] = told.into();
        }
        RawValue::from_string(value.to_string()).unwrap()
    });
    let natives: Vec<_> = natives.collect();
    let raws: Vec<&RawValue> = natives.iter().map(AsRef::as_ref).collect();
    parse_messages(WireFormat::OpenAi, &raws, &Limits::default()).unwrap()
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn each_section_of_each_epoch_is_one_example(log in any_bulky_trajectory(Mess::Real), budget in 1_500_u32..6_000) {
        let (session, epochs) = served(log.messages(), budget);
        let mut seen = std::collections::HashSet::new();
        for example in examples(&session, &epochs) {
            let example = example.unwrap();
            let roles: Vec<&str> = example.messages.iter().map(|message| message.role.as_str()).collect();
            prop_assert_eq!(roles, ["system", "user", "assistant"]);
            let (epoch, turns) = (example.metadata.epoch.clone().unwrap(), example.metadata.turns.unwrap());
            let record = epochs.iter().find(|record| record.n == epoch.n && record.line == epoch.line).unwrap();
            prop_assert!(turns[1] <= record.covered, "{turns:?} goes over the border of {epoch:?}");
            prop_assert!(record.sections.iter().any(|section| section.turns == turns));
            prop_assert!(seen.insert((turns, example.messages[2].content.clone())), "{turns:?} twice");
            prop_assert!(example.messages[1].content.contains("<source>"), "{}", example.messages[1].content);
        }
    }

    #[test]
    fn no_secret_of_a_run_is_exported(
        log in any_bulky_trajectory(Mess::Real).prop_filter("OpenAI", |log| log.format == WireFormat::OpenAi),
        secret in "[A-Z][a-zA-Z0-9$%]{7,16}[0-9]",
    ) {
        let words = format!("{{\"user\": \"ann\", \"password\": \"{secret}\"}} for login {secret} at /v1/orders/4711");
        let (session, epochs) = served(with_words(&log, &words), 2_500);
        for example in examples(&session, &epochs).into_iter().flatten() {
            let line = serde_json::to_string(&example).unwrap();
            prop_assert!(!line.contains(&secret), "{line}");
        }
    }
}

#[test]
fn what_cannot_be_rebuilt_is_left_out_with_its_reason() {
    let natives = (0..40).map(|n| {
        let text = format!("line {n} of the log: job {} wrote {} rows to /srv/data/{n}.csv", n * 7, n * 31);
        let message = if n == 0 {
            serde_json::json!({ "role": "user", "content": "Find the failing job." })
        } else if n % 2 == 1 {
            serde_json::json!({ "role": "assistant", "content": "", "tool_calls": [{ "id": format!("c{n}"),
                "type": "function", "function": { "name": "read", "arguments": "{}" } }] })
        } else {
            let id = format!("c{}", n - 1);
            serde_json::json!({ "role": "tool", "tool_call_id": id, "content": format!("{text}\n").repeat(9) })
        };
        RawValue::from_string(message.to_string()).unwrap()
    });
    let natives: Vec<_> = natives.collect();
    let raws: Vec<&RawValue> = natives.iter().map(AsRef::as_ref).collect();
    let messages = parse_messages(WireFormat::OpenAi, &raws, &Limits::default()).unwrap();
    let (session, epochs) = served(messages, 600);
    let made = examples(&session, &epochs);
    assert!(!made.is_empty(), "{} epochs", epochs.len());
    let masking = Secrets::default().masking();
    let short = Run { id: "run", task: "task", success: None, session: &session, masking: &masking, most_tokens: 3 };
    for piece in pieces_served(&epochs, By::Any, None) {
        assert_eq!(piece.example(&short, |_| Some(String::new())), Err(LeftOut::TooLong));
        let gone = Run { most_tokens: MOST, ..short };
        assert_eq!(piece.example(&gone, |_| None), Err(LeftOut::NoGuideline));
    }
    assert!(pieces_served(&epochs, By::Llm, None).is_empty());
    insta::assert_json_snapshot!(made.first().unwrap().as_ref().unwrap());
}
