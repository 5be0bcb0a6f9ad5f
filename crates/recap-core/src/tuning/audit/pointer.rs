//! Where in JSON a byte of its text stands.

/// Containers in containers that are followed at most.
const MOST_DEPTH: usize = 256;

/// A place in JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// The pointer (RFC 6901).
    pub(super) pointer: String,
    /// The name of the nearest member above it.
    pub(super) key: Option<String>,
}

enum Frame {
    Object { key: Option<String>, awaits_key: bool },
    Array { index: usize },
}

/// Returns the place of a byte in JSON, or in a literal that reads like it; words before the first bracket are passed
/// over. `None` outside of all containers. Takes time linear in the text's length.
pub(super) fn locate(text: &str, at: usize) -> Option<Located> {
    let bytes = text.as_bytes();
    let mut stack: Vec<Frame> = Vec::new();
    let mut from = text.find(['{', '['])?;
    while let Some(&byte) = bytes.get(from).filter(|_| from <= at) {
        let end = match byte {
            b'"' | b'\'' if !stack.is_empty() => string_end(bytes, from),
            _ => from + 1,
        };
        match byte {
            b'{' | b'[' if stack.len() >= MOST_DEPTH => return None,
            b'{' => stack.push(Frame::Object { key: None, awaits_key: true }),
            b'[' => stack.push(Frame::Array { index: 0 }),
            b'}' | b']' => drop(stack.pop()),
            b',' => next_member(&mut stack),
            b':' => {
                if let Some(Frame::Object { awaits_key, .. }) = stack.last_mut() {
                    *awaits_key = false;
                }
            }
            b'"' | b'\'' => {
                if let Some(Frame::Object { key, awaits_key: true }) = stack.last_mut() {
                    *key = text.get(from..end).map(unquoted);
                }
            }
            _ => {}
        }
        from = end;
    }
    located(&stack)
}

fn next_member(stack: &mut [Frame]) {
    match stack.last_mut() {
        Some(Frame::Object { awaits_key, .. }) => *awaits_key = true,
        Some(Frame::Array { index }) => *index += 1,
        None => {}
    }
}

/// Returns where the string that starts at a quote ends, its closing quote included.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes.get(start).copied();
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            _ if Some(byte) == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Returns what a quoted text says.
fn unquoted(quoted: &str) -> String {
    serde_json::from_str(quoted).unwrap_or_else(|_| quoted.trim_matches(['"', '\'']).to_owned())
}

fn located(stack: &[Frame]) -> Option<Located> {
    let mut found = Located { pointer: String::new(), key: None };
    for frame in stack {
        match frame {
            Frame::Object { key: Some(name), .. } => {
                found.pointer.push('/');
                found.pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                found.key = Some(name.clone());
            }
            Frame::Object { key: None, .. } => {}
            Frame::Array { index } => {
                found.pointer.push('/');
                found.pointer.push_str(&index.to_string());
            }
        }
    }
    (!stack.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn at(text: &str, value: &str) -> (String, Option<String>) {
        let found = locate(text, text.rfind(value).unwrap()).unwrap();
        (found.pointer, found.key)
    }

    #[test]
    fn scalars_and_keys_have_pointers() {
        let text = r#"{"user": {"id": "u_1"}, "orders": [{"id": "W1"}, {"id": "W2", "a/b~": [7, 99]}], "gone": null}"#;
        assert_eq!(at(text, "u_1"), ("/user/id".to_owned(), Some("id".to_owned())));
        assert_eq!(at(text, "W2"), ("/orders/1/id".to_owned(), Some("id".to_owned())));
        assert_eq!(at(text, "99"), ("/orders/1/a~1b~0/1".to_owned(), Some("a/b~".to_owned())));
        assert_eq!(at(text, "gone"), ("/gone".to_owned(), Some("gone".to_owned())));
        assert_eq!(at(text, "null"), ("/gone".to_owned(), Some("gone".to_owned())));
    }

    #[test]
    fn brackets_and_quotes_in_strings_are_words() {
        assert_eq!(at(r#"{"a": "} , [\" x", "b": "AB1"}"#, "AB1").0, "/b");
        assert_eq!(at("result: {'a': 'it', 'b': [1, 'AB1']}", "AB1").0, "/b/1");
    }

    #[test]
    fn what_is_no_json_has_no_pointer() {
        assert_eq!(locate("plain AB1", 6), None);
        assert_eq!(locate("AB1 {\"a\": 1}", 0), None);
        assert_eq!(locate(&"[".repeat(MOST_DEPTH + 9), MOST_DEPTH + 8), None);
    }

    proptest! {
        #[test]
        fn a_pointer_leads_to_what_it_was_made_from(
            text in "[a-z{\\[\\]}\",: ]{0,6}", keys in proptest::collection::vec("[a-z/~\"]{1,4}", 1..4), index in 0usize..3,
        ) {
            let needle = format!("<{text}>");
            let mut value = Value::Array((0..=index).map(|n| if n == index { needle.clone().into() } else { Value::Null }).collect());
            for key in &keys {
                value = serde_json::json!({ "first": ["x"], key: value, "zz": {} });
            }
            let written = value.to_string();
            let inner = serde_json::to_string(&needle).unwrap();
            let found = locate(&written, written.find(&inner).unwrap() + 1).unwrap();
            prop_assert_eq!(value.pointer(&found.pointer), Some(&Value::String(needle)), "{}", written);
        }
    }
}
