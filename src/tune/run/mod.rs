//! Tuning runs: from cases to a candidate that passed the gate, in steps that are each stored.
//!
//! `spec` is what may be asked for, `tuning` are the use cases of operators. `work` goes from stage to stage: `collect`
//! finds cases and divides them by task, `bench` replays them, `propose` makes candidates and checks them, `settle` lets the
//! gate judge. `pairs` are evidence from outside.

mod bench;
mod beside;
mod collect;
mod error;
mod pairs;
mod propose;
mod record;
mod settle;
mod spec;
mod tuning;
mod work;

pub use bench::CaseEvidence;
pub use collect::{Files, Sources};
pub use error::RunError;
pub use pairs::{Imported, NewPair, Outcome, PairRecord, PairSide, Told, speak_for};
pub use record::{CandidateRecord, ScoreRecord, TuningRunRecord};
pub use spec::{Caps, CaseBudget, CaseFilter, EvidenceSource, Proposer, Spec};
pub use tuning::{Attempts, Promotion, TUNE, Tuning, Worker};
pub use work::{Replays, Watch};
