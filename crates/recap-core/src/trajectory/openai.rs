//! OpenAI Chat Completions messages.

use std::sync::Arc;

use super::fields::{Fields, array, string};
use super::message::{Block, Call, Image, Observation, Role};
use super::parse::{Faults, Part, Slot, kind_of};
use crate::tokens::{Detail, decode_base64, image_size, openai_image_tokens};

/// Members in which OpenAI-compatible providers return a model's reasoning.
pub(super) const REASONING: [&str; 2] = ["reasoning_content", "reasoning"];

/// How many bytes of an embedded picture are looked at for its size.
pub(super) const IMAGE_HEAD_BYTES: usize = 256 * 1024;

/// Reads one message; `None` only after a fault was added.
pub(super) fn read(fields: &Fields<'_>, faults: &mut Faults) -> Option<(Role, Vec<Part>)> {
    let role = match faults.string(fields, "role")?.as_ref() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => Role::Tool,
        other => {
            let detail = format!("expected system, developer, user, assistant, tool or function, found {other:?}");
            faults.add_at("role", &detail);
            return None;
        }
    };
    let content = faults.under("content", |faults| contents(fields.some("content"), faults));
    let parts = match role {
        Role::Tool => result(fields, content, faults)?,
        Role::Assistant => assistant(fields, content, faults),
        _ => content,
    };
    Some((role, parts))
}

/// Reads a `content` value: missing, a string or an array of parts.
fn contents(content: Option<&str>, faults: &mut Faults) -> Vec<Part> {
    let Some(json) = content else {
        return Vec::new();
    };
    if let Some(text) = string(json) {
        return if text.is_empty() { Vec::new() } else { vec![text_part(text, Slot::Content)] };
    }
    let Some(items) = array(json) else {
        faults.add(format!("expected a string, an array of parts or null, found {}", kind_of(json)));
        return Vec::new();
    };
    faults.elements(&items, |faults, i, json| {
        let fields = faults.object(json)?;
        let block = match faults.string(&fields, "type")?.as_ref() {
            "text" | "input_text" | "output_text" => Block::Text(faults.string(&fields, "text")?),
            "refusal" => Block::Text(faults.string(&fields, "refusal")?),
            "image_url" => Block::Image(image(json, &fields, faults)?),
            _ => Block::Other(Arc::from(json)),
        };
        Some(Part { block, slot: Slot::Element(i) })
    })
}

fn text_part(text: String, slot: Slot) -> Part {
    Part { block: Block::Text(Arc::from(text)), slot }
}

fn image(json: &str, fields: &Fields<'_>, faults: &mut Faults) -> Option<Image> {
    let Some(source) = fields.get("image_url").and_then(Fields::parse) else {
        faults.add_at("image_url", "expected an object with a url");
        return None;
    };
    let url = faults.under("image_url", |faults| faults.string(&source, "url"))?;
    let tokens = url_tokens(&url, source.string("detail").as_deref());
    Some(Image { json: Arc::from(json), tokens })
}

/// Returns the tokens of a picture at a URL by OpenAI's rule.
pub(super) fn url_tokens(url: &str, detail: Option<&str>) -> Option<u32> {
    let detail = if detail == Some("low") { Detail::Low } else { Detail::High };
    openai_image_tokens(data_url_size(url), detail)
}

/// Returns the size of a picture in a `data:` URL.
fn data_url_size(url: &str) -> Option<(u32, u32)> {
    let (_, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    image_size(&decode_base64(data, IMAGE_HEAD_BYTES))
}

/// Reads a tool's (or, in the old form, a function's) result as one observation, parts of unknown kinds after it.
fn result(fields: &Fields<'_>, content: Vec<Part>, faults: &mut Faults) -> Option<Vec<Part>> {
    let id_key = if fields.string("role").as_deref() == Some("function") { "name" } else { "tool_call_id" };
    let call_id = faults.string(fields, id_key)?;
    let (mut texts, mut images, mut others) = (Vec::<Arc<str>>::new(), Vec::new(), Vec::new());
    for part in content {
        match part.block {
            Block::Text(text) => texts.push(text),
            Block::Image(image) => images.push(image),
            block => others.push(Part { block, slot: Slot::Inside }),
        }
    }
    let text = Arc::from(texts.join("\n"));
    let observation = Observation { call_id, text, images, is_error: false };
    let mut parts = vec![Part { block: Block::Observation(observation), slot: Slot::Content }];
    parts.append(&mut others);
    Some(parts)
}

/// Reads an assistant's reasoning, words and calls, in this order.
fn assistant(fields: &Fields<'_>, content: Vec<Part>, faults: &mut Faults) -> Vec<Part> {
    let reasoning = REASONING.into_iter().filter_map(|key| {
        let json = fields.some(key).filter(|json| *json != "\"\"")?;
        Some(Part { block: Block::Thinking(Arc::from(json)), slot: Slot::Member(key) })
    });
    let mut parts: Vec<Part> = reasoning.chain(content).collect();
    if let Some(refusal) = fields.string("refusal").filter(|text| !text.is_empty()) {
        parts.push(text_part(refusal, Slot::Member("refusal")));
    }
    if let Some(json) = fields.some("tool_calls") {
        parts.append(&mut faults.under("tool_calls", |faults| calls(json, faults)));
    }
    if let Some(json) = fields.some("function_call") {
        let call = faults.under("function_call", |faults| {
            let function = faults.object(json)?;
            let name = faults.string(&function, "name")?;
            Some(Call { id: name.clone(), name, arguments: arguments(&function) })
        });
        parts.extend(call.map(|call| Part { block: Block::Call(call), slot: Slot::Member("function_call") }));
    }
    parts
}

fn calls(json: &str, faults: &mut Faults) -> Vec<Part> {
    let Some(items) = array(json) else {
        faults.add(format!("expected an array of calls, found {}", kind_of(json)));
        return Vec::new();
    };
    faults.elements(&items, |faults, i, json| {
        let fields = faults.object(json)?;
        let id = faults.string(&fields, "id");
        let kind = if fields.get("custom").is_some() { "custom" } else { "function" };
        let Some(inner) = fields.get(kind).and_then(Fields::parse) else {
            faults.add_at(kind, "expected an object with a name and arguments");
            return None;
        };
        let name = faults.under(kind, |faults| faults.string(&inner, "name"));
        let call = Call { id: id?, name: name?, arguments: arguments(&inner) };
        Some(Part { block: Block::Call(call), slot: Slot::ToolCall(i) })
    })
}

/// Returns a call's arguments: the string as sent, or the JSON text where a client sent an object.
fn arguments(function: &Fields<'_>) -> Arc<str> {
    let json = function.some("arguments").or_else(|| function.some("input")).unwrap_or("\"\"");
    string(json).map_or_else(|| Arc::from(json), Arc::from)
}
