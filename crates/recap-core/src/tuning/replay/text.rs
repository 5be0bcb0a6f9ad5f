//! What a message says to the model, as the measures read it: its text, the same without values, its tokens.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;
use tiktoken_rs::o200k_base_singleton;

use super::python_json::{display, dumps, is_space};
use super::values::TOKENISH;

/// Tokens of framing that count for each message.
pub(super) const FRAMING: i64 = 4;
/// Characters that are tokenised at once.
const PIECE: usize = 100_000;

/// Returns the role of a message, empty if it has none.
pub(super) fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

/// Returns the functions that a message calls.
pub(super) fn calls(message: &Value) -> impl Iterator<Item = &Value> {
    let calls = message.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    calls.iter().map(|call| call.get("function").unwrap_or(call))
}

/// Returns the text of a message's content; of a list the text of its parts, a line each.
pub(super) fn content_text(message: &Value) -> String {
    match message.get("content") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Array(parts)) => parts.iter().map(part_text).collect::<Vec<_>>().join("\n"),
        Some(other) => display(other),
    }
}

fn part_text(part: &Value) -> String {
    if part.is_object() { part.get("text").map(display).unwrap_or_default() } else { display(part) }
}

/// Returns all text of a message that the model reads: its content, then each call's name and arguments.
pub(in crate::tuning) fn flat(message: &Value) -> String {
    let content = Some(content_text(message)).filter(|text| !text.is_empty());
    let calls = calls(message).map(|call| {
        let name = call.get("name").map(display).unwrap_or_default();
        match call.get("arguments") {
            None => format!("{name} "),
            Some(Value::String(arguments)) => format!("{name} {arguments}"),
            Some(arguments) => format!("{name} {}", dumps(arguments)),
        }
    });
    content.into_iter().chain(calls).collect::<Vec<_>>().join("\n")
}

/// Returns a text in lower case (ASCII letters) with every value-like token blanked, so that a list of values
/// offers no words to stand near. Offsets stay, in bytes and in characters.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for token in TOKENISH.find_iter(text) {
        out.push_str(text.get(from..token.start()).unwrap_or_default());
        out.extend(token.as_str().chars().map(blank_like));
        from = token.end();
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out.make_ascii_lowercase();
    out
}

/// Returns a character that is no letter and takes as many bytes as `c`.
fn blank_like(c: char) -> char {
    match c.len_utf8() {
        1 => ' ',
        2 => '\u{a0}',
        3 => '\u{2003}',
        _ => '\u{1f0a0}',
    }
}

/// Returns a text without white space, quotes, brackets, commas and bars.
pub(super) fn bare(text: &str) -> String {
    text.chars().filter(|&c| !(is_space(c) || matches!(c, '"' | '\'' | '{' | '}' | '[' | ']' | ',' | '|'))).collect()
}

/// Returns the number of `o200k_base` tokens of a text, special tokens read as plain text.
pub(super) fn tokens(text: &str) -> i64 {
    let mut sum = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let cut = rest.char_indices().nth(PIECE).map_or(rest.len(), |(at, _)| at);
        let (piece, tail) = rest.split_at_checked(cut).unwrap_or((rest, ""));
        sum += o200k_base_singleton().count_ordinary(piece);
        rest = tail;
    }
    i64::try_from(sum).unwrap_or(i64::MAX)
}

/// All that the measures need of one message.
#[derive(Debug)]
pub(super) struct Facts {
    /// Its text.
    pub(super) flat: String,
    /// [`plain`] of it.
    pub(super) plain: String,
    /// [`bare`] of it.
    pub(super) bare: String,
    /// Its tokens with framing.
    pub(super) tokens: i64,
}

impl Facts {
    pub(super) fn of(message: &Value) -> Facts {
        let flat = flat(message);
        Facts { plain: plain(&flat), bare: bare(&flat), tokens: tokens(&flat) + FRAMING, flat }
    }
}

/// Remembers what was read from served messages, so that contexts that repeat them cost nothing.
///
/// Only time depends on it. It is emptied when the texts it holds exceed its limit.
#[derive(Debug)]
pub struct MessageCache {
    known: HashMap<Value, Arc<Facts>>,
    bytes: usize,
    limit_bytes: usize,
}

