//! `recapd config`

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::{Done, Setting, output};
use crate::config::{ConfigFault, LoadError};
use crate::pipeline::guidelines::Guidelines;

/// Check and show the configuration.
#[derive(Debug, Args)]
pub struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Report every fault at once; exit code 2 if there is one
    Check,
    /// Print every value that holds, secrets masked, with its origin
    Show,
}

impl Config {
    /// Checks or shows.
    ///
    /// # Errors
    ///
    /// Every fault of the configuration.
    pub fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let layered = setting.load(&[])?;
        if matches!(self.action, Action::Check) {
            Guidelines::load(&layered.config.guidelines).map_err(|faults| {
                let fault = |one: &_| ConfigFault { key: "guidelines.dir".to_owned(), detail: format!("{one}") };
                LoadError::Faults(faults.0.iter().map(fault).collect())
            })?;
        }
        match self.action {
            Action::Check if setting.json => output::say_json(&serde_json::json!({ "ok": true }))?,
            Action::Check => output::say("the configuration is sound")?,
            Action::Show if setting.json => output::say_json(&layered.shown)?,
            Action::Show => {
                let mut table = Table::new();
                table.load_preset(NOTHING).set_header(["key", "value", "origin"]);
                table.add_rows(layered.shown.iter().map(|shown| [&shown.key, &shown.value, &shown.origin]));
                output::say(&table.trim_fmt())?;
            }
        }
        Ok(Done::Well)
    }
}
