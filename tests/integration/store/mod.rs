//! The store suite; every test runs on each engine.

mod append;
pub mod bed;
mod deletion;
mod faults;
mod heads;
mod model_calls;
mod guidelines;
mod playbooks;
mod records;
mod search;
mod tuning;
