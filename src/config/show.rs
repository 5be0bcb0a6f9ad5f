//! The configuration as people see it: every key, secrets masked, with the origin of each value.

use config::{Map, Value, ValueKind};
use serde::Serialize;

/// One effective value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// For example `context.budget`.
    pub key: String,
    /// The value as text; secrets are masked.
    pub value: String,
    /// `default`, `environment`, `flag`, or the file's path.
    pub origin: String,
}

const SECRETS: [&str; 2] = ["storage.database_url", "llm.api_key"];

/// Returns every leaf in the order of its key.
pub fn flatten(tree: &Map<String, Value>) -> Vec<Shown> {
    let mut shown = Vec::new();
    walk("", tree, &mut shown);
    shown.sort_by(|a, b| a.key.cmp(&b.key));
    shown
}

fn walk(prefix: &str, tree: &Map<String, Value>, shown: &mut Vec<Shown>) {
    for (name, value) in tree {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match &value.kind {
            ValueKind::Table(table) => walk(&key, table, shown),
            _ => shown.push(Shown { value: text_of(&key, value), origin: origin_of(value), key }),
        }
    }
}

fn text_of(key: &str, value: &Value) -> String {
    if SECRETS.contains(&key) { "********".to_owned() } else { value.to_string() }
}

fn origin_of(value: &Value) -> String {
    match value.origin() {
        None => "default".to_owned(),
        Some("the environment") => "environment".to_owned(),
        Some(origin) => origin.to_owned(),
    }
}
