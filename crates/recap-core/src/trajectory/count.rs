//! What a message counts.

use super::fields::Fields;
use super::message::{Block, Image, Message, Role, WireFormat};
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

    fn add_image(&mut self, image: &Image) {
        match image.tokens {
            Some(tokens) => self.add(tokens),
            None => self.unknown_images = self.unknown_images.saturating_add(1),
        }
    }
}

/// Counts a message: [`MESSAGE_TOKENS`] for it and for each further result in it, its texts,
/// [`CALL_TOKENS`] with name and arguments for each call, pictures by their provider's rule,
/// [`PART_TOKENS`] for each further part, and OpenAI's `name`.
#[must_use]
pub fn count_message(message: &Message, counter: &dyn TokenCounter) -> MessageTokens {
    let mut sum = MessageTokens {
        tokens: MESSAGE_TOKENS,
        unknown_images: 0,
    };
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
                observation
                    .images
                    .iter()
                    .for_each(|image| sum.add_image(image));
            }
            Block::Other(json) if is_media(json) => {
                sum.unknown_images = sum.unknown_images.saturating_add(1)
            }
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
    let kind = fields
        .as_ref()
        .and_then(|fields| fields.string("type"))
        .unwrap_or_default();
    let binary = || {
        let source = fields
            .as_ref()
            .and_then(|fields| fields.get("source"))
            .and_then(Fields::parse);
        source
            .and_then(|source| source.string("type"))
            .is_some_and(|kind| kind != "text" && kind != "content")
    };
    match kind.as_str() {
        "input_audio" | "audio" | "file" | "input_file" | "video_url" | "input_video"
        | "input_image" => true,
        "document" => binary(),
        _ => false,
    }
}

/// Returns the `name` of an OpenAI participant.
fn speaker_name(message: &Message) -> Option<String> {
    if message.format != WireFormat::OpenAi
        || message.role == Role::Tool
        || !message.native.contains("\"name\"")
    {
        return None;
    }
    Fields::parse(&message.native)?
        .string("name")
        .filter(|name| !name.is_empty())
}
