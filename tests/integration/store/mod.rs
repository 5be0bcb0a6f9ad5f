//! The store suite; every test runs on each engine.

mod append;
pub mod bed;
mod deletion;
mod faults;
mod records;
mod search;
