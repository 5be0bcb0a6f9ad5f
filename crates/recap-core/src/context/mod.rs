//! Context assembly: what an agent should see now in at most B tokens. Imports `tokens`, `trajectory`,
//! `compress`, `playbook`.
//!
//! A [`Session`] is the live state of one trajectory: its head, a bounded digest of all turns, the turns since
//! the last epoch, and one [`EpochRecord`] for each line of reads (format, budget, include). It is a pure state
//! machine: the daemon feeds it admitted messages and asks it to serve.

mod admit;
mod headline;
mod digest;
mod worth;
mod weigh;
mod features;
mod familiar;
mod head;
mod made;
mod lessons;
mod recap;
mod epoch;
mod fit;
mod request;
mod settings;
mod kept;
mod plan;
mod receipt;
mod account;
mod serve;
mod session;
mod work;
mod past_work;
mod look_back;
mod scales;
mod fate;

pub use account::{RULES, expand_tool};
pub use admit::{Admitted, Reformatting, addresses, admit};
pub use epoch::{Cut, EditedMessage, EpochRecord, MOST_ORIGINALS, Section};
pub use familiar::{Familiar, LEAST_FAMILIAR_TASKS, TrainingPlan, profile};
pub use fate::{Fate, Spot};
pub use features::{FEATURES, Features, SeenValue};
pub use head::{ActiveHead, FEATURE_SET, Head, HeadError, Layer, MOST_HEAD_BYTES, make_relative};
pub use lessons::{LessonBounds, LessonWords, Lessons, Meaning, PlaybookVersion, WORDS};
pub use look_back::LookBack;
pub use made::{Compression, Condensed, Made, Maker, Scored, Told};
pub use past_work::Unrebuilt;
pub use recap::{Handles, said_in};
pub use receipt::{NextReceipt, Omitted, Piece, PieceKind, PrefixReceipt, Receipt, Repaired, TokenReceipt};
pub use request::{ContextError, ContextRequest, Include, Marks};
pub use scales::Scales;
pub use serve::Served;
pub use session::Session;
pub use settings::{HistoryBy, Prepares, Settings};
pub use work::{HistoryWork, ObservationWork, ScoreWork};
pub use worth::{HeadWord, Weights};
