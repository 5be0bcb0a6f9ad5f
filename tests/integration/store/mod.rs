//! The store suite; every test runs on each engine.

mod append;
mod bed;
mod records;
mod search;
