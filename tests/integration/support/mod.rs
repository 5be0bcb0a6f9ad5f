//! What tests stand on beside the daemon.

pub mod llm_server;
