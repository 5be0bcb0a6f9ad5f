#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn ascii_json(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let mut out = String::from("\"");
            push_ascii(&mut out, text);
            out + "\""
        }
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(ascii_json).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| format!("{}: {}", ascii_json(&json!(key)), ascii_json(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn odd_json(value: &Value) -> String {
    value
        .to_string()
        .replace('/', "\\/")
        .replace('a', "\\u0061")
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c/\"\\\\\n\t\u{7f}\u{0}\u{1f}é漢😀 ]{0,40}",
        ("[a-c/\"\\\\\n\t\u{7f}\u{0}é漢😀 ]{1,40}", 1..60usize)
            .prop_map(|(text, times)| text.repeat(times)),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(Value::Null)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z{]{1,6}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn strings(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, out)),
        _ => {}
    }
}

fn rebuilt(native: &str, originals: &[String]) -> String {
    let (short, cuts) = externalise(native, originals.iter().map(String::as_str));
    assert!(short.len() + cuts.len() * MIN_CUT <= native.len());
    reassemble(&short, &cuts, originals).unwrap()
}

proptest! {
    #[test]
    fn law_1_native_json_comes_back_byte_identical(value in tree(), keep in any::<u64>()) {
        let mut texts = Vec::new();
        strings(&value, &mut texts);
        texts.push(value.to_string());
        let mut index = 0;
        texts.retain(|_| { index += 1; keep >> (index % 64) & 1 == 1 });
        for native in [value.to_string(), ascii_json(&value), odd_json(&value), format!("{value:#}")] {
            prop_assert_eq!(&rebuilt(&native, &texts), &native);
        }
    }

    #[test]
    fn law_1_any_text_comes_back(native in "[\\[\\]{}\"\\\\a]{0,1200}", original in "[\\[\\]{}\"\\\\a]{500,600}") {
        let native = native + &original;
        prop_assert_eq!(&rebuilt(&native, &[original]), &native);
    }
}

#[test]
fn long_texts_are_not_kept_twice() {
    let text = "naïve \"quoted\"\n".repeat(60);
    let value = json!({"role": "user", "content": [{"type": "text", "text": text}]});
    for native in [value.to_string(), ascii_json(&value)] {
        let (short, cuts) = externalise(&native, ["other", &text].into_iter());
        assert_eq!(cuts.len(), 1);
        assert!(short.len() < 80, "{short}");
    }
}

#[test]
fn long_objects_are_not_kept_twice() {
    let input = json!({"path": "a".repeat(600), "n": [1, 2]}).to_string();
    let native = format!("{{\"type\":\"tool_use\", \"input\": {input}}}");
    let (short, cuts) = externalise(
        &native,
        ["a".repeat(600).as_str(), input.as_str()].into_iter(),
    );
    assert_eq!(cuts, [Cut(short.len() - 1, Style::Raw, 1)]);
    assert_eq!(
        reassemble(&short, &cuts, &["a".repeat(600), input]).unwrap(),
        native
    );
}
