//! One message: its native JSON kept byte for byte, and a normalised view of what it says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operator's instructions.
    System,
    /// The same under OpenAI's newer name.
    Developer,
    /// The human, or the environment of a text agent.
    User,
    /// The agent's model.
    Assistant,
    /// A tool's result (OpenAI only; Anthropic sends results inside user messages).
    Tool,
}

impl Role {
    /// Returns the name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// The provider format that a message was sent in, or is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WireFormat {
    /// OpenAI Chat Completions messages.
    OpenAi,
    /// Anthropic Messages.
    Anthropic,
}

/// Where a message's words come from (law 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The agent, its tools or its user.
    Agent,
    /// recapd itself: a served block that came back in.
    Recapd,
}

/// One chat message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order. May be empty.
    pub blocks: Vec<Block>,
    /// The JSON object exactly as it was sent.
    pub native: Arc<str>,
    /// The format of `native`.
    pub format: WireFormat,
    /// Whose words these are.
    pub origin: Origin,
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Plain words.
    Text(Arc<str>),
    /// A picture.
    Image(Image),
    /// A tool call.
    Call(Call),
    /// A tool's result.
    Observation(Observation),
    /// A provider's (possibly signed) reasoning block, its JSON as sent.
    Thinking(Arc<str>),
    /// A part of a kind that this version does not know, its JSON as sent.
    Other(Arc<str>),
}

/// A picture: kept in the native JSON; here only what counting needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The content part's JSON as sent.
    pub json: Arc<str>,
    /// Tokens by the provider's published rule; `None` where it needs a size that is not known.
    pub tokens: Option<u32>,
}

/// A call that the assistant makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The id that its result names; may repeat across turns.
    pub id: Arc<str>,
    /// The tool's name.
    pub name: Arc<str>,
    /// The arguments' JSON text exactly as sent (it may be invalid JSON).
    pub arguments: Arc<str>,
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The id of the call that it answers.
    pub call_id: Arc<str>,
    /// Its text; text parts joined with a line feed.
    pub text: Arc<str>,
    /// Pictures in it.
    pub images: Vec<Image>,
    /// The provider's error flag.
    pub is_error: bool,
}

impl Message {
    /// Returns the verbatim texts of this message that are stored as originals, in order: texts, call
    /// arguments, observation texts. Empty ones are left out.
    pub fn originals(&self) -> impl Iterator<Item = &Arc<str>> {
        self.blocks
            .iter()
            .map(|block| match block {
                Block::Text(text) | Block::Thinking(text) | Block::Other(text) => text,
                Block::Call(call) => &call.arguments,
                Block::Observation(observation) => &observation.text,
                Block::Image(image) => &image.json,
            })
            .filter(|text| !text.is_empty())
    }

    /// Returns the message's calls in order.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Call(call) => Some(call),
            _ => None,
        })
    }

    /// Tells whether a provider's reasoning block is among the blocks.
    #[must_use]
    pub fn thinks(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, Block::Thinking(_)))
    }

    /// Returns the message's observations in order.
    pub fn observations(&self) -> impl Iterator<Item = &Observation> {
        self.blocks.iter().filter_map(|block| match block {
            Block::Observation(observation) => Some(observation),
            _ => None,
        })
    }
}
