//! OpenAI Chat Completions messages.

use super::images::openai_part;
use super::native::openai_native;
use super::plan::{PlannedCall, Step};
use super::source::Source;
use super::{MISSING_RESULT, Sheet};
use crate::trajectory::fields::{ObjectText, array_text, quote};
use crate::trajectory::message::{Block, Image, Role, WireFormat};

/// Stands before pictures that a tool returned: OpenAI takes none in a tool's result.
const RESULT_IMAGES: &str = "Images returned by the tool calls above:";

pub(super) fn write(steps: &[Step<'_>], sheet: &mut Sheet) {
    let mut pictures: Vec<(usize, &Image)> = Vec::new();
    for step in steps {
        if !matches!(step, Step::Result { .. } | Step::Missing { .. }) {
            flush(&mut pictures, sheet);
        }
        match step {
            Step::Said { source, blocks } => {
                let json = said(source, blocks, sheet);
                sheet.push(source.item, json);
            }
            Step::Synthetic { item, text } => sheet.push(*item, message("user", &quote(text))),
            Step::Assistant { source, calls } => sheet.push(source.item, assistant(source, calls)),
            Step::Result { source, id, .. } if source.message.format == WireFormat::OpenAi => {
                sheet.push(source.item, openai_native(source, &[], Some(id)));
            }
            Step::Result { source, block, id } => {
                sheet.push(source.item, result(id, &source.words(*block)));
                if let Some(Block::Observation(observation)) = source.block(*block) {
                    pictures.extend(observation.images.iter().map(|image| (source.item, image)));
                }
            }
            Step::Missing { item, id } => sheet.push(*item, result(id, MISSING_RESULT)),
        }
    }
    flush(&mut pictures, sheet);
}

/// Writes the pictures of a turn's results as a user message after them.
fn flush(pictures: &mut Vec<(usize, &Image)>, sheet: &mut Sheet) {
    let Some((last, _)) = pictures.last().copied() else {
        return;
    };
    let mut parts = vec![text_part(RESULT_IMAGES)];
    for (item, image) in pictures.drain(..) {
        parts.push(openai_part(image).unwrap_or_else(|| text_part(&sheet.left_out(item, &image.json))));
    }
    sheet.push(last, message("user", &array_text(&parts)));
}

fn said(source: &Source<'_>, blocks: &[usize], sheet: &mut Sheet) -> String {
    if source.message.format == WireFormat::OpenAi {
        return openai_native(source, &[], None);
    }
    let role = if source.message.role == Role::System { "system" } else { "user" };
    if blocks.len() <= 1 && blocks.iter().all(|i| source.is_text(*i)) {
        return message(role, &quote(&source.joined_texts(blocks)));
    }
    let parts = blocks.iter().filter_map(|i| match source.block(*i)? {
        Block::Image(image) => {
            Some(openai_part(image).unwrap_or_else(|| text_part(&sheet.left_out(source.item, &image.json))))
        }
        Block::Other(json) => Some(text_part(&sheet.left_out(source.item, json))),
        _ => Some(text_part(&source.words(*i))),
    });
    message(role, &array_text(&parts.collect::<Vec<String>>()))
}

fn assistant(source: &Source<'_>, calls: &[PlannedCall]) -> String {
    if source.message.format == WireFormat::OpenAi {
        return openai_native(source, calls, None);
    }
    let text = source.joined_texts(&source.all());
    let content = if text.is_empty() && !calls.is_empty() { "null".to_owned() } else { quote(&text) };
    if calls.is_empty() {
        return message("assistant", &content);
    }
    let calls: Vec<String> = calls.iter().filter_map(|call| call_text(source, call)).collect();
    let mut object = ObjectText::default();
    object.text("role", "assistant").raw("content", &content).raw("tool_calls", &array_text(&calls)).finish()
}

/// Writes a call as an element of `tool_calls`.
pub(super) fn call_text(source: &Source<'_>, call: &PlannedCall) -> Option<String> {
    let Some(Block::Call(sent)) = source.block(call.block) else {
        return None;
    };
    let mut function = ObjectText::default();
    let function = function.text("name", &sent.name).text("arguments", &source.words(call.block)).finish();
    let mut object = ObjectText::default();
    Some(object.text("id", &call.id).text("type", "function").raw("function", &function).finish())
}

fn message(role: &str, content: &str) -> String {
    ObjectText::default().text("role", role).raw("content", content).finish()
}

fn result(id: &str, text: &str) -> String {
    let mut object = ObjectText::default();
    object.text("role", "tool").text("tool_call_id", id).text("content", text).finish()
}

fn text_part(text: &str) -> String {
    ObjectText::default().text("type", "text").text("text", text).finish()
}
