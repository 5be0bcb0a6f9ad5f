//! Offline runs over recorded trajectories: what contexts lose, and how that gets better. Beside `pipeline`; imports
//! `store`, `llm` and recap-core, and the pipeline's use cases.

pub mod distill;
pub mod recorded;
pub mod replay;

pub use recorded::{RecordedRun, Unusable};
pub use replay::{Budget, Models, ReplayError, Round, Server};
