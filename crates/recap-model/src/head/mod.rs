//! Training of small heads on rows of numbers: a perceptron with one hidden layer, binary cross-entropy, `AdamW`.
//!
//! The same seed and examples give the same weights. The whole state can be written down between epochs and taken up
//! again: a run that was broken off ends as one that was not.

mod examples;
mod optimizer;
mod training;

pub use examples::{Examples, Order};
pub use training::{Plan, Trained, Training};
