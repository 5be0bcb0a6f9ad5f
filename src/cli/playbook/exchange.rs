//! `recapd playbook import` and `export`

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use recap_core::playbook::interchange::Format;
use serde_json::json;

use super::{Desk, name, table};
use crate::cli::{editor, output};

#[derive(Debug, Args)]
pub(super) struct Import {
    /// The playbook; it is made where it is not there
    #[arg(value_parser = name)]
    name: String,
    /// The file; `-` is standard input
    file: PathBuf,
    /// The file's format
    #[arg(long, value_enum, default_value_t = Read::Auto)]
    format: Read,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    /// The playbook
    #[arg(value_parser = name)]
    name: String,
    /// The file's format
    #[arg(long, value_enum, default_value_t = Written::Ace)]
    format: Written,
    /// As it stood at this version
    #[arg(long, value_name = "VERSION")]
    at: Option<u64>,
    /// Write this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A format that is read.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Read {
    /// The one that the text looks like
    Auto,
    /// `## HEADING` and `[id] words`, with or without counters
    Ace,
    /// JSON with `bullets` or `skills`
    Kayba,
    /// Lists under headings
    Markdown,
}

/// A format that is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Written {
    /// `## HEADING` and `[id] words`, with counters where there are some
    Ace,
    /// JSON with `bullets`
    Kayba,
    /// Lists under headings
    Markdown,
}

impl Desk {
    pub(super) async fn import(&self, import: &Import) -> anyhow::Result<()> {
        let text = read(&import.file)?;
        let format = match import.format {
            Read::Auto => {
                let format = Format::guess(&text);
                output::note(&format!("read as {format}"));
                format
            }
            Read::Ace => Format::Ace,
            Read::Kayba => Format::Kayba,
            Read::Markdown => Format::Markdown,
        };
        let body = json!({ "format": format.name(), "text": text });
        let answer = self.post(&[&import.name, "import"], &[], &body).await?;
        self.tell(&answer, table::import)
    }

    pub(super) async fn export(&self, export: &Export) -> anyhow::Result<()> {
        let format = match export.format {
            Written::Ace => Format::Ace,
            Written::Kayba => Format::Kayba,
            Written::Markdown => Format::Markdown,
        };
        let mut query = vec![("format", format.name().to_owned())];
        query.extend(export.at.map(|version| ("version", version.to_string())));
        let text = self.daemon.get(&self.path(&[&export.name, "export"], &query)?).await?;
        if let Some(file) = &export.output {
            std::fs::write(file, &text).with_context(|| format!("{} cannot be written", file.display()))?;
            output::note(&format!("{} bytes are in {}", text.len(), file.display()));
            return Ok(());
        }
        if self.json {
            return output::say_json(&json!({ "format": format.name(), "text": text }));
        }
        Ok(output::say(text.trim_end_matches('\n'))?)
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file != Path::new("-") {
        return editor::read(file);
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).context("standard input cannot be read")?;
    Ok(text)
}
