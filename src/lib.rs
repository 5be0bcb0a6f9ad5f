//! The memory daemon for long-horizon LLM agents. Modules stand in the order of their imports.

pub mod config;
pub mod telemetry;
pub mod tls;
pub mod world;
pub mod store;
pub mod llm;
pub mod models;
pub mod pipeline;
pub mod tune;
pub mod jobs;
pub mod app;
pub mod http;
pub mod lifecycle;
pub mod cli;
