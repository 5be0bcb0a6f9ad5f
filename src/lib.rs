//! The memory daemon for long-horizon LLM agents. Modules stand in the order of the data.

pub mod config;
