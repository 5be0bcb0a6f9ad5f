//! Native messages in: limits, faults with their places, and the way to each provider's reader.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::fields::{Fields, depth};
use super::message::{Block, Message, Origin, Role, WireFormat};
use super::{SERVED_BLOCK_OPEN, anthropic, openai};

/// What one append may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nesting of a message's JSON. Default 64; more than 120 cannot be read.
    pub depth: usize,
    /// Messages of one append. Default 10,000.
    pub messages: usize,
    /// Bytes of one message's JSON. Default 16 MiB.
    pub message_bytes: usize,
    /// Bytes of all messages of one append. Default 64 MiB.
    pub total_bytes: usize,
}

impl Limits {
    /// Returns limits that only a machine's memory sets, for messages that recapd itself rendered.
    #[must_use]
    pub fn unbounded() -> Self {
        Self { depth: 120, messages: usize::MAX, message_bytes: usize::MAX, total_bytes: usize::MAX }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 64, messages: 10_000, message_bytes: 16 << 20, total_bytes: 64 << 20 }
    }
}

/// One thing that is wrong with an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON pointer (RFC 6901) into the request, for example `/messages/3/content/0`.
    pub pointer: String,
    /// What was expected and what stands there.
    pub detail: String,
}

/// Reads messages in a provider's format; their bytes are kept.
///
/// # Errors
///
/// Every fault of every message; nothing is returned if there is one.
pub fn parse_messages(format: WireFormat, raw: &[&RawValue], limits: &Limits) -> Result<Vec<Message>, Vec<Fault>> {
    let mut faults = Faults::at("/messages");
    let total = raw.iter().map(|value| value.get().len()).fold(0, usize::saturating_add);
    if raw.len() > limits.messages {
        faults.add(format!("{} messages are more than the {} that one append may hold", raw.len(), limits.messages));
    }
    if total > limits.total_bytes {
        faults.add(format!("{total} bytes are more than the {} that one append may hold", limits.total_bytes));
    }
    if !faults.list.is_empty() {
        return Err(faults.list);
    }
    let messages = raw
        .iter()
        .enumerate()
        .filter_map(|(i, value)| faults.under(i, |faults| parse_one(format, value.get(), limits, faults)));
    let messages: Vec<Message> = messages.collect();
    if faults.list.is_empty() { Ok(messages) } else { Err(faults.list) }
}

/// Reads the `system` value of an Anthropic request (a string or text blocks) as a system message.
///
/// # Errors
///
/// Every fault, with pointers from `/system`.
pub fn parse_system(raw: &RawValue, limits: &Limits) -> Result<Message, Vec<Fault>> {
    let mut faults = Faults::at("/system");
    let native = format!(r#"{{"role":"system","content":{}}}"#, raw.get());
    let message = parse_one(WireFormat::Anthropic, &native, limits, &mut faults);
    for fault in &mut faults.list {
        fault.pointer = fault.pointer.replacen("/system/content", "/system", 1);
    }
    message.filter(|_| faults.list.is_empty()).ok_or(faults.list)
}

/// Reads JSON that was rendered here, in one of the formats that are also read.
pub(super) fn parse_rendered(format: WireFormat, json: &str) -> Option<Message> {
    let limits = Limits { depth: 120, messages: 1, message_bytes: usize::MAX, total_bytes: usize::MAX };
    parse_one(format, json, &limits, &mut Faults::at(""))
}

fn parse_one(format: WireFormat, json: &str, limits: &Limits, faults: &mut Faults) -> Option<Message> {
    if json.len() > limits.message_bytes {
        faults.add(format!(
            "{} bytes are more than the {} that one message may hold",
            json.len(),
            limits.message_bytes
        ));
        return None;
    }
    let nesting = depth(json);
    if nesting > limits.depth {
        faults.add(format!("nested {nesting} deep, at most {} is taken", limits.depth));
        return None;
    }
    let Some(fields) = Fields::parse(json) else {
        faults.add("expected an object whose strings are Unicode text".to_owned());
        return None;
    };
    let (role, parts): (Role, Vec<Part>) = match format {
        WireFormat::OpenAi => openai::read(&fields, faults)?,
        WireFormat::Anthropic => anthropic::read(&fields, faults)?,
    };
    let blocks: Vec<Block> = parts.into_iter().map(|part| part.block).collect();
    let origin = origin_of(format, &blocks);
    Some(Message { role, blocks, native: Arc::from(json), format, origin })
}

fn origin_of(format: WireFormat, blocks: &[Block]) -> Origin {
    let mut texts = blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.trim_start().starts_with(SERVED_BLOCK_OPEN)),
        _ => None,
    });
    let served = match format {
        WireFormat::OpenAi => texts.next() == Some(true),
        WireFormat::Anthropic => texts.any(|served| served),
    };
    if served { Origin::Recapd } else { Origin::Agent }
}

