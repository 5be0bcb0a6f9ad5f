//! Exact replay: a recorded trajectory served message by message, and counts of what its contexts keep.

mod grounding;
mod python_json;
mod recorded;
mod run;
mod summary;
mod text;
mod validity;
mod values;

pub use recorded::{RecordError, Recorded};
pub use run::{
    ContextServer, InvalidContext, Lost, Measure, Replay, ReplayBudget, ServedContext, TrajectoryScore, replay,
    replay_at, replay_with,
};
pub use summary::Summary;
pub use text::MessageCache;
pub(super) use text::{flat, is_instruction};
pub use validity::invalid;
pub use values::used_values;
