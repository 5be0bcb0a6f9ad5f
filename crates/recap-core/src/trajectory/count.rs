//! What a message counts.

use super::fields::{Fields, array, string};
use super::message::{Block, Image, Message, Role, WireFormat};
use super::openai::url_tokens;
use super::parse::parse_rendered;
use super::render::{OutFormat, Rendered};
use crate::tokens::{CALL_TOKENS, MESSAGE_TOKENS, PART_TOKENS, TokenCounter};

/// Tokens of a message, framing included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageTokens {
    /// What is known.
    pub tokens: u32,
    /// Pictures, sounds and files whose tokens are not known; they are not in `tokens`.
    pub unknown_images: u32,
}

impl MessageTokens {
    fn add(&mut self, tokens: u32) {
        self.tokens = self.tokens.saturating_add(tokens);
    }

    fn add_unknown(&mut self) {
        self.unknown_images = self.unknown_images.saturating_add(1);
    }

    fn add_image(&mut self, image: &Image) {
        match image.tokens {
            Some(tokens) => self.add(tokens),
            None => self.add_unknown(),
        }
    }
}

/// Counts a message: [`MESSAGE_TOKENS`] for it and for each further result in it, its texts,
/// [`CALL_TOKENS`] with name and arguments for each call, pictures by their provider's rule,
/// [`PART_TOKENS`] for each further part, and OpenAI's `name`.
#[must_use]
pub fn count_message(message: &Message, counter: &dyn TokenCounter) -> MessageTokens {
    let mut sum = MessageTokens { tokens: MESSAGE_TOKENS, unknown_images: 0 };
    let mut results = 0_u32;
    for (i, block) in message.blocks.iter().enumerate() {
        sum.add(if i == 0 { 0 } else { PART_TOKENS });
        match block {
            Block::Text(text) | Block::Thinking(text) => sum.add(counter.count(text)),
            Block::Image(image) => sum.add_image(image),
            Block::Call(call) => {
                sum.add(CALL_TOKENS.saturating_add(counter.count(&call.name)));
                sum.add(counter.count(&call.arguments));
            }
            Block::Observation(observation) => {
                sum.add(if results == 0 { 0 } else { MESSAGE_TOKENS });
                results = results.saturating_add(1);
                sum.add(counter.count(&observation.text));
                observation.images.iter().for_each(|image| sum.add_image(image));
            }
            Block::Other(json) if is_media(json) => sum.add_unknown(),
            Block::Other(json) => sum.add(counter.count(json)),
        }
    }
    if let Some(name) = speaker_name(message) {
        sum.add(counter.count(&name).saturating_add(1));
    }
    sum
}

/// Tells whether a part carries a sound, a film or a file, whose tokens are no matter of its JSON text.
fn is_media(json: &str) -> bool {
    let fields = Fields::parse(json);
    let kind = fields.as_ref().and_then(|fields| fields.string("type")).unwrap_or_default();
    let binary = || {
        let source = fields.as_ref().and_then(|fields| fields.get("source")).and_then(Fields::parse);
        source.and_then(|source| source.string("type")).is_some_and(|kind| kind != "text" && kind != "content")
    };
    match kind.as_str() {
        "input_audio" | "audio" | "file" | "input_file" | "video_url" | "input_video" | "input_image" => true,
        "document" => binary(),
        _ => false,
    }
}

/// Returns the `name` of an OpenAI participant.
fn speaker_name(message: &Message) -> Option<String> {
    if message.format != WireFormat::OpenAi || message.role == Role::Tool || !message.native.contains("\"name\"") {
        return None;
    }
    Fields::parse(&message.native)?.string("name").filter(|name| !name.is_empty())
}

/// Tokens of a rendered list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenderedTokens {
    /// Anthropic's `system`, zero without one.
    pub system: MessageTokens,
    /// Each message.
    pub messages: Vec<MessageTokens>,
}

impl RenderedTokens {
    /// Returns the sum of everything, framing of messages included, tools and reply priming not.
    #[must_use]
    pub fn total(&self) -> MessageTokens {
        self.messages.iter().fold(self.system, |sum, message| MessageTokens {
            tokens: sum.tokens.saturating_add(message.tokens),
            unknown_images: sum.unknown_images.saturating_add(message.unknown_images),
        })
    }
}

/// Counts a list as rendered, message by message, by the rules of [`count_message`] (law 2).
#[must_use]
pub fn count_rendered(rendered: &Rendered, format: OutFormat, counter: &dyn TokenCounter) -> RenderedTokens {
    let system = rendered
        .system
        .as_ref()
        .map(|system| count_json(&format!(r#"{{"role":"system","content":{system}}}"#), format, counter));
    let messages = rendered.messages.iter().map(|json| count_json(json, format, counter)).collect();
    RenderedTokens { system: system.unwrap_or_default(), messages }
}

/// Counts one rendered message; what cannot be read counts as its text.
fn count_json(json: &str, format: OutFormat, counter: &dyn TokenCounter) -> MessageTokens {
    let wire = match format {
        OutFormat::OpenAi => parse_rendered(WireFormat::OpenAi, json),
        OutFormat::Anthropic => parse_rendered(WireFormat::Anthropic, json),
        OutFormat::Responses => return count_item(json, counter),
        OutFormat::Text => None,
    };
    let whole = || MessageTokens { tokens: counter.count(json).saturating_add(MESSAGE_TOKENS), unknown_images: 0 };
    wire.map_or_else(whole, |message| count_message(&message, counter))
}

/// Counts an input item of the Responses format.
fn count_item(json: &str, counter: &dyn TokenCounter) -> MessageTokens {
    let mut sum = MessageTokens { tokens: MESSAGE_TOKENS, unknown_images: 0 };
    let Some(fields) = Fields::parse(json) else {
        sum.add(counter.count(json));
        return sum;
    };
    for key in ["name", "arguments"] {
        sum.add(fields.string(key).map_or(0, |text| counter.count(&text)));
    }
    for content in ["content", "output"].into_iter().filter_map(|key| fields.get(key)) {
        if let Some(text) = string(content) {
            sum.add(counter.count(&text));
        }
        for part in array(content).unwrap_or_default().into_iter().filter_map(Fields::parse) {
            sum.add(PART_TOKENS);
            match (part.string("text"), part.string("image_url")) {
                (Some(text), _) => sum.add(counter.count(&text)),
                (None, Some(url)) => match url_tokens(&url, part.string("detail").as_deref()) {
                    Some(tokens) => sum.add(tokens),
                    None => sum.add_unknown(),
                },
                (None, None) => sum.add_unknown(),
            }
        }
    }
    sum
}
