#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::trajectory::generate::{Generated, Mess, any_trajectory};
use crate::trajectory::{Block, Limits, WireFormat, count_message, count_rendered, parse_messages};

const FORMATS: [OutFormat; 4] = [OutFormat::OpenAi, OutFormat::Anthropic, OutFormat::Responses, OutFormat::Text];

fn items(messages: &[Message]) -> Vec<RenderItem<'_>> {
    messages.iter().map(|message| RenderItem::Message { message, edits: None }).collect()
}

fn read(format: WireFormat, natives: &[&str]) -> Vec<Message> {
    let natives = natives.iter().map(|json| (*json).to_owned()).collect();
    Generated { format, kind: crate::trajectory::AgentKind::Tool, natives }.messages()
}

fn reread(format: WireFormat, rendered: &[String]) -> Vec<Message> {
    let raws: Vec<_> =
        rendered.iter().map(|json| serde_json::value::RawValue::from_string(json.clone()).unwrap()).collect();
    let raws: Vec<_> = raws.iter().map(AsRef::as_ref).collect();
    parse_messages(format, &raws, &Limits::default()).unwrap()
}

/// Returns a payload as one list of blocks: what a provider's cache sees.
fn blocks(rendered: &Rendered) -> Vec<(String, String)> {
    let mut out = vec![("system".to_owned(), rendered.system.clone().unwrap_or_default())];
    for json in &rendered.messages {
        let Ok(message) = serde_json::from_str::<Value>(json) else {
            out.push(("text".to_owned(), json.clone()));
            continue;
        };
        let role = message.get("role").map(ToString::to_string).unwrap_or_default();
        match (message.get("content").and_then(Value::as_array), rendered.system.is_some()) {
            (Some(blocks), _) if message.get("tool_calls").is_none() => {
                out.extend(blocks.iter().map(|block| (role.clone(), block.to_string())));
            }
            _ => out.push((role, json.clone())),
        }
    }
    out
}

