//! Distillation: what a smaller model learns a compressor's work from.

mod export;

pub use export::{By, ChatExample, ChatMessage, Epoch, LeftOut, Metadata, Piece, Run, pieces_made, pieces_served};
