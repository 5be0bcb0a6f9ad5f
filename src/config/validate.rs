//! What values must be beyond their types.

use super::layers::ConfigFault;
use super::sections::{Compressor, Config};

/// Returns every fault.
pub fn validate(config: &Config) -> Vec<ConfigFault> {
    let mut faults = Faults(Vec::new());
    server(config, &mut faults);
    limits(config, &mut faults);
    context(config, &mut faults);
    compressors(config, &mut faults);
    files(config, &mut faults);
    faults.0
}

struct Faults(Vec<ConfigFault>);

impl Faults {
    fn unless(&mut self, holds: bool, key: &str, detail: impl Into<String>) {
        if !holds {
            self.0.push(ConfigFault { key: key.to_owned(), detail: detail.into() });
        }
    }
}

fn server(config: &Config, faults: &mut Faults) {
    faults.unless(config.server.request_timeout_ms > 0, "server.request_timeout_ms", "must be above 0");
    faults.unless(config.server.max_concurrent_requests > 0, "server.max_concurrent_requests", "must be above 0");
    let guarded =
        config.server.listen.ip().is_loopback() || config.auth.key_file.is_some() || config.auth.keys_required;
    faults.unless(
        guarded,
        "auth.key_file",
        format!(
            "{} is not a loopback address: name a file with a key, or set auth.keys_required and create keys",
            config.server.listen
        ),
    );
}

fn limits(config: &Config, faults: &mut Faults) {
    let limits = &config.limits;
    faults.unless(limits.max_body_bytes >= 1024, "limits.max_body_bytes", "must be at least 1024");
    faults.unless((4..=120).contains(&limits.max_depth), "limits.max_depth", "must be from 4 to 120");
    faults.unless(limits.max_messages_per_append > 0, "limits.max_messages_per_append", "must be above 0");
    faults.unless(limits.max_message_bytes > 0, "limits.max_message_bytes", "must be above 0");
    faults.unless(limits.cache_sessions > 0, "limits.cache_sessions", "must be above 0");
    faults.unless(limits.sse_clients > 0, "limits.sse_clients", "must be above 0");
    faults.unless(limits.sse_buffer > 0, "limits.sse_buffer", "must be above 0");
}

fn context(config: &Config, faults: &mut Faults) {
    let context = &config.context;
    faults.unless(context.budget > 0, "context.budget", "must be above 0");
    let marks = 0.0 < context.low_mark && context.low_mark < context.soft_mark && context.soft_mark < 1.0;
    faults.unless(
        marks,
        "context.low_mark",
        format!("must hold 0 < low_mark ({}) < soft_mark ({}) < 1", context.low_mark, context.soft_mark),
    );
    faults.unless((0.0..=1.0).contains(&context.tail_share), "context.tail_share", "must be from 0 to 1");
    faults.unless((0.0..=1.0).contains(&context.pinned_share), "context.pinned_share", "must be from 0 to 1");
}

fn compressors(config: &Config, faults: &mut Faults) {
    let observation = config.compress.observation;
    faults.unless(
        matches!(observation, Compressor::Rules | Compressor::Off),
        "compress.observation",
        format!("this build has no compressor `{}`; it has `rules` and `off`", observation.name()),
    );
    let history = config.compress.history;
    faults.unless(
        history == Compressor::Rules,
        "compress.history",
        format!("this build has no compressor `{}`; it has `rules`", history.name()),
    );
}

fn files(config: &Config, faults: &mut Faults) {
    if let Some(file) = &config.auth.key_file {
        faults.unless(file.is_file(), "auth.key_file", format!("{} is no file", file.display()));
    }
    if let Some(file) = &config.storage.database_url_file {
        faults.unless(file.is_file(), "storage.database_url_file", format!("{} is no file", file.display()));
        faults.unless(
            config.storage.database_url.is_none(),
            "storage.database_url",
            "is set together with storage.database_url_file",
        );
    }
    if let Some(dir) = &config.guidelines.dir {
        faults.unless(dir.is_dir(), "guidelines.dir", format!("{} is no folder", dir.display()));
    }
    for (model, file) in &config.tokens.tokenizers {
        faults.unless(file.is_file(), &format!("tokens.tokenizers.{model}"), format!("{} is no file", file.display()));
    }
}
