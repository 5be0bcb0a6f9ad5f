//! Trajectories: native messages in, a normalised view beside them, turns, facts. Imports only `tokens`.

mod actions;
mod anthropic;
mod count;
mod facts;
mod fields;
#[cfg(any(test, feature = "testing"))]
pub mod generate;
mod hash;
mod message;
mod openai;
mod parse;
mod render;
#[cfg(test)]
mod tests;
mod turns;

pub use count::{MessageTokens, RenderedTokens, count_message, count_rendered};
pub use facts::{EMPTY_WORDS, Fact, FactKey, FactKind, facts, naming_words};
pub use hash::{HashError, OriginalHash};
pub use message::{Block, Call, Image, Message, Observation, Origin, Role, WireFormat};
pub use parse::{Fault, Limits, parse_messages, parse_system};
pub use render::{
    CONTINUES, EMPTY_TEXT, Edits, MISSING_RESULT, OutFormat, RenderItem, Rendered, Repair, RepairKind, check_valid,
    render_message, render_sequence,
};
pub use turns::{AgentKind, Orphan, Turn, TurnBuilder, TurnKind, detect_agent_kind, group_turns};

/// How every block that recapd writes into a served context begins (law 10).
pub const SERVED_BLOCK_OPEN: &str = "<recapd_context";
