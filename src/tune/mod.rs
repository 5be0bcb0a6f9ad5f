//! Offline runs over recorded trajectories: what contexts lose, and how that gets better. Beside `pipeline`; imports
//! `store`, `llm` and recap-core, and the pipeline's use cases.

pub mod audit;
pub mod recorded;
pub mod replay;
pub mod run;
pub mod stored;

pub use audit::{Audited, audit_run};
pub use recorded::{RecordedRun, Unusable};
pub use replay::{Budget, Models, ReplayError, Round, Server};
pub use stored::{StoredError, stored_run};
