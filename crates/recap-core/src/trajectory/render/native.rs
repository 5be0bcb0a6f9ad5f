//! OpenAI's own messages: byte for byte where they are valid and unedited, else with nothing but the values
//! concerned written anew.

use super::openai::call_text;
use super::plan::PlannedCall;
use super::source::Source;
use crate::trajectory::fields::{Fields, ObjectText, array, array_text, quote};
use crate::trajectory::message::{Block, Role};
use crate::trajectory::openai::REASONING;
use crate::trajectory::parse::Slot;

/// Renders an OpenAI message for OpenAI. `calls` are an assistant's calls, `answers` the id of a result.
pub(super) fn openai_native(source: &Source<'_>, calls: &[PlannedCall], answers: Option<&str>) -> String {
    let native = source.message.native.as_ref();
    let Some(fields) = Fields::parse(native) else {
        return native.to_owned();
    };
    if !source.edited() && !needs_change(source, &fields, calls, answers) {
        return native.to_owned();
    }
    let slots = source.slots();
    let mut object = ObjectText::default();
    for (key, value) in fields.members() {
        member(&mut object, key, value, &Place { source, calls, answers, slots: &slots });
    }
    if fields.get("content").is_none() && calls.is_empty() {
        object.raw("content", "\"\"");
    }
    object.finish()
}

/// What a member is written for.
struct Place<'a> {
    source: &'a Source<'a>,
    calls: &'a [PlannedCall],
    answers: Option<&'a str>,
    slots: &'a [Slot],
}

fn member(object: &mut ObjectText, key: &str, value: &str, place: &Place<'_>) {
    let role = place.source.message.role;
    match key {
        "role" if role == Role::Tool => object.text("role", "tool"),
        "tool_call_id" => object.text(key, place.answers.unwrap_or_default()),
        // The old form names its function instead of an id.
        "name" if role == Role::Tool && !place.source.message.native.contains("\"tool_call_id\"") => {
            object.text("tool_call_id", place.answers.unwrap_or_default())
        }
        "content" => object.raw(key, &content(value, place)),
        "tool_calls" if value == "null" => object,
        "tool_calls" if place.calls.is_empty() => object,
        "tool_calls" => object.raw(key, &tool_calls(value, place)),
        "function_call" if value != "null" => {
            let calls: Vec<String> = place.calls.iter().filter_map(|call| call_text(place.source, call)).collect();
            object.raw("tool_calls", &array_text(&calls))
        }
        "refusal" => match edit_at(place, &Slot::Member("refusal")) {
            Some(text) => object.text(key, &text),
            None => object.raw(key, value),
        },
        _ if REASONING.contains(&key) && place.source.strips_thinking() => object,
        _ => object.raw(key, value),
    };
}

/// Tells whether the native bytes cannot be sent as they are.
fn needs_change(source: &Source<'_>, fields: &Fields<'_>, calls: &[PlannedCall], answers: Option<&str>) -> bool {
    let empty = fields
        .some("content")
        .is_none_or(|content| content.starts_with('[') && array(content).is_some_and(|parts| parts.is_empty()));
    let renamed = calls.iter().any(|call| match source.block(call.block) {
        Some(Block::Call(sent)) => *sent.id != *call.id,
        _ => false,
    });
    let old = fields.some("function_call").is_some() || fields.get("role") == Some("\"function\"");
    let answers_other = answers.is_some() && fields.string("tool_call_id").as_deref() != answers;
    let stray = fields.some("tool_calls").is_some() && calls.is_empty();
    let thinking = source.strips_thinking() && REASONING.iter().any(|key| fields.get(key).is_some());
    (empty && calls.is_empty()) || renamed || old || answers_other || stray || thinking || odd_arguments(fields)
}

/// Tells whether a call's arguments were sent as something else than a string.
fn odd_arguments(fields: &Fields<'_>) -> bool {
    let calls = fields.some("tool_calls").and_then(array).unwrap_or_default();
    calls.iter().filter_map(|call| Fields::parse(call)).any(|call| {
        let function = call.get("function").and_then(Fields::parse);
        function.is_some_and(|function| !function.get("arguments").is_some_and(|json| json.starts_with('"')))
    })
}

fn edit_at(place: &Place<'_>, slot: &Slot) -> Option<String> {
    let block = place.slots.iter().position(|known| known == slot)?;
    place.source.edit(block).map(ToString::to_string)
}

fn content(value: &str, place: &Place<'_>) -> String {
    let edit = edit_at(place, &Slot::Content);
    let Some(parts) = array(value) else {
        return match edit {
            Some(text) => quote(&text),
            None if value == "null" && place.calls.is_empty() => "\"\"".to_owned(),
            None => value.to_owned(),
        };
    };
    if parts.is_empty() && place.calls.is_empty() {
        return quote(&edit.unwrap_or_default());
    }
    match edit {
        Some(text) => array_text(&result_parts(&parts, &text)),
        None => array_text(&edited_parts(&parts, place)),
    }
}

/// Puts a result's new text in place of its first text part and drops the other text parts.
fn result_parts(parts: &[&str], text: &str) -> Vec<String> {
    let mut new = Some(text);
    let mut out = Vec::new();
    for part in parts {
        let fields = Fields::parse(part);
        match fields.filter(|fields| fields.get("text").is_some()) {
            Some(fields) => {
                out.extend(new.take().map(|text| fields.with(&[("text", quote(text))])));
            }
            None => out.push((*part).to_owned()),
        }
    }
    if let Some(text) = new {
        out.insert(0, ObjectText::default().text("type", "text").text("text", text).finish());
    }
    out
}

fn edited_parts(parts: &[&str], place: &Place<'_>) -> Vec<String> {
    let edited = |(i, part): (usize, &&str)| {
        let text = edit_at(place, &Slot::Element(i))?;
        let fields = Fields::parse(part)?;
        let key = if fields.get("refusal").is_some() { "refusal" } else { "text" };
        fields.get(key).map(|_| fields.with(&[(key, quote(&text))]))
    };
    parts.iter().enumerate().map(|(i, part)| edited((i, part)).unwrap_or_else(|| (*part).to_owned())).collect()
}

fn tool_calls(value: &str, place: &Place<'_>) -> String {
    let elements = array(value).unwrap_or_default();
    let calls = elements.iter().enumerate().map(|(i, element)| {
        let block = place.slots.iter().position(|slot| *slot == Slot::ToolCall(i));
        let call = place.calls.iter().find(|call| Some(call.block) == block);
        call.and_then(|call| one_call(element, call, place)).unwrap_or_else(|| (*element).to_owned())
    });
    array_text(&calls.collect::<Vec<String>>())
}

fn one_call(element: &str, call: &PlannedCall, place: &Place<'_>) -> Option<String> {
    let fields = Fields::parse(element)?;
    let (kind, key) = if fields.get("custom").is_some() { ("custom", "input") } else { ("function", "arguments") };
    let inner = fields.get(kind).and_then(Fields::parse)?;
    let words = quote(&place.source.words(call.block));
    let same = inner.get(key).is_some_and(|json| json.starts_with('"')) && place.source.edit(call.block).is_none();
    let mut changes = Vec::new();
    if fields.string("id").as_deref() != Some(&call.id) {
        changes.push(("id", quote(&call.id)));
    }
    if !same {
        changes.push((kind, inner.with(&[(key, words)])));
    }
    Some(if changes.is_empty() { element.to_owned() } else { fields.with(&changes) })
}
