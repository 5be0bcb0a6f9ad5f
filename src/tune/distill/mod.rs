//! Distillation: examples of a compressor's work for training elsewhere, and the extractive head that is trained here.

mod course;
mod elsewhere;
pub mod export;
mod job;
mod library;
pub mod part;
mod rehearsed;
mod samples;
mod sides;
mod spec;
mod training;
mod trial;

pub use course::{Course, KeepError, Lap, TrainError, Watcher};
pub use elsewhere::{Compared, Elsewhere, Look};
pub use export::{Export, ExportError, Material, Outcomes, Read, Report, Terms};
pub use job::{DISTILL, DistillError, Site, ask, cancel, find, list, work};
pub use library::Library;
pub use rehearsed::rehearsed;
pub use samples::{BUDGETS, Collector, Counts, Samples, Tally};
pub use sides::Measures;
pub use spec::{Cases, EPOCHS, Kind as DistillKind, Spec};
pub use training::{Made, made};
pub use trial::{Outcome as TrialOutcome, Trial, asking_heads, by_rules};
