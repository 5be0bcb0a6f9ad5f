//! Playbooks: what agents, operators, files and models change, what is served of them, and how they served.
//!
//! Every change is one delta, decided by a pure function on the state inside the store's transaction (`change`).
//! Imports `store`, `config` and recap-core.

mod bounds;
mod change;
mod credits;
mod deltas;
mod embeddings;
mod exchange;
mod learn;
mod read;
mod refusal;
mod review;
mod shelf;
mod upkeep;

use crate::store::PlaybookKey;

use super::Pipeline;
use super::failure::Failure;
use super::keys::Caller;
use super::trajectories::DEFAULT_NAMESPACE;

pub use bounds::Removals;
pub use change::{Asked, ChangeKind, Decide};
pub use credits::{Feedback, served_bullets};
pub use deltas::{Applied, DeltaOutcome, DeltaRequest};
pub use embeddings::Embeddings;
pub use exchange::ImportReport;
pub use learn::{Effect, LEARN, Learned, Recorded, Taught};
pub use read::{BulletView, PlaybookDiff, PlaybookList, PlaybookView};
pub use refusal::Refusal;
pub use review::Verdict;
pub use shelf::{Shelf, Shelved};
pub use upkeep::{Dedupe, Deduped, Pruned};

/// The most operations of one delta.
pub const MOST_OPERATIONS: usize = 200;
/// The most changes of one playbook that wait for somebody's word.
pub const MOST_PENDING: u64 = 1_000;
/// Bytes of what a caller says about a delta.
pub const MOST_SOURCE_BYTES: usize = 200;

impl Pipeline {
    /// Returns the key of a playbook that a caller means: in the namespace that is named, else in the caller's own.
    ///
    /// # Errors
    ///
    /// [`Failure::Invalid`] for what is no name; [`Failure::NotFound`] for a namespace that the caller does not reach.
    pub fn playbook_key(&self, caller: &Caller, namespace: Option<&str>, name: &str) -> Result<PlaybookKey, Failure> {
        let fits = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !fits {
            return Err(Failure::field("name", "must be 1 to 64 of A-Z a-z 0-9 . _ -"));
        }
        let namespace = namespace.or(caller.namespace.as_deref()).unwrap_or(DEFAULT_NAMESPACE);
        super::checks::name("namespace", namespace)?;
        let key = PlaybookKey { namespace: namespace.to_owned(), name: name.to_owned() };
        if caller.reaches(namespace) { Ok(key) } else { Err(no_playbook(&key)) }
    }
}

/// Makes the failure of a playbook that is not there.
fn no_playbook(key: &PlaybookKey) -> Failure {
    Failure::NotFound(format!("playbook `{}` in namespace `{}`", key.name, key.namespace))
}
