//! What providers refuse.

use std::collections::HashSet;

use serde_json::Value;

use super::OutFormat;

/// Tells why a provider would refuse a list, by the rules that providers publish and enforce.
///
/// `messages` are JSON objects; `system` is Anthropic's. A transcript is always valid.
///
/// # Errors
///
/// The first rule that is broken, with the message's place.
pub fn check_valid(format: OutFormat, system: Option<&str>, messages: &[String]) -> Result<(), String> {
    if format == OutFormat::Text {
        return Ok(());
    }
    let parsed: Result<Vec<Value>, String> = messages
        .iter()
        .enumerate()
        .map(|(i, json)| serde_json::from_str(json).map_err(|error| format!("message {i}: {error}")))
        .collect();
    let parsed = parsed?;
    match format {
        OutFormat::OpenAi => openai(&parsed),
        OutFormat::Anthropic => {
            let system = system.map(serde_json::from_str::<Value>).transpose();
            let system = system.map_err(|error| format!("system: {error}"))?;
            system.iter().try_for_each(|system| texts_show("system", system))?;
            anthropic(&parsed)
        }
        OutFormat::Responses => responses(&parsed),
        OutFormat::Text => Ok(()),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn openai(messages: &[Value]) -> Result<(), String> {
    let mut open = HashSet::new();
    for (i, message) in messages.iter().enumerate() {
        let role = text(message, "role").unwrap_or_default();
        let calls = list(message, "tool_calls");
        let has_calls = message.get("tool_calls").is_some_and(|calls| !calls.is_null());
        if !["system", "developer", "user", "assistant", "tool"].contains(&role) {
            return Err(format!("message {i}: role {role:?}"));
        }
        if has_calls && (role != "assistant" || calls.is_empty()) {
            return Err(format!("message {i}: tool_calls"));
        }
        if message.get("content").is_none_or(Value::is_null) && !has_calls {
            return Err(format!("message {i}: neither content nor calls"));
        }
        if role == "tool" {
            if !open.remove(text(message, "tool_call_id").unwrap_or_default()) {
                return Err(format!("message {i}: result without its call"));
            }
            continue;
        }
        if !open.is_empty() {
            return Err(format!("message {i}: call without its result"));
        }
        for call in calls {
            let arguments = call.pointer("/function/arguments").or_else(|| call.pointer("/custom/input"));
            if !arguments.is_some_and(Value::is_string) {
                return Err(format!("message {i}: arguments that are no string"));
            }
            let id = text(call, "id").filter(|id| !id.is_empty()).ok_or(format!("message {i}: call without id"))?;
            if !open.insert(id) {
                return Err(format!("message {i}: repeated call ids"));
            }
        }
    }
    if open.is_empty() { Ok(()) } else { Err("the last call has no result".to_owned()) }
}

/// Holds that no text is blank.
fn texts_show(place: &str, content: &Value) -> Result<(), String> {
    let blank = |text: &str| text.trim().is_empty();
    let bad = match content {
        Value::String(text) => blank(text),
        Value::Array(blocks) => {
            blocks.is_empty()
                || blocks
                    .iter()
                    .any(|block| text(block, "type") == Some("text") && text(block, "text").is_none_or(blank))
        }
        _ => true,
    };
    if bad { Err(format!("{place}: empty text")) } else { Ok(()) }
}

fn anthropic(messages: &[Value]) -> Result<(), String> {
    let (mut open, mut ids, mut last) = (HashSet::new(), HashSet::new(), "assistant");
    for (i, message) in messages.iter().enumerate() {
        let role = text(message, "role").unwrap_or_default();
        if !["user", "assistant"].contains(&role) || role == last {
            return Err(format!("message {i}: role {role:?} after {last:?}"));
        }
        last = role;
        texts_show(&format!("message {i}"), message.get("content").unwrap_or(&Value::Null))?;
        let mut results_over = false;
        for block in list(message, "content") {
            match (text(block, "type").unwrap_or_default(), role) {
                ("tool_result", "user") => {
                    if results_over || !open.remove(text(block, "tool_use_id").unwrap_or_default()) {
                        return Err(format!("message {i}: a result that is late or has no call"));
                    }
                    if let Some(content @ Value::Array(blocks)) = block.get("content")
                        && !blocks.is_empty()
                    {
                        texts_show(&format!("message {i}"), content)?;
                    }
                }
                ("tool_use", "assistant") => {
                    let id = text(block, "id").unwrap_or_default();
                    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
                    if id.is_empty() || !id.chars().all(plain) || !ids.insert(id) {
                        return Err(format!("message {i}: call id {id:?}"));
                    }
                    if !block.get("input").is_some_and(Value::is_object) {
                        return Err(format!("message {i}: input that is no object"));
                    }
                    open.insert(id);
                }
                ("tool_use" | "tool_result", _) => {
                    return Err(format!("message {i}: block of another role"));
                }
                _ => results_over = true,
            }
        }
        if role == "user" && !open.is_empty() {
            return Err(format!("message {i}: call without its result"));
        }
    }
    if open.is_empty() { Ok(()) } else { Err("the last call has no result".to_owned()) }
}

fn responses(items: &[Value]) -> Result<(), String> {
    let (mut open, mut ids, mut answering) = (HashSet::new(), HashSet::new(), false);
    for (i, item) in items.iter().enumerate() {
        let kind = text(item, "type").unwrap_or("message");
        let id = text(item, "call_id").unwrap_or_default();
        match kind {
            "function_call" => {
                if answering && !open.is_empty() {
                    return Err(format!("item {i}: call without its result"));
                }
                answering = false;
                if id.is_empty() || !ids.insert(id) || text(item, "arguments").is_none() || text(item, "name").is_none()
                {
                    return Err(format!("item {i}: call {id:?}"));
                }
                open.insert(id);
            }
            "function_call_output" => {
                answering = true;
                if !open.remove(id) || item.get("output").is_none_or(Value::is_null) {
                    return Err(format!("item {i}: result without its call"));
                }
            }
            "message" => {
                let role = text(item, "role").unwrap_or_default();
                let known = ["system", "developer", "user", "assistant"].contains(&role);
                if !known || item.get("content").is_none_or(Value::is_null) {
                    return Err(format!("item {i}: role {role:?} or no content"));
                }
                if !open.is_empty() {
                    return Err(format!("item {i}: call without its result"));
                }
            }
            other => return Err(format!("item {i}: type {other:?}")),
        }
    }
    if open.is_empty() { Ok(()) } else { Err("the last call has no result".to_owned()) }
}
