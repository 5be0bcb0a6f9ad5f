//! Tuning: what served contexts lose, and how a compressor gets better from that.
//!
//! `replay` measures by exact counts, `audit` says what dropped a value, `case` is how one trajectory did. May import every
//! other module of this crate; none imports it. No model judges anything here, and the same contexts always give the same
//! numbers.

mod audit;
mod case;
mod distill;
mod replay;
mod split;

pub use audit::{Cause, Loss, Place};
pub use case::CaseScore;
pub use distill::{By, ChatExample, ChatMessage, Epoch, LeftOut, Metadata, Piece, Run, pieces_made, pieces_served};
pub use replay::{
    InvalidContext, Lost, Measure, MessageCache, RecordError, Recorded, Replay, ServedContext, Summary,
    TrajectoryScore, invalid, replay, replay_at, used_values,
};
pub use split::{Side, Split, SplitError};
