//! OpenAI Responses input items.

use super::images::responses_part;
use super::plan::Step;
use super::source::Source;
use super::{MISSING_RESULT, Sheet};
use crate::trajectory::fields::{ObjectText, array_text, quote};
use crate::trajectory::message::{Block, Role};

pub(super) fn write(steps: &[Step<'_>], sheet: &mut Sheet) {
    for step in steps {
        match step {
            Step::Said { source, blocks } => {
                let role = match source.message.role {
                    Role::System => "system",
                    Role::Developer => "developer",
                    _ => "user",
                };
                let content = content(source, blocks, sheet);
                sheet.push(source.item, said(role, &content));
            }
            Step::Synthetic { item, text } => sheet.push(*item, said("user", &quote(text))),
            Step::Assistant { source, calls } => {
                let text = source.joined_texts(&source.all());
                if !text.is_empty() || calls.is_empty() {
                    sheet.push(source.item, said("assistant", &quote(&text)));
                }
                for call in calls {
                    let Some(Block::Call(sent)) = source.block(call.block) else {
                        continue;
                    };
                    let mut item = ObjectText::default();
                    item.text("type", "function_call").text("call_id", &call.id).text("name", &sent.name);
                    sheet.push(source.item, item.text("arguments", &source.words(call.block)).finish());
                }
            }
            Step::Result { source, block, id } => {
                let output = output(source, *block, sheet);
                sheet.push(source.item, result(id, &output));
            }
            Step::Missing { item, id } => sheet.push(*item, result(id, &quote(MISSING_RESULT))),
        }
    }
}

fn said(role: &str, content: &str) -> String {
    ObjectText::default().text("role", role).raw("content", content).finish()
}

fn result(id: &str, output: &str) -> String {
    let mut item = ObjectText::default();
    item.text("type", "function_call_output").text("call_id", id).raw("output", output).finish()
}

fn text_part(text: &str) -> String {
    ObjectText::default().text("type", "input_text").text("text", text).finish()
}

/// Returns a string if there is nothing but words, else a list of parts.
fn content(source: &Source<'_>, blocks: &[usize], sheet: &mut Sheet) -> String {
    if blocks.iter().all(|i| source.is_text(*i)) {
        return quote(&source.joined_texts(blocks));
    }
    let parts = blocks.iter().filter_map(|i| match source.block(*i)? {
        Block::Image(image) => {
            Some(responses_part(image).unwrap_or_else(|| text_part(&sheet.left_out(source.item, &image.json))))
        }
        Block::Other(json) => Some(text_part(&sheet.left_out(source.item, json))),
        _ => Some(text_part(&source.words(*i))),
    });
    array_text(&parts.collect::<Vec<String>>())
}

fn output(source: &Source<'_>, block: usize, sheet: &mut Sheet) -> String {
    let text = source.words(block);
    let images = match source.block(block) {
        Some(Block::Observation(observation)) if !observation.images.is_empty() => &observation.images,
        _ => return quote(&text),
    };
    let mut parts = vec![text_part(&text)];
    for image in images {
        parts.push(responses_part(image).unwrap_or_else(|| text_part(&sheet.left_out(source.item, &image.json))));
    }
    array_text(&parts)
}
