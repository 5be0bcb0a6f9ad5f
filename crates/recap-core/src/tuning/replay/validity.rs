//! Whether a served list is one that a provider accepts, and still the conversation it stands for.

use std::collections::HashSet;

use serde_json::Value;

use super::text::role;

/// Returns why an OpenAI-shaped provider refuses this list, or why it is not the conversation `sent`, whose
/// first `head` messages must stand unchanged; `None` if all is well.
#[must_use]
pub fn invalid(messages: &[Value], sent: &[Value], head: usize) -> Option<String> {
    let head = head.min(sent.len());
    if messages.get(..head.min(messages.len())) != sent.get(..head) {
        return Some("the system prompt or the task was changed or dropped".to_owned());
    }
    let mut open: HashSet<&Value> = HashSet::new();
    for (i, message) in messages.iter().enumerate() {
        if let Some(why) = shape_fault(message) {
            return Some(format!("message {i}: {why}"));
        }
        if role(message) == "tool" {
            if !message.get("tool_call_id").is_some_and(|id| open.remove(id)) {
                return Some(format!("message {i}: result without its call"));
            }
            continue;
        }
        if !open.is_empty() {
            return Some(format!("message {i}: call without its result"));
        }
        match call_ids(message) {
            Some(ids) => open = ids,
            None => {
                return Some(format!("message {i}: call ids that repeat or lack, or arguments that are no string"));
            }
        }
    }
    (!open.is_empty()).then(|| "the last call has no result".to_owned())
}

fn tool_calls(message: &Value) -> Option<&Value> {
    message.get("tool_calls").filter(|calls| !calls.is_null())
}

fn shape_fault(message: &Value) -> Option<String> {
    let role = role(message);
    if !matches!(role, "system" | "developer" | "user" | "assistant" | "tool") {
        return Some(format!("role {role:?}"));
    }
    let calls = tool_calls(message);
    let some_calls = calls.and_then(Value::as_array).is_some_and(|calls| !calls.is_empty());
    if calls.is_some() && (role != "assistant" || !some_calls) {
        return Some("tool calls where none can be, or an empty list of them".to_owned());
    }
    let no_content = message.get("content").is_none_or(Value::is_null);
    (no_content && !some_calls).then(|| "neither content nor calls".to_owned())
}

/// Returns the ids of a message's calls, or `None` if the calls are not well formed.
fn call_ids(message: &Value) -> Option<HashSet<&Value>> {
    let mut ids = HashSet::new();
    for call in tool_calls(message).and_then(Value::as_array).into_iter().flatten() {
        let fresh = ids.insert(call.get("id")?);
        if !fresh || !call.get("function")?.get("arguments")?.is_string() {
            return None;
        }
    }
    Some(ids)
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use serde_json::json;

    use super::*;

    fn call(ids: &[&str]) -> Value {
        let calls: Vec<_> =
            ids.iter().map(|id| json!({"id": id, "function": {"name": "f", "arguments": "{}"}})).collect();
        json!({"role": "assistant", "content": null, "tool_calls": calls})
    }

    fn result(id: &str) -> Value {
        json!({"role": "tool", "tool_call_id": id, "content": "r"})
    }

    #[test]
    fn calls_need_their_results_and_results_their_calls() {
        let task = json!({"role": "user", "content": "t"});
        let ok = [task.clone(), call(&["a", "b"]), result("b"), result("a"), task.clone()];
        assert_eq!(invalid(&ok, &ok, 1), None);
        let bad: [(&[Value], &str); 7] = [
            (&[result("a")], "message 0: result without its call"),
            (&[call(&["a"])], "the last call has no result"),
            (&[call(&["a", "b"]), result("a"), task.clone()], "message 2: call without its result"),
            (&[call(&["a"]), result("a"), result("a")], "message 2: result without its call"),
            (&[call(&["a", "a"])], "message 0: call ids that repeat or lack, or arguments that are no string"),
            (&[call(&[])], "message 0: tool calls where none can be, or an empty list of them"),
            (&[json!({"role": "assistant", "content": null})], "message 0: neither content nor calls"),
        ];
        for (messages, why) in bad {
            assert_eq!(invalid(messages, &[], 0).as_deref(), Some(why));
        }
        assert!(invalid(&[json!("text")], &[], 0).is_some());
        assert!(invalid(&[json!({"role": "user", "content": "", "tool_calls": []})], &[], 0).is_some());
    }

    #[test]
    fn the_head_must_stand() {
        let (task, other) = (json!({"role": "user", "content": "t"}), json!({"role": "user", "content": "u"}));
        let why = Some("the system prompt or the task was changed or dropped".to_owned());
        assert_eq!(invalid(from_ref(&other), from_ref(&task), 1), why);
        assert_eq!(invalid(&[], from_ref(&task), 1), why);
        assert_eq!(invalid(&[task.clone(), other], &[task], 1), None);
    }
}
