//! Anthropic Messages, and the `system` value that stands beside them, kept as a message of role `system`.

use std::sync::Arc;

use super::fields::{Fields, array, string};
use super::message::{Block, Call, Image, Observation, Role};
use super::openai::IMAGE_HEAD_BYTES;
use super::parse::{Faults, Part, Slot, kind_of};
use crate::tokens::{anthropic_image_tokens, decode_base64, image_size};

/// Reads one message; `None` only after a fault was added.
pub(super) fn read(fields: &Fields<'_>, faults: &mut Faults) -> Option<(Role, Vec<Part>)> {
    let role = match faults.string(fields, "role")?.as_ref() {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => {
            faults.add_at("role", &format!("expected user, assistant or system, found {other:?}"));
            return None;
        }
    };
    let parts = faults.under("content", |faults| contents(fields.get("content"), faults));
    Some((role, parts))
}

fn contents(content: Option<&str>, faults: &mut Faults) -> Vec<Part> {
    let json = content.unwrap_or("nothing");
    if let Some(text) = string(json) {
        let part = Part { block: Block::Text(Arc::from(text.as_str())), slot: Slot::Content };
        return if text.is_empty() { Vec::new() } else { vec![part] };
    }
    let Some(items) = array(json) else {
        let found = content.map_or("nothing", kind_of);
        faults.add(format!("expected a string or an array of blocks, found {found}"));
        return Vec::new();
    };
    let parts = faults.elements(&items, |faults, i, json| block(json, i, faults));
    parts.into_iter().flatten().collect()
}

/// Reads one content block; a result's parts of unknown kinds follow it.
fn block(json: &str, i: usize, faults: &mut Faults) -> Option<Vec<Part>> {
    let fields = faults.object(json)?;
    let slot = Slot::Element(i);
    let block = match faults.string(&fields, "type")?.as_ref() {
        "text" => Block::Text(faults.string(&fields, "text")?),
        "image" => Block::Image(image(json, &fields)),
        "thinking" | "redacted_thinking" => Block::Thinking(Arc::from(json)),
        "tool_use" => {
            let (id, name) = (faults.string(&fields, "id"), faults.string(&fields, "name"));
            let input = fields.get("input").unwrap_or("{}");
            if !input.starts_with('{') {
                faults.add_at("input", &format!("expected an object, found {}", kind_of(input)));
                return None;
            }
            Block::Call(Call { id: id?, name: name?, arguments: Arc::from(input) })
        }
        "tool_result" => return result(&fields, slot, faults),
        _ => Block::Other(Arc::from(json)),
    };
    Some(vec![Part { block, slot }])
}

fn image(json: &str, fields: &Fields<'_>) -> Image {
    let source = fields.get("source").and_then(Fields::parse);
    let data = source.and_then(|source| source.string("data"));
    let size = data.and_then(|data| image_size(&decode_base64(&data, IMAGE_HEAD_BYTES)));
    Image { json: Arc::from(json), tokens: anthropic_image_tokens(size) }
}

fn result(fields: &Fields<'_>, slot: Slot, faults: &mut Faults) -> Option<Vec<Part>> {
    let call_id = faults.string(fields, "tool_use_id")?;
    let content = match fields.some("content") {
        Some(_) => faults.under("content", |faults| contents(fields.some("content"), faults)),
        None => Vec::new(),
    };
    let (mut texts, mut images, mut others) = (Vec::<Arc<str>>::new(), Vec::new(), Vec::new());
    for part in content {
        match part.block {
            Block::Text(text) => texts.push(text),
            Block::Image(image) => images.push(image),
            block => others.push(Part { block, slot: Slot::Inside }),
        }
    }
    let is_error = fields.get("is_error") == Some("true");
    let observation = Observation { call_id, text: Arc::from(texts.join("\n")), images, is_error };
    let mut parts = vec![Part { block: Block::Observation(observation), slot }];
    parts.append(&mut others);
    Some(parts)
}
