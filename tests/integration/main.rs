//! The integration tests: the daemon's parts on real databases and real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod app;
mod audit;
mod auth;
mod background;
mod compressors;
mod context;
mod distill;
mod events;
mod guideline_cli;
mod guideline_versions;
mod guidelines;
mod jobs;
mod llm_server;
mod llm;
mod models;
mod openapi;
mod playbook;
mod playbook_cli;
mod problems;
mod process;
mod quickstart;
mod replay;
mod run;
mod runner;
mod store;
mod support;
mod tasks;
mod teacher;
mod trajectories;
mod tuning;
