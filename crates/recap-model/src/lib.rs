//! The local models of recapd, in candle. Nothing here knows of trajectories or contexts: texts in, numbers or texts out.

pub mod error;
pub mod causal;

pub use error::ModelError;
