//! Tuning: what served contexts lose, and how a compressor gets better from that.
//!
//! `replay` measures by exact counts, `audit` says what dropped a value, `case` is how one trajectory did; `split` holds
//! tasks out, `propose` turns losses into candidates, `analyse` is what models are asked instead, `leak` finds training data
//! in candidates, `gate` judges them. May import every other module of this crate; none imports it. No model judges anything
//! here, and the same contexts always give the same
//! numbers.

mod audit;
pub mod analyse;
mod case;
mod distill;
mod replay;
mod split;
mod leak;
mod propose;
mod gate;

pub use audit::{Auditor, Breakdown, Cause, Loss, LossCounts, Place, most_lost};
pub use case::CaseScore;
pub use distill::{
    By, ChatExample, ChatMessage, Epoch, Example, LeftOut, Metadata, Piece, Run, examples, pieces_made, pieces_served,
};
pub use gate::{
    Compared, Comparison, LEAST_TASKS, MarginError, Margins, Objective, SignTest, SuccessTest, Verdict, compare, judge,
};
pub use leak::{TrainingValues, leaks};
pub use propose::{
    Candidate, Change, EditError, Evidence, Ground, IdleLine, by_rules, edited, idle_lines, later_values, says_the_same,
};
pub use replay::{
    ContextServer, InvalidContext, Lost, Measure, MessageCache, RecordError, Recorded, Replay, ReplayBudget,
    ServedContext, Summary, TrajectoryScore, invalid, replay, replay_at, replay_with, used_values,
};
pub use split::{Side, Split, SplitError};
