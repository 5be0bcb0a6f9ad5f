//! Distillation: examples of a compressor's work for training elsewhere, and the extractive head that is trained here.

pub mod export;
mod job;
mod library;
pub mod part;
mod rehearsed;
mod spec;

pub use export::{Export, ExportError, Material, Outcomes, Report, Terms};
pub use job::{DISTILL, DistillError, ask, cancel, find, list, work};
pub use library::Library;
pub use rehearsed::{Rehearsed, rehearsed};
pub use spec::{Cases, Kind as DistillKind, Spec};
