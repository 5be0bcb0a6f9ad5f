//! The store suite; every test runs on each engine.

mod append;
mod bed;
mod deletion;
mod faults;
mod guidelines;
mod records;
mod search;
