//! The local models of recapd, in candle. Nothing here knows of trajectories or contexts: texts in, numbers or texts out.

pub mod error;
pub mod device;
pub mod threads;
pub mod worker;
pub mod bert;
pub mod extract;
pub mod handle;
pub mod causal;
pub mod head;

pub use device::device;
pub use error::ModelError;
pub use handle::{Encoder, Reranker};
pub use threads::{Threads, bound_threads};
pub use worker::{Health, ModelThread};
