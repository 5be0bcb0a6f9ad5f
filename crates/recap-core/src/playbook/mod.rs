//! The playbook: an evolving list of lessons, changed item by item and never rewritten whole (ACE,
//! arXiv 2510.04618, section 3). Imports `prompt`, `tokens` and `trajectory`.
//!
//! A [`Playbook`] is what its log of [`Delta`]s makes of nothing: [`replay`] proves it. All of it is pure; the daemon
//! brings texts, times and who says so.

mod bullet;
mod tally;
mod operation;
mod state;
mod apply;
mod resolve;
mod replay;
mod render;
mod words;
mod worth;
mod prune;
mod similar;
mod duplicates;
mod growth;
mod heirs;
mod relevance;
mod excerpt;
pub mod guard;
pub mod learn;
pub mod interchange;
#[cfg(feature = "testing")]
pub mod generate;
#[cfg(test)]
mod testing;

pub use apply::Fault;
pub use bullet::{Bullet, BulletId, BulletIdError, Credit, Credits, Evidence, MOST_EVIDENCE, Origin};
pub use duplicates::{
    Duplicate, How, LEAST_COSINE, LEAST_LEXICAL, MOST_TWINS, duplicates, merges, near_twin_of, same_lesson, twin_of,
};
pub use excerpt::{Choice, Excerpt, excerpt};
pub use growth::{Collapse, OverBudget, check_growth, collapses, tokens};
pub use heirs::heirs;
pub use operation::{Delta, Operation, Revision, Source};
pub use prune::{Prunable, PruneRule, prunable};
pub use relevance::Query;
pub use render::{line, text};
pub use replay::{ReplayError, forgotten, replay};
pub use resolve::{MOST_CONTENT_BYTES, MOST_SECTION_BYTES, OperationFault, Prior, resolve};
pub use state::Playbook;
pub use tally::{HALF_LIFE_WEEKS, Tally};
pub use worth::{wilson, worth};
