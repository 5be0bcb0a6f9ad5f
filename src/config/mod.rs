//! Configuration: embedded defaults < file < `RECAPD_<SECTION>__<KEY>` < flags. Imports nothing of the daemon.

mod layers;
mod policy;
mod sections;
mod show;
#[cfg(test)]
mod tests;
mod validate;

pub use layers::{ConfigFault, Flags, Layered, LoadError, load};
pub use policy::{CompressPolicy, ContextPolicy, ObservationsRole, Policy};
pub use sections::{
    Auth, Compress, Compressor, Config, Context, Guidelines, Jobs, JsonSchemaUse, Labels, Limits, Llm, Log, LogFormat,
    Models, Playbook, Price, Server, Storage, Tokens,
};
pub use show::Shown;
pub use validate::{lack, lack_of_history};

/// The embedded defaults, which are the documented example file.
pub const DEFAULTS: &str = include_str!("../../recapd.example.toml");