fn edited(messages: &[Message], text: &str) -> Vec<Edits> {
    let texts = |message: &Message| {
        let editable = |block: &Block| matches!(block, Block::Text(_) | Block::Observation(_) | Block::Call(_));
        let blocks = message.blocks.iter().enumerate().filter(|(_, block)| editable(block));
        blocks.map(|(i, _)| (i, Arc::from(text))).collect()
    };
    messages.iter().map(|message| Edits { texts: texts(message), strip_thinking: true }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn law_3_sequences_are_valid(log in any_trajectory(Mess::Real), from in 0..6_usize) {
        let messages = log.messages();
        let list = items(messages.get(from..).unwrap_or_default());
        for format in FORMATS {
            let rendered = render_sequence(&list, format);
            prop_assert_eq!(check_valid(format, rendered.system.as_deref(), &rendered.messages), Ok(()));
            prop_assert_eq!(rendered.item_index.len(), list.len());
            prop_assert!(rendered.item_index.iter().all(|span| span.end <= rendered.messages.len()));
        }
    }

    #[test]
    fn law_3_holds_for_edited_messages(log in any_trajectory(Mess::Real), text in "[a-z{}\" \n]{0,12}") {
        let messages = log.messages();
        let edits = edited(&messages, &text);
        let list: Vec<RenderItem<'_>> = messages
            .iter()
            .zip(&edits)
            .map(|(message, edits)| RenderItem::Message { message, edits: Some(edits) })
            .chain([RenderItem::Synthetic(&text)])
            .collect();
        for format in FORMATS {
            let rendered = render_sequence(&list, format);
            prop_assert_eq!(check_valid(format, rendered.system.as_deref(), &rendered.messages), Ok(()));
        }
    }

    #[test]
    fn law_5_later_items_only_add(log in any_trajectory(Mess::Real)) {
        let messages = log.messages();
        let turns = crate::trajectory::group_turns(&messages, log.kind);
        for format in FORMATS {
            let whole = blocks(&render_sequence(&items(&messages), format));
            for turn in &turns {
                let part = render_sequence(&items(messages.get(..turn.messages.end).unwrap()), format);
                let part = blocks(&part);
                prop_assert_eq!(whole.get(..part.len()), Some(part.as_slice()));
            }
        }
    }

    #[test]
    fn clean_logs_pass_through(log in any_trajectory(Mess::None)) {
        let messages = log.messages();
        let own = if log.format == WireFormat::OpenAi { OutFormat::OpenAi } else { OutFormat::Anthropic };
        for message in &messages {
            prop_assert_eq!(render_message(message, None, own), vec![message.native.to_string()]);
        }
        if own == OutFormat::OpenAi {
            let rendered = render_sequence(&items(&messages), own);
            prop_assert_eq!(&rendered.messages, &log.natives);
            prop_assert_eq!(&rendered.repairs, &Vec::new());
        }
    }

    #[test]
    fn law_2_counts_what_is_rendered(log in any_trajectory(Mess::None)) {
        let messages = log.messages();
        let counter = crate::tokens::for_model(Some("gpt-4o"));
        for format in FORMATS {
            let rendered = render_sequence(&items(&messages), format);
            let counted = count_rendered(&rendered, format, counter.as_ref());
            prop_assert_eq!(counted.messages.len(), rendered.messages.len());
            if format == OutFormat::OpenAi && log.format == WireFormat::OpenAi {
                let each: Vec<_> = messages.iter().map(|message| count_message(message, counter.as_ref())).collect();
                prop_assert_eq!(&counted.messages, &each);
            }
            let words = messages.iter().flat_map(Message::observations).map(|one| counter.count(&one.text));
            prop_assert!(counted.total().tokens >= words.sum());
        }
    }

    #[test]
    fn words_survive_from_format_to_format(log in any_trajectory(Mess::None)) {
        let messages = log.messages();
        let words = |messages: &[Message]| -> Vec<String> {
            let mut words: Vec<String> = messages
                .iter()
                .filter(|message| message.role != crate::trajectory::Role::System)
                .flat_map(|message| message.blocks.iter())
                .filter_map(|block| match block {
                    Block::Text(text) => Some(text.to_string()),
                    Block::Call(call) => Some(format!("{} {}", call.name, call.arguments)),
                    Block::Observation(observation) => Some(observation.text.to_string()),
                    _ => None,
                })
                .filter(|text| !text.trim().is_empty() && text != EMPTY_TEXT)
                .collect();
            words.sort();
            words
        };
        for (out, format) in [(OutFormat::OpenAi, WireFormat::OpenAi), (OutFormat::Anthropic, WireFormat::Anthropic)] {
            let rendered = render_sequence(&items(&messages), out);
            prop_assert_eq!(words(&reread(format, &rendered.messages)), words(&messages));
        }
    }
}

#[test]
fn edits_change_nothing_else() {
    let messages = read(
        WireFormat::OpenAi,
        &[
            r#"{"x": 1.50, "role":"tool","tool_call_id":"a","content":"long","y":[1,  2]}"#,
            r#"{"role":"tool","content":[{"type":"text","text":"one","z":1},{"type":"text","text":"two"}],"tool_call_id":"a"}"#,
            r#"{"role":"assistant","content":"hm","tool_calls":[{"id":"a","type":"function","function":{"name":"n","arguments":"{\"k\":1}"},"q":0}]}"#,
        ],
    );
    let edit = |i: usize| Edits { texts: HashMap::from([(i, Arc::from("short"))]), strip_thinking: false };
    let render = |i: usize, block| render_message(&messages[i], Some(&edit(block)), OutFormat::OpenAi).remove(0);
    assert_eq!(render(0, 0), r#"{"x":1.50,"role":"tool","tool_call_id":"a","content":"short","y":[1,  2]}"#);
    assert_eq!(render(1, 0), r#"{"role":"tool","content":[{"type":"text","text":"short","z":1}],"tool_call_id":"a"}"#);
    assert_eq!(
        render(2, 1),
        r#"{"role":"assistant","content":"hm","tool_calls":[{"id":"a","type":"function","function":{"name":"n","arguments":"short"},"q":0}]}"#
    );
}

#[test]
fn repairs_are_named() {
    let messages = read(
        WireFormat::OpenAi,
        &[
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"n","arguments":"oops"}},{"id":"a","type":"function","function":{"name":"n","arguments":"{}"}}]}"#,
            r#"{"role":"tool","tool_call_id":"a","content":"1"}"#,
            r#"{"role":"tool","tool_call_id":"z","content":"?"}"#,
            r#"{"role":"user","content":""}"#,
        ],
    );
    let rendered = render_sequence(&items(&messages), OutFormat::Anthropic);
    let kinds: Vec<RepairKind> = rendered.repairs.into_iter().map(|repair| repair.kind).collect();
    assert_eq!(
        kinds,
        [
            RepairKind::Renamed { from: "a".to_owned(), to: "a_2".to_owned() },
            RepairKind::Orphan { call_id: "z".to_owned() },
            RepairKind::MissingResult { call_id: "a_2".to_owned() },
            RepairKind::Started,
            RepairKind::Empty,
        ]
    );
    assert_eq!(rendered.item_index, [1..2, 2..3, 3..3, 2..3]);
    assert!(rendered.messages[1].contains(r#""input":{"_raw":"oops"}"#));
}

#[test]
fn old_function_calls_are_sent_in_the_new_form() {
    let messages = read(
        WireFormat::OpenAi,
        &[
            r#"{"role":"assistant","content":null,"function_call":{"name":"ls","arguments":"{}"}}"#,
            r#"{"role":"function","name":"ls","content":"a.txt"}"#,
        ],
    );
    let rendered = render_sequence(&items(&messages), OutFormat::OpenAi);
    assert_eq!(
        rendered.messages,
        [
            r#"{"role":"assistant","content":null,"tool_calls":[{"id":"ls","type":"function","function":{"name":"ls","arguments":"{}"}}]}"#,
            r#"{"role":"tool","tool_call_id":"ls","content":"a.txt"}"#,
        ]
    );
}

#[test]
fn pictures_change_their_form() {
    let messages = read(
        WireFormat::Anthropic,
        &[
            r#"{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}"#,
        ],
    );
    let openai = render_sequence(&items(&messages), OutFormat::OpenAi).messages;
    assert_eq!(
        openai,
        [r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}"#]
    );
    let back = read(WireFormat::OpenAi, &[&openai[0]]);
    assert_eq!(render_sequence(&items(&back), OutFormat::Anthropic).messages, [messages[0].native.as_ref()]);
}
