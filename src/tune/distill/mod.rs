//! Distillation: examples of a compressor's work for training elsewhere, and the extractive head that is trained here.

pub mod export;
mod library;
mod rehearsed;

pub use export::{Export, ExportError, Material, Outcomes, Report, Terms};
pub use library::Library;
pub use rehearsed::{Rehearsed, rehearsed};
