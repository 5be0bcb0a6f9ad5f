//! The pure pipeline of recapd: a trajectory goes in, a context that fits a budget comes out.
//!
//! No async, no I/O, no clock, no randomness. Modules stand in the order of the data; each imports only
//! from those before it.

pub mod compress;
pub mod context;
pub mod playbook;
pub mod prompt;
pub mod secrets;
pub mod tokens;
pub mod trajectory;
pub mod tuning;
