#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use serde_json::value::RawValue;

use super::*;
use crate::tokens::for_model;

pub(super) fn read(format: WireFormat, natives: &[&str]) -> Result<Vec<Message>, Vec<Fault>> {
    let raws: Vec<Box<RawValue>> =
        natives.iter().map(|json| RawValue::from_string((*json).to_owned()).unwrap()).collect();
    let raws: Vec<&RawValue> = raws.iter().map(AsRef::as_ref).collect();
    parse_messages(format, &raws, &Limits::default())
}

fn openai(natives: &[&str]) -> Vec<Message> {
    read(WireFormat::OpenAi, natives).unwrap()
}

fn pointers(format: WireFormat, natives: &[&str]) -> Vec<String> {
    read(format, natives).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn reads_openai_messages_and_keeps_their_bytes() {
    let natives = [
        r#"{"role": "system",  "content": "Be brief."}"#,
        r#"{"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"https://x/y.png","detail":"low"}}],"name":"ann"}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"ls","arguments":"{\"p\": 1"}},{"id":"b","type":"function","function":{"name":"cat","arguments":{"q":2}}}],"x":1.50}"#,
        r#"{"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}"#,
        r#"{"role":"assistant","content":"","function_call":{"name":"old","arguments":"{}"},"reasoning_content":"hm"}"#,
        r#"{"role":"function","name":"old","content":"done"}"#,
    ];
    let messages = openai(&natives);
    assert!(messages.iter().zip(natives).all(|(message, native)| message.native.as_ref() == native));
    let calls: Vec<&str> = messages[2].calls().map(|call| call.arguments.as_ref()).collect();
    assert_eq!(calls, ["{\"p\": 1", "{\"q\":2}"]);
    assert_eq!(messages[3].observations().next().unwrap().text.as_ref(), "one\ntwo");
    assert!(matches!(&messages[1].blocks[1], Block::Image(Image { tokens: Some(85), .. })));
    assert!(matches!(&messages[4].blocks[0], Block::Thinking(json) if json.as_ref() == "\"hm\""));
    assert_eq!(messages[5].observations().next().unwrap().call_id, messages[4].calls().next().unwrap().id);
}

#[test]
fn names_every_fault_by_its_place() {
    assert_eq!(
        pointers(
            WireFormat::OpenAi,
            &[
                r#"{"role":"wizard","content":"x"}"#,
                r#"{"role":"user","content":[{"type":"text"},{"type":"text","text":"ok"},7]}"#,
                r#"{"role":"assistant","tool_calls":[{"id":"a","function":{"arguments":"{}"}}]}"#,
                r#"{"role":"tool","content":"x"}"#,
                "[1]",
                r#"{"role":"user","content":"\ud800"}"#,
            ]
        ),
        [
            "/messages/0/role",
            "/messages/1/content/0/text",
            "/messages/1/content/2",
            "/messages/2/tool_calls/0/function/name",
            "/messages/3/tool_call_id",
            "/messages/4",
            "/messages/5/content",
        ]
    );
    assert_eq!(
        pointers(
            WireFormat::Anthropic,
            &[
                r#"{"role":"user"}"#,
                r#"{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"n","input":"x"}]}"#,
                r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text"}]}]}"#,
            ]
        ),
        ["/messages/0/content", "/messages/1/content/0/input", "/messages/2/content/0/content/0/text"]
    );
}

#[test]
fn holds_the_limits() {
    let deep = format!(r#"{{"role":"user","content":"x","y":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    assert_eq!(pointers(WireFormat::OpenAi, &[&deep]), ["/messages/0"]);
    let raw = RawValue::from_string(r#"{"role":"user","content":"hello"}"#.to_owned()).unwrap();
    let tight = Limits { messages: 1, ..Limits::default() };
    assert!(parse_messages(WireFormat::OpenAi, &[&raw, &raw], &tight).is_err());
    let tight = Limits { message_bytes: 10, ..Limits::default() };
    assert!(parse_messages(WireFormat::OpenAi, &[&raw], &tight).is_err());
}

#[test]
fn reads_anthropic_messages() {
    let messages = read(
        WireFormat::Anthropic,
        &[
            r#"{"role":"user","content":"Hi"}"#,
            r#"{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"ok"},{"type":"tool_use","id":"a","name":"ls","input":{"p": 1.0}}]}"#,
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","is_error":true,"content":[{"type":"text","text":"no"}]},{"type":"text","text":"go on"}]}"#,
        ],
    )
    .unwrap();
    assert_eq!(messages[1].calls().next().unwrap().arguments.as_ref(), r#"{"p": 1.0}"#);
    assert!(messages[2].observations().next().unwrap().is_error);
    assert_eq!(group_turns(&messages, AgentKind::Tool).len(), 2);
    let raw = RawValue::from_string(r#"[{"type":"text","text":"Rules"}]"#.to_owned()).unwrap();
    let system = parse_system(&raw, &Limits::default()).unwrap();
    assert_eq!((system.role, system.blocks.len()), (Role::System, 1));
    let raw = RawValue::from_string("7".to_owned()).unwrap();
    assert_eq!(parse_system(&raw, &Limits::default()).unwrap_err()[0].pointer, "/system");
}

#[test]
fn knows_what_recapd_wrote() {
    let served = r#"{"role":"user","content":"<recapd_context epoch=\"1\">x</recapd_context>"}"#;
    let own = r#"{"role":"user","content":"what is <recapd_context>?"}"#;
    let origins: Vec<Origin> = openai(&[served, own]).iter().map(|message| message.origin).collect();
    assert_eq!(origins, [Origin::Recapd, Origin::Agent]);
}

#[test]
fn counts_messages_with_their_framing() {
    let counter = for_model(Some("gpt-4o"));
    let messages = openai(&[
        r#"{"role":"user","content":"hello world"}"#,
        r#"{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"hello","arguments":"{}"}}]}"#,
        r#"{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}"#,
    ]);
    let counts: Vec<MessageTokens> = messages.iter().map(|message| count_message(message, counter.as_ref())).collect();
    assert_eq!(counts[0], MessageTokens { tokens: 6, unknown_images: 0 });
    assert_eq!(counts[1], MessageTokens { tokens: 4 + 3 + 1 + 1, unknown_images: 0 });
    assert_eq!(counts[2], MessageTokens { tokens: 4, unknown_images: 1 });
}

const SYSTEM: &str = r#"{"role":"system","content":"s"}"#;
const USER: &str = r#"{"role":"user","content":"u"}"#;
const SAYS: &str = r#"{"role":"assistant","content":"a"}"#;
const ACTS: &str = r#"{"role":"assistant","content":"I look.\n```bash\nls\n```"}"#;
const CALLS: &str = r#"{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"x","arguments":"{}"}},{"id":"a","type":"function","function":{"name":"x","arguments":"{}"}}]}"#;
const RESULT: &str = r#"{"role":"tool","tool_call_id":"a","content":"r"}"#;
const STRAY: &str = r#"{"role":"tool","tool_call_id":"z","content":"r"}"#;

#[test]
fn groups_a_tool_agents_turns() {
    let messages = openai(&[SYSTEM, SYSTEM, USER, USER, CALLS, RESULT, STRAY, SAYS, USER, SYSTEM, RESULT]);
    let turns = group_turns(&messages, AgentKind::Tool);
    let shape: Vec<_> = turns.iter().map(|turn| (turn.kind, turn.messages.clone())).collect();
    assert_eq!(
        shape,
        [
            (TurnKind::Head, 0..3),
            (TurnKind::Said, 3..4),
            (TurnKind::Exchange, 4..7),
            (TurnKind::Exchange, 7..8),
            (TurnKind::Said, 8..9),
            (TurnKind::Said, 9..10),
            (TurnKind::Exchange, 10..11),
        ]
    );
    assert_eq!(turns[2].open_calls(&messages).len(), 1);
    assert_eq!(turns[2].orphans(&messages), [Orphan { message: 6, block: 0 }]);
    assert_eq!(turns[6].orphans(&messages).len(), 1);
}

#[test]
fn tells_text_agents() {
    let acting = openai(&[SYSTEM, USER, ACTS, USER, ACTS, USER]);
    assert_eq!(detect_agent_kind(&acting, false), Some(AgentKind::Text));
    assert_eq!(detect_agent_kind(&acting, true), Some(AgentKind::Tool));
    assert_eq!(detect_agent_kind(&acting[..4], false), None);
    assert_eq!(detect_agent_kind(&openai(&[SYSTEM, USER, SAYS, USER, ACTS]), false), Some(AgentKind::Tool));
    assert_eq!(detect_agent_kind(&openai(&[USER, ACTS, USER, USER, ACTS]), false), Some(AgentKind::Tool));
    assert_eq!(detect_agent_kind(&openai(&[USER, CALLS]), false), Some(AgentKind::Tool));
    for action in
        ["Thought: x\nAction: open[door]", "<execute_bash>ls</execute_bash>", "```mswea_bash_command\nls\n```"]
    {
        let native = serde_json::json!({"role": "assistant", "content": action}).to_string();
        let messages = openai(&[USER, &native, USER, &native]);
        assert_eq!(detect_agent_kind(&messages, false), Some(AgentKind::Text), "{action}");
    }
    let turns = group_turns(&acting, AgentKind::Text);
    assert_eq!(turns.iter().map(|turn| turn.messages.clone()).collect::<Vec<_>>(), [0..2, 2..4, 4..6]);
}
