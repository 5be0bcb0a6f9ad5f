//! Compression by models: what is to be done, who does it, what becomes of it. `schedule` has it done in the background,
//! `inline` while somebody waits.
//!
//! The cascade is `llm → extract → rules`: each chat model in turn, then scored lines, and rules serve all along. A read
//! waits for none of it (law 6); what is made stands from the next epoch on.

mod compressors;
mod history;
mod inline;
mod ledger;
mod observations;
mod schedule;
mod scores;
mod waiting;
mod work;

use std::time::Duration;

use recap_core::context::{Compression, Maker};

pub use compressors::{Compressors, Ready, instructions};
pub(super) use inline::in_time;
pub use inline::{Prepared, prepare_session};
pub use ledger::OnBehalf;
pub use schedule::{COMPRESS_HISTORY, COMPRESS_OBSERVATIONS};

use super::failure::Failure;
use crate::llm::{Attempt, LlmError};

/// The name of who made what stands where no model can do it.
const NOBODY: &str = "none";

/// Why a model made nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmade {
    /// It cannot be asked now; later it may be.
    #[error("{why}")]
    Later {
        /// Why.
        why: String,
        /// How long it asks to be left alone.
        after: Option<Duration>,
    },
    /// What it makes of this input cannot be used.
    #[error("{0}")]
    Never(String),
}

impl Unmade {
    fn cancelled() -> Self {
        Self::Later { why: "it was cancelled".to_owned(), after: None }
    }

    fn of(error: &LlmError) -> Self {
        let why = error.to_string();
        if error.may_pass() { Self::Later { why, after: error.retry_after() } } else { Self::Never(why) }
    }
}

/// What was made, and what it cost.
#[derive(Debug)]
pub struct Product {
    /// The compression, or why there is none.
    pub made: Result<Compression, Unmade>,
    /// The account of every call to a chat model.
    pub attempts: Vec<Attempt>,
}

/// How a background job ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// There was nothing to do: the job is to be completed.
    Nothing,
    /// What was made is stored, and the job completed with it.
    Stored,
    /// The models cannot be asked now.
    Later {
        /// Why.
        why: String,
        /// How long they ask to be left alone.
        after: Option<Duration>,
    },
}

/// The name of who made something, as receipts show it.
fn maker(kind: &str, model: &str) -> String {
    format!("{kind}:{model}")
}

/// Who made what stands where no model can do it, and why.
fn nobody(why: String) -> Maker {
    Maker { compressor: NOBODY.to_owned(), failed: Some(why), ..Maker::default() }
}

/// The key under which the same work is found again: the hash of who does it, under what, on what.
fn key_of(parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn unreadable() -> Failure {
    crate::store::StoreError::Unreadable("a compression").into()
}
