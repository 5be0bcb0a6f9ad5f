//! Offline runs over recorded trajectories: what contexts lose, and how that gets better. Beside `pipeline`; imports
//! `store`, `llm` and recap-core, and the pipeline's use cases.

pub mod audit;
pub mod distill;
pub mod live;
pub mod recorded;
pub mod replay;
pub mod stored;
pub mod runner;
pub mod teacher;
pub mod run;

pub use audit::{Audited, audit_run};
pub use live::{HindsightError, LookedBack, look_back};
pub use recorded::{RecordedRun, Unusable};
pub use replay::{Budget, Heard, Models, ReplayError, Round, Server};
pub use stored::{StoredError, stored_run};
