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
    policies(config, &mut faults);
    models(config, &mut faults);
    playbook(config, &mut faults);
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

fn playbook(config: &Config, faults: &mut Faults) {
    let playbook = &config.playbook;
    faults.unless((100..=1_000_000).contains(&playbook.budget), "playbook.budget", "must be from 100 to 1000000");
    faults.unless((0.0..=0.5).contains(&playbook.share), "playbook.share", "must be from 0 to 0.5");
    faults.unless((1..=3).contains(&playbook.rounds), "playbook.rounds", "must be from 1 to 3");
}

fn compressors(config: &Config, faults: &mut Faults) {
    for (key, compressor) in [("observation", config.compress.observation), ("history", config.compress.history)] {
        let key = format!("compress.{key}");
        let missing = if key == "compress.history" { lack_of_history } else { lack }(config, compressor);
        if let Some(missing) = missing {
            faults.unless(false, &key, format!("`{}` needs {missing}", compressor.name()));
        }
    }
    faults.unless(
        config.compress.history != Compressor::Off,
        "compress.history",
        "must be `rules`, `extract` or `llm`",
    );
    faults.unless(config.compress.t_obs >= 64, "compress.t_obs", "must be at least 64");
    faults.unless(config.compress.t_hist >= 64, "compress.t_hist", "must be at least 64");
}

/// Returns what a compressor needs and the configuration does not name.
#[must_use]
pub fn lack(config: &Config, compressor: Compressor) -> Option<&'static str> {
    const LOCAL: bool = cfg!(feature = "local-models");
    let local = |name: &Option<String>| LOCAL && name.is_some();
    match compressor {
        Compressor::Rules | Compressor::Off => None,
        Compressor::Extract if !LOCAL => Some("a build with the feature `local-models`"),
        Compressor::Extract => (!local(&config.models.reranker)).then_some("models.reranker"),
        Compressor::Llm => (config.llm.model.is_none() && !local(&config.models.chat)).then_some(if LOCAL {
            "llm.model or models.chat"
        } else {
            "llm.model"
        }),
    }
}

/// As [`lack`], for old turns: there `extract` asks a trained head, too, which the configuration does not name.
#[must_use]
pub fn lack_of_history(config: &Config, compressor: Compressor) -> Option<&'static str> {
    if compressor == Compressor::Extract { None } else { lack(config, compressor) }
}

fn policies(config: &Config, faults: &mut Faults) {
    for (name, policy) in &config.policies {
        let key = format!("policies.\"{name}\"");
        let named = ["namespace:", "agent:"].iter().any(|kind| name.len() > kind.len() && name.starts_with(kind));
        faults.unless(named, &key, "must be named `namespace:<name>` or `agent:<name>`");
        let compress = policy.compress.clone().unwrap_or_default();
        let observation = compress.observation.map(|compressor| (compressor, lack(config, compressor)));
        let history = compress.history.map(|compressor| (compressor, lack_of_history(config, compressor)));
        for (compressor, missing) in observation.into_iter().chain(history) {
            if let Some(missing) = missing {
                faults.unless(false, &key, format!("`{}` needs {missing}", compressor.name()));
            }
        }
        faults.unless(
            compress.history != Some(Compressor::Off),
            &key,
            "compress.history must be `rules`, `extract` or `llm`",
        );
        let context = policy.context.clone().unwrap_or_default();
        let low = context.low_mark.unwrap_or(config.context.low_mark);
        let soft = context.soft_mark.unwrap_or(config.context.soft_mark);
        let shares = [context.tail_share, context.pinned_share];
        faults.unless(0.0 < low && low < soft && soft < 1.0, &key, "must hold 0 < low_mark < soft_mark < 1");
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        faults.unless(shares.iter().flatten().all(is_share), &key, "shares must be from 0 to 1");
    }
}

fn models(config: &Config, faults: &mut Faults) {
    let llm = &config.llm;
    let is_http = llm.base_url.starts_with("http://") || llm.base_url.starts_with("https://");
    faults.unless(is_http, "llm.base_url", "must start with http:// or https://");
    faults.unless(!llm.base_url.contains('@'), "llm.base_url", "must hold no user or password: set llm.api_key");
    faults.unless(llm.timeout_ms > 0, "llm.timeout_ms", "must be above 0");
    faults.unless((1..=10).contains(&llm.max_attempts), "llm.max_attempts", "must be from 1 to 10");
    faults.unless(llm.concurrency > 0, "llm.concurrency", "must be above 0");
    faults.unless(
        llm.max_cost_per_day_usd.is_none_or(|cost| cost.is_finite() && cost >= 0.0),
        "llm.max_cost_per_day_usd",
        "must be 0 or more",
    );
    window("llm", llm.window_tokens, llm.max_reply_tokens, faults);
    for (model, price) in &llm.prices {
        let parts = [price.input, price.output, price.cached.unwrap_or_default()];
        let holds = parts.iter().all(|part| part.is_finite() && *part >= 0.0);
        faults.unless(holds, &format!("llm.prices.{model}"), "must be 0 or more");
    }
    let models = &config.models;
    faults.unless(models.threads > 0, "models.threads", "must be above 0");
    faults.unless(models.queue > 0, "models.queue", "must be above 0");
    faults.unless(models.timeout_ms > 0, "models.timeout_ms", "must be above 0");
    window("models", models.window_tokens, llm.max_reply_tokens, faults);
    faults.unless(config.jobs.workers > 0, "jobs.workers", "must be above 0");
    faults.unless(config.jobs.lease_ms >= 1000, "jobs.lease_ms", "must be at least 1000");
    faults.unless(config.jobs.max_attempts > 0, "jobs.max_attempts", "must be above 0");
}

fn window(section: &str, window: u32, reply: u32, faults: &mut Faults) {
    faults.unless(
        window >= 1024 && window / 2 >= reply && reply >= 64,
        &format!("{section}.window_tokens"),
        format!("must be at least 1024 and twice llm.max_reply_tokens ({reply}), which is at least 64"),
    );
}

fn files(config: &Config, faults: &mut Faults) {
    if let Some(file) = &config.auth.key_file {
        faults.unless(file.is_file(), "auth.key_file", format!("{} is no file", file.display()));
    }
    if let Some(file) = &config.llm.api_key_file {
        faults.unless(file.is_file(), "llm.api_key_file", format!("{} is no file", file.display()));
        faults.unless(config.llm.api_key.is_none(), "llm.api_key", "is set together with llm.api_key_file");
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
