//! `recapd model check`

use clap::Args;
use serde::Serialize;

use super::{configured, entry, shelf};
use crate::cli::{Done, Setting, output};
use crate::config::Config;
use crate::models::{Entry, Kind, Manifest, Pinned, Shelf, known};

/// Hash and load models and ask each one thing; exit code 1 where one fails.
///
/// Without a name: all of the folder, and those that the configuration names.
#[derive(Debug, Args)]
pub struct Check {
    /// A model's name, or a path
    #[arg(value_name = "MODEL")]
    name: Option<String>,
}

/// What was found out about a model.
#[derive(Debug, Serialize)]
struct Report {
    name: String,
    kind: Kind,
    licence: Option<String>,
    /// Against what its files were hashed: `manifest`, `catalogue`, or nothing.
    hashed_against: Option<&'static str>,
    #[cfg(feature = "local-models")]
    #[serde(flatten)]
    trial: Option<super::trial::Trial>,
    faults: Vec<String>,
}

impl Check {
    /// Checks.
    ///
    /// # Errors
    ///
    /// Fails where a name is not there; what is wrong with a model is reported.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let config = setting.load(&[])?.config;
        let models = shelf(setting, &config);
        let (entries, missing) = match &self.name {
            Some(name) => (vec![entry(&models, name)?], Vec::new()),
            None => all(&config, &models)?,
        };
        #[cfg(feature = "local-models")]
        tracing::debug!(threads = ?recap_model::bound_threads(config.models.threads), "bounds of models");
        let mut sound = missing.is_empty();
        let mut reports = Vec::new();
        for entry in entries {
            let (place, window) = (models.clone(), config.models.window_tokens as usize);
            let report = tokio::task::spawn_blocking(move || check(entry, &place, window)).await?;
            sound &= report.faults.is_empty();
            if !setting.json {
                tell(&report)?;
            }
            reports.push(report);
        }
        for missing in &missing {
            output::complain(missing);
        }
        if setting.json {
            output::say_json(&reports)?;
        } else if reports.is_empty() && missing.is_empty() {
            output::say(&format!("{} holds no model", models.dir().display()))?;
        }
        Ok(if sound { Done::Well } else { Done::Badly })
    }
}

/// Returns the models of the folder and of the configuration, and what the configuration names in vain.
fn all(config: &Config, shelf: &Shelf) -> anyhow::Result<(Vec<Entry>, Vec<String>)> {
    let (mut entries, mut missing) = (shelf.entries()?, Vec::new());
    for (kind, name, path) in configured(config, shelf) {
        match (path, shelf.find(&name)?) {
            (Err(error), _) => missing.push(error.to_string()),
            (Ok(path), None) => missing.push(format!("models.{}: {} is no model", kind.name(), path.display())),
            (Ok(_), Some(entry)) if entry.kind != kind => {
                missing.push(format!("models.{}: {name} is a model of kind {}", kind.name(), entry.kind.name()));
            }
            (Ok(path), Some(_)) if entries.iter().any(|entry| entry.path == path) => {}
            (Ok(_), Some(entry)) => entries.push(entry),
        }
    }
    Ok((entries, missing))
}

#[cfg_attr(not(feature = "local-models"), expect(unused, reason = "this build loads no model"))]
fn check(entry: Entry, shelf: &Shelf, window: usize) -> Report {
    let (against, manifest) = match (entry.manifest, known(&entry.name)) {
        (Some(manifest), _) => (Some("manifest"), Some(manifest)),
        (None, Some(known)) if entry.path.parent() == Some(shelf.dir()) => {
            let pinned = |file: &crate::models::KnownFile| Pinned {
                path: file.path.to_owned(),
                size: file.size,
                sha256: file.sha256.to_owned(),
            };
            let (source, files) = (known.source(), known.files.iter().map(pinned).collect());
            let licence = Some(known.licence.to_owned());
            (Some("catalogue"), Some(Manifest { kind: known.kind, source, revision: None, licence, files }))
        }
        _ => (None, None),
    };
    let mut faults = manifest.as_ref().map(|manifest| manifest.faults(shelf.dir())).unwrap_or_default();
    #[cfg(feature = "local-models")]
    let trial = match super::trial::trial(entry.kind, &entry.path, window) {
        Ok(trial) => Some(trial),
        Err(error) => {
            faults.push(format!("{error:#}"));
            None
        }
    };
    Report {
        name: entry.name,
        kind: entry.kind,
        licence: manifest.and_then(|manifest| manifest.licence),
        hashed_against: against,
        #[cfg(feature = "local-models")]
        trial,
        faults,
    }
}

fn tell(report: &Report) -> anyhow::Result<()> {
    let verdict = if report.faults.is_empty() { "ok" } else { "FAILED" };
    output::say(&format!("{verdict:>8}  {} ({})", report.name, report.kind.name()))?;
    let hashes = match report.hashed_against {
        Some(what) => format!("hashes: those of the {what}"),
        None => "hashes: nothing to compare with; it was not pulled".to_owned(),
    };
    let licence = format!("licence: {}", report.licence.as_deref().unwrap_or("unknown"));
    let mut lines = vec![licence];
    if report.faults.is_empty() {
        lines.insert(0, hashes);
    }
    #[cfg(feature = "local-models")]
    lines.extend(report.trial.as_ref().map(super::trial::Trial::said));
    lines.extend(report.faults.iter().cloned());
    for line in lines {
        output::say(&format!("          {line}"))?;
    }
    Ok(())
}
