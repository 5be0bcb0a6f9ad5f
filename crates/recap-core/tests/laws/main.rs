//! The laws of contexts, held against generated trajectories that are appended in chunks and read in between.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::missing_panics_doc,
    reason = "tests"
)]

mod budget;
mod export;
mod familiar;
mod interchange;
mod lessons;
mod look_back;
mod makers;
mod models;
mod pieces;
mod pinned;
mod playbook;
mod prefix;
mod steering;
mod work;
mod world;