/// A block and where in the native JSON it stands.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) block: Block,
    pub(super) slot: Slot,
}

/// A place in a message's native JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slot {
    /// The whole of `content`, which is a string (or, for a tool's result, anything).
    Content,
    /// An element of `content`.
    Element(usize),
    /// A top-level member other than `content`.
    Member(&'static str),
    /// An element of `tool_calls`.
    ToolCall(usize),
    /// A part inside of a result that has a block of its own; never replaced.
    Inside,
}

/// Returns where each block of a message stands in its native JSON, in the order of `message.blocks`.
pub(super) fn slots(message: &Message) -> Vec<Slot> {
    let mut faults = Faults::at("");
    let parts = Fields::parse(&message.native).and_then(|fields| match message.format {
        WireFormat::OpenAi => openai::read(&fields, &mut faults),
        WireFormat::Anthropic => anthropic::read(&fields, &mut faults),
    });
    parts.map(|(_, parts)| parts.into_iter().map(|part| part.slot).collect()).unwrap_or_default()
}

/// Faults being gathered, with the pointer of the value that is being read.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) list: Vec<Fault>,
    pointer: String,
}

impl Faults {
    pub(super) fn at(pointer: &str) -> Self {
        Self { list: Vec::new(), pointer: pointer.to_owned() }
    }

    /// Adds a fault at the current place.
    pub(super) fn add(&mut self, detail: String) {
        self.list.push(Fault { pointer: self.pointer.clone(), detail });
    }

    /// Adds a fault at a member of the current place.
    pub(super) fn add_at(&mut self, key: &str, detail: &str) {
        self.under(key, |faults| faults.add(detail.to_owned()));
    }

    /// Reads a member or element of the current place.
    pub(super) fn under<T>(&mut self, key: impl std::fmt::Display, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(&key.to_string());
        let result = read(self);
        self.pointer.truncate(length);
        result
    }

    /// Reads a string member that must be there.
    pub(super) fn string(&mut self, fields: &Fields<'_>, key: &str) -> Option<Arc<str>> {
        let value = fields.string(key);
        if value.is_none() {
            let found = fields.get(key).map_or("nothing", kind_of);
            self.add_at(key, &format!("expected a string, found {found}"));
        }
        value.map(Arc::from)
    }

    /// Reads an object.
    pub(super) fn object<'a>(&mut self, json: &'a str) -> Option<Fields<'a>> {
        let fields = Fields::parse(json);
        if fields.is_none() {
            self.add(format!("expected an object, found {}", kind_of(json)));
        }
        fields
    }

    /// Reads the elements of an array, each at its own place; those with faults are left out.
    pub(super) fn elements<T>(
        &mut self,
        items: &[&str],
        mut read: impl FnMut(&mut Self, usize, &str) -> Option<T>,
    ) -> Vec<T> {
        items.iter().enumerate().filter_map(|(i, json)| self.under(i, |faults| read(faults, i, json))).collect()
    }
}

/// Names a JSON value's type for a fault.
pub(super) fn kind_of(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string (perhaps with characters that are no Unicode text)",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}
