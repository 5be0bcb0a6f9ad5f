//! Formats out: messages, some of them shortened, as a list that the provider accepts (law 3).
//!
//! Rendering more items later leaves the content blocks of earlier ones as they were (law 5): every
//! decision about an item rests on the items before it and, for calls, on the results in its own turn.

mod anthropic;
mod images;
mod native;
mod openai;
mod plan;
mod responses;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod valid;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::message::Message;
use plan::Pairing;

pub use valid::check_valid;

/// The format of a served context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutFormat {
    /// OpenAI Chat Completions messages.
    #[default]
    OpenAi,
    /// Anthropic Messages with `system` apart.
    Anthropic,
    /// OpenAI Responses input items.
    Responses,
    /// A transcript for people, and for models without roles.
    Text,
}

impl OutFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Responses, Self::Text];

    /// Returns the name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Responses => "responses",
            Self::Text => "text",
        }
    }
}

/// Words that take the place of a message's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Edits {
    /// New texts by the index of the block: of a text, a call's arguments, or a result.
    pub texts: HashMap<usize, Arc<str>>,
    /// Leaves out reasoning blocks also where the format could carry them.
    pub strip_thinking: bool,
}

/// One thing to render.
#[derive(Debug, Clone, Copy)]
pub enum RenderItem<'a> {
    /// A message of the trajectory.
    Message {
        /// The message.
        message: &'a Message,
        /// What is to be changed in it.
        edits: Option<&'a Edits>,
    },
    /// A user message made here.
    Synthetic(&'a str),
}

/// What had to be changed so that the list is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// The item's place in the list that was rendered.
    pub item: usize,
    /// What was done.
    #[serde(flatten)]
    pub kind: RepairKind,
}

/// A kind of repair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RepairKind {
    /// A call had no result: [`MISSING_RESULT`] stands in its place.
    MissingResult {
        /// The call's id as rendered.
        call_id: String,
    },
    /// A result without its call was left out.
    Orphan {
        /// The id that it names.
        call_id: String,
    },
    /// A call's id was not unique, or not one that the provider takes.
    Renamed {
        /// The id as sent.
        from: String,
        /// The id as rendered.
        to: String,
    },
    /// An empty message was filled, for providers that refuse it.
    Empty,
    /// The list began with the assistant: a user message was put before it.
    Started,
    /// A part that the format cannot carry was replaced by a note of its type.
    LeftOut {
        /// The part's type.
        part: String,
    },
}

/// Stands where a result was never recorded.
pub const MISSING_RESULT: &str = "[no result was recorded for this call]";

/// Stands where a provider refuses an empty message.
pub const EMPTY_TEXT: &str = "(empty)";

/// Stands before an assistant message where a provider wants the user first.
pub const CONTINUES: &str = "(conversation continues)";

/// A rendered list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// Anthropic's `system`: a JSON string or array of text blocks.
    pub system: Option<String>,
    /// The messages, each a JSON object; for [`OutFormat::Text`] the transcript's sections as plain text.
    pub messages: Vec<String>,
    /// For each item the messages that it became or became part of; empty if it was left out or went to
    /// `system`.
    pub item_index: Vec<Range<usize>>,
    /// What was changed.
    pub repairs: Vec<Repair>,
}

/// Renders a list of items as one that the provider accepts.
#[must_use]
pub fn render_sequence(items: &[RenderItem<'_>], format: OutFormat) -> Rendered {
    render(items, format, Pairing::Repair)
}

/// Renders one message by itself: calls without results and results without calls stay as they are.
///
/// In its own format and without edits these are the native bytes.
#[must_use]
pub fn render_message(message: &Message, edits: Option<&Edits>, format: OutFormat) -> Vec<String> {
    let same = matches!(
        (message.format, format),
        (super::WireFormat::OpenAi, OutFormat::OpenAi) | (super::WireFormat::Anthropic, OutFormat::Anthropic)
    );
    if same && edits.is_none_or(|edits| *edits == Edits::default()) {
        return vec![message.native.to_string()];
    }
    let rendered = render(&[RenderItem::Message { message, edits }], format, Pairing::Trust);
    match rendered.system {
        Some(system) => vec![format!(r#"{{"role":"system","content":{system}}}"#)],
        None => rendered.messages,
    }
}

fn render(items: &[RenderItem<'_>], format: OutFormat, pairing: Pairing) -> Rendered {
    let (steps, repairs) = plan::plan(items, format, pairing);
    let mut sheet = Sheet { spans: vec![None; items.len()], ..Sheet::default() };
    sheet.rendered.repairs = repairs;
    match format {
        OutFormat::OpenAi => openai::write(&steps, &mut sheet),
        OutFormat::Anthropic => anthropic::write(&steps, pairing, &mut sheet),
        OutFormat::Responses => responses::write(&steps, &mut sheet),
        OutFormat::Text => text::write(&steps, &mut sheet),
    }
    sheet.finish()
}

/// The list being written.
#[derive(Debug, Default)]
struct Sheet {
    rendered: Rendered,
    spans: Vec<Option<Range<usize>>>,
}

impl Sheet {
    /// Adds a message that comes from an item.
    fn push(&mut self, item: usize, json: String) {
        self.rendered.messages.push(json);
        self.touch(item, self.rendered.messages.len() - 1);
    }

    /// Notes that an item is part of a message.
    fn touch(&mut self, item: usize, message: usize) {
        if let Some(span) = self.spans.get_mut(item) {
            *span = Some(match span {
                Some(span) => span.start.min(message)..span.end.max(message + 1),
                None => message..message + 1,
            });
        }
    }

    fn repair(&mut self, item: usize, kind: RepairKind) {
        self.rendered.repairs.push(Repair { item, kind });
    }

    /// Notes a part that cannot be carried and returns what stands for it.
    fn left_out(&mut self, item: usize, json: &str) -> String {
        let part = images::part_type(json);
        let note = format!("[a part of type {part} is not shown here]");
        self.repair(item, RepairKind::LeftOut { part });
        note
    }

    fn finish(self) -> Rendered {
        let mut rendered = self.rendered;
        let mut end = 0;
        for span in self.spans {
            let span = span.unwrap_or(end..end);
            end = span.end;
            rendered.item_index.push(span);
        }
        rendered
    }
}
