//! What the models that the configuration names need.

use std::path::Path;

use super::{Finding, Verdict};
use crate::app::{llm_key, models_dir};
use crate::cli::setting::candle_threads;
use crate::config::{Config, Models};
use crate::llm::{ProbeError, find, probe};

/// Looks at the endpoint, at the files of local models and at their threads; at nothing where no model is named.
pub(super) async fn models(config: &Config, data: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(model) = &config.llm.model {
        findings.push(endpoint(config, model).await);
    }
    let files = local(&config.models, &models_dir(config, data));
    if !files.is_empty() {
        findings.extend(files);
        findings.push(threads(config.models.threads, candle_threads().as_deref()));
    }
    findings
}

async fn endpoint(config: &Config, model: &str) -> Finding {
    const WHAT: &str = "endpoint";
    let key = match llm_key(config) {
        Ok(key) => key,
        Err(error) => return Finding::of(WHAT, Err(error.to_string())),
    };
    let warning = |said: String| Finding { what: WHAT, verdict: Verdict::Warning, said };
    match probe(&config.llm, key).await {
        Ok(models) if models.iter().any(|known| known == model) => {
            Finding::of(WHAT, Ok(format!("it answers and has `{model}`")))
        }
        Ok(models) => warning(format!("it answers; `{model}` is none of the {} models that it names", models.len())),
        Err(ProbeError::Status { status: status @ (404 | 405), .. }) => {
            warning(format!("it answers, but does not name its models ({status})"))
        }
        Err(error) => Finding::of(WHAT, Err(format!("llm.base_url: {error}"))),
    }
}

fn local(models: &Models, dir: &Path) -> Vec<Finding> {
    let named = [("encoder", &models.encoder), ("reranker", &models.reranker), ("chat", &models.chat)];
    let found = named.into_iter().filter_map(|(key, name)| Some((key, find(key, name.as_deref()?, dir))));
    found
        .map(|(key, found)| {
            let said = found.map(|path| format!("models.{key} is {}", path.display()));
            Finding::of("local model", said.map_err(|error| error.to_string()))
        })
        .collect()
}

/// candle reads the number of its threads from the environment alone.
fn threads(wanted: usize, set: Option<&str>) -> Finding {
    const WHAT: &str = "threads";
    if set.and_then(|set| set.trim().parse().ok()) == Some(wanted) {
        return Finding::of(WHAT, Ok(format!("local models compute with {wanted}")));
    }
    let is = set.map_or_else(|| "is not set".to_owned(), |set| format!("is `{set}`"));
    let said = format!("CANDLE_NUM_THREADS {is}: start the daemon with CANDLE_NUM_THREADS={wanted}, as models.threads");
    Finding { what: WHAT, verdict: Verdict::Warning, said }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_must_be_those_of_the_configuration() {
        assert_eq!(threads(2, Some("2")).verdict, Verdict::Ok);
        for set in [None, Some("4"), Some("two")] {
            let finding = threads(2, set);
            assert_eq!(finding.verdict, Verdict::Warning);
            assert!(finding.said.contains("CANDLE_NUM_THREADS=2"), "{}", finding.said);
        }
    }
}
