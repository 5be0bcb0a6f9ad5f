//! The shapes in which conversations are recorded.

use recap_core::trajectory::{Limits, WireFormat};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::pipeline::append_messages::Incoming;

/// A recorded conversation. What else its object holds is left behind.
#[derive(Debug, Deserialize)]
pub struct Conversation {
    /// The messages as recorded.
    pub messages: Vec<Box<RawValue>>,
    /// Anthropic's system prompt.
    pub system: Option<Box<RawValue>>,
    /// The tool schemas.
    pub tools: Option<Box<RawValue>>,
    /// Its id.
    #[serde(default, deserialize_with = "text_or_number")]
    pub id: Option<String>,
    /// The agent's model.
    pub model: Option<String>,
    /// The agent's name.
    pub agent: Option<String>,
    /// What was to be done.
    pub task: Option<Value>,
    /// The recorder's words about it.
    pub metadata: Option<Value>,
    /// How it ended.
    pub outcome: Option<Value>,
    /// Whether it succeeded, where the recorder says just that.
    success: Option<Value>,
    #[serde(skip)]
    format: Option<WireFormat>,
}

/// One line of a JSONL file.
pub enum Line {
    /// A message of the file's one conversation.
    Message(Box<RawValue>),
    /// A whole conversation.
    Conversation(Box<Conversation>),
}

#[derive(Deserialize)]
struct Keys {
    messages: Option<Box<RawValue>>,
    role: Option<String>,
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Option::<Value>::deserialize(deserializer)? {
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    })
}

/// Reads a whole file.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn conversations(text: &str) -> Result<Vec<Conversation>, String> {
    match text.trim_start().as_bytes().first() {
        Some(b'[') => {
            let items: Vec<Box<RawValue>> = serde_json::from_str(text).map_err(|error| error.to_string())?;
            let lines = items.iter().map(|item| line(item.get())).collect::<Result<Vec<_>, _>>()?;
            grouped(lines)
        }
        Some(b'{') => match line(text)? {
            Line::Conversation(conversation) => Ok(vec![*conversation]),
            Line::Message(message) => Ok(vec![Conversation::of_messages(vec![message])]),
        },
        _ => Err("neither a list nor an object".to_owned()),
    }
}

fn grouped(lines: Vec<Line>) -> Result<Vec<Conversation>, String> {
    let (mut messages, mut conversations) = (Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::Message(message) => messages.push(message),
            Line::Conversation(conversation) => conversations.push(*conversation),
        }
    }
    match (messages.is_empty(), conversations.is_empty()) {
        (false, false) => Err("the list mixes messages and conversations".to_owned()),
        (false, true) => Ok(vec![Conversation::of_messages(messages)]),
        (true, _) => Ok(conversations),
    }
}

/// Reads one line.
///
/// # Errors
///
/// Says what is wrong with it.
pub fn line(text: &str) -> Result<Line, String> {
    let trimmed = text.trim();
    if trimmed.starts_with('[') {
        let messages = serde_json::from_str(trimmed).map_err(|error| error.to_string())?;
        return Ok(Line::Conversation(Box::new(Conversation::of_messages(messages))));
    }
    let keys: Keys = serde_json::from_str(trimmed).map_err(|error| error.to_string())?;
    if keys.messages.is_some() {
        return Ok(Line::Conversation(serde_json::from_str(trimmed).map_err(|error| error.to_string())?));
    }
    if keys.role.is_none() {
        return Err("an object with neither `messages` nor `role`".to_owned());
    }
    let message = RawValue::from_string(trimmed.to_owned()).map_err(|error| error.to_string())?;
    Ok(Line::Message(message))
}

impl Conversation {
    /// Returns the task as text: one that is none stands as its JSON.
    pub fn task_text(&self) -> Option<String> {
        self.task.as_ref().map(|task| task.as_str().map_or_else(|| task.to_string(), str::to_owned))
    }

    /// Tells whether the run succeeded, where the recorder says so.
    pub fn success(&self) -> Option<bool> {
        let status = self.outcome.as_ref().and_then(|outcome| outcome.get("status")).and_then(Value::as_str);
        let told = status.and_then(|status| match status {
            "success" => Some(true),
            "failure" | "partial" => Some(false),
            _ => None,
        });
        told.or_else(|| self.success.as_ref()?.as_bool())
    }

    /// Makes a conversation of nothing but messages.
    pub fn of_messages(messages: Vec<Box<RawValue>>) -> Self {
        Self {
            messages,
            system: None,
            tools: None,
            id: None,
            model: None,
            agent: None,
            task: None,
            metadata: None,
            outcome: None,
            success: None,
            format: None,
        }
    }

    /// Returns the format of the messages.
    pub fn format(&self) -> WireFormat {
        self.format.unwrap_or_else(|| detected(self))
    }

    /// Checks every message, so that a conversation is stored whole or not at all.
    ///
    /// # Errors
    ///
    /// Names the first fault and how many there are.
    pub fn checked(mut self) -> Result<Self, String> {
        if self.messages.is_empty() {
            return Err("no messages".to_owned());
        }
        let format = self.format();
        let limits = Limits { depth: 120, messages: usize::MAX, message_bytes: usize::MAX, total_bytes: usize::MAX };
        let incoming = Incoming { format, messages: std::mem::take(&mut self.messages), system: self.system.clone() };
        let parsed = incoming.parse(&limits);
        self.messages = incoming.messages;
        self.format = Some(format);
        match parsed {
            Ok(_) => Ok(self),
            Err(faults) => {
                let more = faults.len().saturating_sub(1);
                let first = faults.into_iter().next();
                let said = first.map_or_else(String::new, |fault| format!("{}: {}", fault.pointer, fault.detail));
                Err(if more > 0 { format!("{said} (and {more} more)") } else { said })
            }
        }
    }
}

/// Anthropic's conversations have a `system` beside the messages, or blocks of its own kinds in them.
fn detected(conversation: &Conversation) -> WireFormat {
    let own = ["\"tool_use\"", "\"tool_result\"", "\"thinking\"", "\"redacted_thinking\""];
    let has_own = |message: &RawValue| own.iter().any(|kind| message.get().contains(kind)) && has_block(message, &own);
    if conversation.system.is_some() || conversation.messages.iter().any(|message| has_own(message)) {
        WireFormat::Anthropic
    } else {
        WireFormat::OpenAi
    }
}

fn has_block(message: &RawValue, kinds: &[&str]) -> bool {
    let value: Value = serde_json::from_str(message.get()).unwrap_or_default();
    let parts = value.get("content").and_then(Value::as_array);
    parts
        .into_iter()
        .flatten()
        .filter_map(|part| part.get("type")?.as_str())
        .any(|kind| kinds.iter().any(|own| own.trim_matches('"') == kind))
}