impl MessageCache {
    /// Makes an empty cache of at most about `limit_bytes` of message text.
    #[must_use]
    pub fn new(limit_bytes: usize) -> MessageCache {
        MessageCache { known: HashMap::new(), bytes: 0, limit_bytes }
    }

    pub(super) fn facts(&mut self, message: &Value) -> Arc<Facts> {
        if let Some(facts) = self.known.get(message) {
            return Arc::clone(facts);
        }
        let facts = Arc::new(Facts::of(message));
        if self.bytes > self.limit_bytes {
            self.known.clear();
            self.bytes = 0;
        }
        self.bytes += facts.flat.len();
        self.known.insert(message.clone(), Arc::clone(&facts));
        facts
    }
}

impl Default for MessageCache {
    /// Makes a cache of 32 MiB of message text.
    fn default() -> MessageCache {
        MessageCache::new(32 << 20)
    }
}

/// Returns how many messages stand for the whole trajectory: the instructions and the task.
pub(super) fn head_of(messages: &[Value]) -> usize {
    let instructions = messages.iter().take_while(|m| is_instruction(m)).count();
    let task = messages.get(instructions).is_some_and(|m| role(m) == "user");
    instructions + usize::from(task)
}

/// Tells whether a message is the operator's.
pub(in crate::tuning) fn is_instruction(message: &Value) -> bool {
    matches!(role(message), "system" | "developer")
}

/// Groups messages after the head into atomic turns: tool results belong to the message before them.
pub(super) fn turns_of(messages: &[Value]) -> Vec<&[Value]> {
    messages.chunk_by(|_, next| role(next) == "tool").collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn flat_joins_content_parts_and_calls() {
        let call = |arguments: Value| json!({"id": "1", "function": {"name": "get", "arguments": arguments}});
        let parts = json!([{"type": "text", "text": "one"}, {"type": "image_url"}, "two"]);
        let message =
            json!({"role": "assistant", "content": parts, "tool_calls": [call(json!("{}")), call(json!({"a": 1}))]});
        assert_eq!(flat(&message), "one\n\ntwo\nget {}\nget {\"a\": 1}");
        assert_eq!(flat(&json!({"role": "assistant", "content": null})), "");
    }

    #[test]
    fn plain_keeps_offsets_and_hides_values() {
        let text = "Öl at ÄÖ@b.de FOR src/a.py é";
        let blank = plain(text);
        assert_eq!(blank, "Öl at \u{a0}\u{a0}      for          é");
        assert_eq!((blank.len(), blank.chars().count()), (text.len(), text.chars().count()));
        assert_eq!(plain("a_b\nc.d e"), format!("{}\n{}", plain("a_b"), plain("c.d e")));
        assert!("ä€😀".chars().all(|c| blank_like(c).len_utf8() == c.len_utf8()));
    }

    #[test]
    fn bare_drops_white_space_and_brackets() {
        assert_eq!(bare("{\"a\": [1, 'x'] |\u{1c}b}\n"), "a:1xb");
    }

    #[test]
    fn head_and_turns() {
        let m = |role: &str| json!({"role": role, "content": ""});
        let messages = [m("system"), m("developer"), m("user"), m("assistant"), m("tool"), m("tool"), m("user")];
        assert_eq!(head_of(&messages), 3);
        assert_eq!(turns_of(&messages[3..]).iter().map(|t| t.len()).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(turns_of(&messages[4..]).iter().map(|t| t.len()).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(head_of(&[m("assistant")]), 0);
    }

    #[test]
    fn tokens_of_hostile_texts() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("hello world"), 2);
        assert!(tokens("<|endoftext|>") > 1);
        assert_eq!(tokens(&"é".repeat(PIECE + 1)), tokens(&"é".repeat(PIECE)) + 1);
        for c in [" ", "\n", "\r\n", "\u{3000}", "a", "/", "\u{301}"] {
            assert!(tokens(&(c.repeat(PIECE) + "x")) > 0);
        }
    }

    #[test]
    fn a_full_cache_starts_over() {
        let mut cache = MessageCache::new(3);
        for i in 0..5 {
            assert_eq!(cache.facts(&json!({"role": "user", "content": format!("text {i}")})).flat, format!("text {i}"));
        }
        assert_eq!(cache.known.len(), 1);
    }
}
