//! Tuning: how well served contexts ground the actions of recorded trajectories, by exact replay.
//!
//! May import every other module of this crate; none imports it. The measures are counts over texts: no
//! model judges anything, and the same contexts always give the same numbers.

mod grounding;
mod python_json;
mod recorded;
mod replay;
mod summary;
mod text;
mod validity;
mod values;

pub use recorded::{RecordError, Recorded};
pub use replay::{InvalidContext, Lost, Measure, Replay, ServedContext, TrajectoryScore, replay, replay_at};
pub use summary::Summary;
pub use text::MessageCache;
pub use validity::invalid;
pub use values::used_values;
