//! `recapd compress`

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use recap_core::context::{ContextRequest, Include};

use super::client::Remote;
use super::context::{Format, print};
use super::import::conversation_of;
use super::{BadUse, Done, Setting};
use crate::http::context_answer;
use crate::pipeline::append_messages::Incoming;
use crate::pipeline::compress_once::{Compress as Work, compress_here};
use crate::pipeline::counters::Counters;
use crate::pipeline::guidelines::Guidelines;

/// Compress messages to a budget; nothing is stored.
///
/// Takes a list of messages or an object with `messages` (and `system`, `tools`, `model`).
#[derive(Debug, Args)]
pub struct Compress {
    /// The file; standard input where it is left out or `-`
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Most tokens of the whole payload
    #[arg(long)]
    budget: u32,
    /// The form of the payload
    #[arg(long, value_enum, default_value_t = Format::Openai)]
    format: Format,
    /// The model whose tokenizer counts; the file's where it names one
    #[arg(long)]
    model: Option<String>,
    /// The guideline set that steers; the default one where it is left out
    #[arg(long, alias = "guideline-set", value_name = "NAME")]
    guidelines_set: Option<String>,
    /// What the agent is about to do
    #[arg(long)]
    query: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

impl Compress {
    /// Compresses.
    ///
    /// # Errors
    ///
    /// Fails where the messages cannot be read, or the budget is too small.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let text = self.read()?;
        let conversation = conversation_of(&text).map_err(BadUse)?;
        let answer = if let Some(daemon) = self.remote.daemon()? {
            let body = serde_json::json!({ "messages": conversation.messages, "system": conversation.system,
                    "tools": conversation.tools, "budget": self.budget, "format": self.format.out(),
                    "model": self.model.or(conversation.model), "guideline_set": self.guidelines_set, "query": self.query });
            daemon.post("/v1/compress", body.to_string()).await?
        } else {
            let config = setting.load(&[])?.config;
            let request = ContextRequest {
                budget: self.budget,
                reserve: 0,
                format: self.format.out(),
                query: self.query,
                include: Include::default(),
            };
            let work = Work {
                incoming: Incoming {
                    format: conversation.format(),
                    messages: conversation.messages,
                    system: conversation.system,
                },
                tools: conversation.tools.map(|tools| tools.get().to_owned()),
                model: self.model.or(conversation.model),
                guideline_set: self.guidelines_set,
                request,
            };
            let counters = Counters::load(&config.tokens)?;
            let guidelines = Guidelines::load(&config.guidelines)?;
            let served = compress_here(&config, &counters, &guidelines, work)?;
            context_answer(None, &served, self.format.out())?
        };
        print(&answer, setting)?;
        Ok(Done::Well)
    }

    fn read(&self) -> anyhow::Result<String> {
        match &self.file {
            Some(path) if path.as_os_str() != "-" => {
                std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
            }
            _ => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
                Ok(text)
            }
        }
    }
}
