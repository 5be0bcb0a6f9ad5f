//! Anthropic Messages: content is always a list of blocks, so that a later message of the same role only
//! adds blocks at the end.

use std::sync::Arc;

use super::images::anthropic_block;
use super::plan::{Pairing, PlannedCall, Step};
use super::source::Source;
use super::{CONTINUES, EMPTY_TEXT, MISSING_RESULT, RepairKind, Sheet};
use crate::trajectory::fields::{Fields, ObjectText, array, array_text, depth, quote};
use crate::trajectory::message::{Block, Observation, Role, WireFormat};
use crate::trajectory::parse::Slot;

pub(super) fn write(steps: &[Step<'_>], pairing: Pairing, sheet: &mut Sheet) {
    let mut turns: Vec<Turn> = Vec::new();
    let mut system = Vec::new();
    for step in steps {
        match step {
            Step::Said { source, blocks } if is_operator(source) && turns.is_empty() => {
                system.extend(said(source, blocks, sheet));
            }
            Step::Said { source, blocks } => {
                let mut content = said(source, blocks, sheet);
                if is_operator(source) {
                    content.insert(0, text_block("<system>"));
                    content.push(text_block("</system>"));
                }
                add(&mut turns, sheet, source.item, USER, content, pairing);
            }
            Step::Synthetic { item, text } => {
                let content = visible_text(text).into_iter().collect();
                add(&mut turns, sheet, *item, USER, content, pairing);
            }
            Step::Assistant { source, calls } => {
                let content = assistant(source, calls, sheet);
                add(&mut turns, sheet, source.item, ASSISTANT, content, pairing);
            }
            Step::Result { source, block, id } => {
                let content = vec![result(source, *block, id, sheet)];
                add(&mut turns, sheet, source.item, USER, content, pairing);
            }
            Step::Missing { item, id } => {
                let mut block = ObjectText::default();
                block.text("type", "tool_result").text("tool_use_id", id).text("content", MISSING_RESULT);
                add(&mut turns, sheet, *item, USER, vec![block.finish()], pairing);
            }
        }
    }
    sheet.rendered.system = if system.is_empty() { None } else { Some(array_text(&system)) };
    sheet.rendered.messages = turns.iter().map(Turn::json).collect();
}

const USER: &str = "user";
const ASSISTANT: &str = "assistant";

/// A message being gathered.
struct Turn {
    role: &'static str,
    blocks: Vec<String>,
}

impl Turn {
    fn json(&self) -> String {
        ObjectText::default().text("role", self.role).raw("content", &array_text(&self.blocks)).finish()
    }
}

/// Adds blocks to the last message if it is of the same role, else as a new one.
fn add(
    turns: &mut Vec<Turn>,
    sheet: &mut Sheet,
    item: usize,
    role: &'static str,
    mut blocks: Vec<String>,
    pairing: Pairing,
) {
    if blocks.is_empty() {
        sheet.repair(item, RepairKind::Empty);
        blocks.push(text_block(EMPTY_TEXT));
    }
    if turns.is_empty() && role == ASSISTANT && pairing == Pairing::Repair {
        sheet.repair(item, RepairKind::Started);
        turns.push(Turn { role: USER, blocks: vec![text_block(CONTINUES)] });
    }
    match turns.last_mut().filter(|turn| turn.role == role) {
        Some(turn) => turn.blocks.append(&mut blocks),
        None => turns.push(Turn { role, blocks }),
    }
    sheet.touch(item, turns.len() - 1);
}

fn is_operator(source: &Source<'_>) -> bool {
    matches!(source.message.role, Role::System | Role::Developer)
}

/// Returns the blocks of a message that makes no calls and answers none.
fn said(source: &Source<'_>, blocks: &[usize], sheet: &mut Sheet) -> Vec<String> {
    let natives = Natives::of(source);
    blocks.iter().filter_map(|i| spoken(source, *i, &natives, sheet)).collect()
}

fn assistant(source: &Source<'_>, calls: &[PlannedCall], sheet: &mut Sheet) -> Vec<String> {
    let natives = Natives::of(source);
    let own = source.message.format == WireFormat::Anthropic;
    let mut content = Vec::new();
    for (i, block) in source.message.blocks.iter().enumerate() {
        match block {
            Block::Thinking(json) if own && !source.strips_thinking() => {
                content.push(json.to_string());
            }
            Block::Thinking(_) | Block::Observation(_) => {}
            Block::Call(_) => {
                let call = calls.iter().find(|call| call.block == i);
                content.extend(call.and_then(|call| call_block(source, call, &natives)));
            }
            _ => content.extend(spoken(source, i, &natives, sheet)),
        }
    }
    content
}

/// Returns a text, picture or other block; `None` for a text without a visible character.
fn spoken(source: &Source<'_>, i: usize, natives: &Natives, sheet: &mut Sheet) -> Option<String> {
    match source.block(i)? {
        Block::Text(_) => {
            let text = visible_text(&source.words(i))?;
            let Some(native) = natives.get(i) else {
                return Some(text);
            };
            match source.edit(i) {
                Some(edit) => Some(Fields::parse(native)?.with(&[("text", quote(edit))])),
                None => Some(native.to_owned()),
            }
        }
        Block::Image(image) => {
            Some(anthropic_block(image).unwrap_or_else(|| text_block(&sheet.left_out(source.item, &image.json))))
        }
        Block::Other(json) if source.message.format == WireFormat::Anthropic => Some(json.to_string()),
        Block::Other(json) => Some(text_block(&sheet.left_out(source.item, json))),
        _ => None,
    }
}

fn call_block(source: &Source<'_>, call: &PlannedCall, natives: &Natives) -> Option<String> {
    let Some(Block::Call(sent)) = source.block(call.block) else {
        return None;
    };
    let input = input(&source.words(call.block));
    if let Some(fields) = natives.get(call.block).and_then(Fields::parse) {
        let mut changes = Vec::new();
        if *sent.id != *call.id {
            changes.push(("id", quote(&call.id)));
        }
        if source.edit(call.block).is_some() || fields.get("input").is_none() {
            changes.push(("input", input));
        }
        return if changes.is_empty() {
            natives.get(call.block).map(str::to_owned)
        } else {
            Some(fields.with(&changes))
        };
    }
    let mut block = ObjectText::default();
    block.text("type", "tool_use").text("id", &call.id).text("name", &sent.name);
    Some(block.raw("input", &input).finish())
}

/// Nesting up to which arguments are taken as JSON.
const ARGUMENT_DEPTH: usize = 64;

/// Returns arguments as an object; what is none, or nests too deep, is wrapped as text.
fn input(arguments: &str) -> String {
    let text = arguments.trim();
    if depth(text) <= ARGUMENT_DEPTH && is_object(text) {
        return text.to_owned();
    }
    if text.is_empty() { "{}".to_owned() } else { ObjectText::default().text("_raw", arguments).finish() }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<serde_json::Value>(text).is_ok()
}

fn result(source: &Source<'_>, i: usize, id: &str, sheet: &mut Sheet) -> String {
    let Some(Block::Observation(observation)) = source.block(i) else {
        return text_block(EMPTY_TEXT);
    };
    let natives = Natives::of(source);
    if let Some(fields) = natives.get(i).and_then(Fields::parse) {
        let mut changes = Vec::new();
        if *observation.call_id != *id {
            changes.push(("tool_use_id", quote(id)));
        }
        let content = fields.some("content");
        if let Some(text) = source.edit(i) {
            changes.push(("content", result_content(text, observation, source.item, sheet)));
        } else if let Some(shown) = content.and_then(without_blank_texts) {
            changes.push(("content", shown));
        }
        return if changes.is_empty() { natives.get(i).unwrap_or_default().to_owned() } else { fields.with(&changes) };
    }
    let mut block = ObjectText::default();
    block.text("type", "tool_result").text("tool_use_id", id);
    block.raw("content", &result_content(&source.words(i), observation, source.item, sheet)).finish()
}

/// Returns a string if there is no picture, else a list of blocks.
fn result_content(text: &str, observation: &Observation, item: usize, sheet: &mut Sheet) -> String {
    if observation.images.is_empty() {
        return quote(text);
    }
    let mut blocks: Vec<String> = visible_text(text).into_iter().collect();
    for image in &observation.images {
        blocks.push(anthropic_block(image).unwrap_or_else(|| text_block(&sheet.left_out(item, &image.json))));
    }
    array_text(&blocks)
}

/// Returns a list of blocks without texts that show nothing; `None` if there is none of them.
fn without_blank_texts(content: &str) -> Option<String> {
    let blocks = array(content)?;
    let blank = |json: &&str| {
        let fields = Fields::parse(json);
        fields.is_some_and(|fields| {
            fields.get("type") == Some("\"text\"") && fields.string("text").is_some_and(|text| text.trim().is_empty())
        })
    };
    if !blocks.iter().any(blank) {
        return None;
    }
    Some(array_text(&blocks.into_iter().filter(|json| !blank(json)).collect::<Vec<&str>>()))
}

fn text_block(text: &str) -> String {
    ObjectText::default().text("type", "text").text("text", text).finish()
}

/// Returns a text block unless nothing would show, which Anthropic refuses.
fn visible_text(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text_block(text))
}

/// The native JSON of an Anthropic message's blocks, by block.
struct Natives(Vec<Option<Arc<str>>>);

impl Natives {
    fn of(source: &Source<'_>) -> Self {
        if source.message.format != WireFormat::Anthropic {
            return Self(Vec::new());
        }
        let fields = Fields::parse(&source.message.native);
        let elements = fields.as_ref().and_then(|fields| fields.get("content")).and_then(array).unwrap_or_default();
        let native = |slot: Slot| match slot {
            Slot::Element(i) => elements.get(i).map(|json| Arc::from(*json)),
            _ => None,
        };
        Self(source.slots().into_iter().map(native).collect())
    }

    fn get(&self, block: usize) -> Option<&str> {
        self.0.get(block)?.as_deref()
    }
}
