//! `recapd model list`

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use super::{configured, mebibytes, shelf};
use crate::cli::{Done, Setting, output};
use crate::config::Config;
use crate::models::{CATALOGUE, Entry, Known, Shelf};

/// Digits of a hash that are shown.
const SHOWN: usize = 12;

/// List the models of the folder, and the known ones that can be pulled.
///
/// What a model is for is told from its files. Hashes are those of `pull`; `check` compares them with the files.
#[derive(Debug, Args)]
pub struct List;

/// What the configuration says of a model.
struct Listed {
    entry: Entry,
    keys: Vec<String>,
}

impl List {
    /// Lists.
    ///
    /// # Errors
    ///
    /// Fails where the folder cannot be read.
    pub fn run(setting: &Setting) -> anyhow::Result<Done> {
        let config = setting.load(&[])?.config;
        let shelf = shelf(setting, &config);
        let listed = listed(&config, &shelf)?;
        let absent: Vec<&Known> =
            CATALOGUE.iter().filter(|known| !listed.iter().any(|model| model.entry.name == known.name)).collect();
        let missing: Vec<String> =
            configured(&config, &shelf).into_iter().filter_map(|(.., path)| Some(path.err()?.to_string())).collect();
        if setting.json {
            return tell_json(&shelf, &listed, &absent, &missing).map(|()| Done::Well);
        }
        tell(&shelf, &listed, &absent)?;
        for missing in &missing {
            output::note(missing);
        }
        Ok(Done::Well)
    }
}

/// Returns the models of the folder and those that the configuration names by a path.
fn listed(config: &Config, shelf: &Shelf) -> anyhow::Result<Vec<Listed>> {
    let mut listed: Vec<Listed> =
        shelf.entries()?.into_iter().map(|entry| Listed { entry, keys: Vec::new() }).collect();
    for (kind, name, path) in configured(config, shelf) {
        let Ok(path) = path.map(|path| path.canonicalize().unwrap_or(path)) else { continue };
        let is_it = |model: &&mut Listed| model.entry.path.canonicalize().is_ok_and(|place| place == path);
        let key = format!("models.{}", kind.name());
        if let Some(model) = listed.iter_mut().find(is_it) {
            model.keys.push(key);
        } else if let Some(entry) = shelf.find(&name)? {
            listed.push(Listed { entry, keys: vec![key] });
        }
    }
    Ok(listed)
}

impl Listed {
    /// Returns the beginning of the hash of the weights, the largest file.
    fn hash(&self) -> Option<String> {
        let weights = self.entry.manifest.as_ref()?.files.iter().max_by_key(|file| file.size)?;
        Some(weights.sha256.chars().take(SHOWN).collect())
    }
}

fn tell(shelf: &Shelf, listed: &[Listed], absent: &[&Known]) -> anyhow::Result<()> {
    let place = shelf.dir().display();
    if listed.is_empty() {
        output::say(&format!("{place} holds no model"))?;
    } else {
        output::say(&format!("In {place}:\n"))?;
        let mut table = Table::new();
        table.load_preset(NOTHING).set_header(["name", "kind", "size", "sha256", "used by", "from"]);
        for model in listed {
            let (entry, keys) = (&model.entry, model.keys.join(", "));
            let from = entry.manifest.as_ref().map_or("(not pulled)", |manifest| manifest.source.as_str());
            let hash = model.hash().unwrap_or_else(|| "-".to_owned());
            let used = if keys.is_empty() { "-" } else { &keys };
            table.add_row([&entry.name, entry.kind.name(), &mebibytes(entry.size), &hash, used, from]);
        }
        output::say(&table.trim_fmt())?;
    }
    if !absent.is_empty() {
        output::say("\nKnown, for `recapd model pull`:\n")?;
        let mut table = Table::new();
        table.load_preset(NOTHING).set_header(["name", "kind", "size", "licence", "what it is, and for what"]);
        for known in absent {
            let about = format!("{}: {}", known.title, known.purpose);
            table.add_row([known.name, known.kind.name(), &mebibytes(known.size()), known.licence, &about]);
        }
        output::say(&table.trim_fmt())?;
    }
    Ok(())
}

fn tell_json(shelf: &Shelf, listed: &[Listed], absent: &[&Known], missing: &[String]) -> anyhow::Result<()> {
    let models = listed.iter().map(|model| {
        let entry = &model.entry;
        json!({ "name": entry.name, "kind": entry.kind, "path": entry.path, "size_bytes": entry.size,
                "used_by": model.keys, "manifest": entry.manifest })
    });
    let known = absent.iter().map(|known| {
        json!({ "name": known.name, "kind": known.kind, "title": known.title, "purpose": known.purpose,
                "licence": known.licence, "caution": known.caution, "size_bytes": known.size(),
                "source": known.source() })
    });
    let (models, known): (Vec<_>, Vec<_>) = (models.collect(), known.collect());
    output::say_json(&json!({ "dir": shelf.dir(), "models": models, "known": known, "missing": missing }))
}
