//! `recapd context`

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use recap_core::context::{Include, Receipt};
use recap_core::trajectory::OutFormat;

use super::client::Remote;
use super::{Done, Setting, output};
use crate::http::context_answer;
use crate::pipeline::keys::Caller;
use crate::pipeline::serve_context::{Ask, Way};

/// Print the context that an agent would be served.
///
/// The payload goes to standard output, a summary of the receipt to standard error; --json prints the daemon's
/// whole answer.
#[derive(Debug, Args)]
pub struct Context {
    /// The trajectory
    id: String,
    /// Most tokens; the trajectory's or the configuration's where it is left out
    #[arg(long)]
    budget: Option<u32>,
    /// Tokens kept free for the reply
    #[arg(long, default_value_t = 0)]
    reserve: u32,
    /// The provider's format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What the agent is about to do
    #[arg(long)]
    query: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// The form of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Openai,
    Anthropic,
    Responses,
    Text,
}

impl Format {
    /// Returns the core's name of it.
    pub fn out(self) -> OutFormat {
        match self {
            Self::Openai => OutFormat::OpenAi,
            Self::Anthropic => OutFormat::Anthropic,
            Self::Responses => OutFormat::Responses,
            Self::Text => OutFormat::Text,
        }
    }
}

impl Context {
    /// Prints it.
    ///
    /// # Errors
    ///
    /// Fails where there is no such trajectory, or the budget is too small.
    pub async fn run(self, setting: &Setting) -> anyhow::Result<Done> {
        let answer = match self.remote.daemon()? {
            Some(daemon) => {
                let body = serde_json::json!({ "budget": self.budget, "reserve": self.reserve,
                    "format": self.format.out(), "query": self.query });
                daemon.post(&format!("/v1/trajectories/{}/context", self.id), body.to_string()).await?
            }
            None => self.local(setting).await?,
        };
        print(&answer, setting)?;
        Ok(Done::Well)
    }

    async fn local(&self, setting: &Setting) -> anyhow::Result<String> {
        let local = setting.open().await?;
        let ask = Ask {
            budget: self.budget,
            reserve: self.reserve,
            format: self.format.out(),
            query: self.query.clone(),
            include: Include::default(),
        };
        let served = local.pipeline.serve_context(&Caller::local(), &self.id, ask, Way::Read).await;
        local.close().await?;
        let served = served?;
        Ok(context_answer(Some(&self.id), &served.served, served.format)?)
    }
}

/// Prints an answer: the payload for people, or all of it.
///
/// # Errors
///
/// Fails where standard output is gone.
pub fn print(answer: &str, setting: &Setting) -> anyhow::Result<()> {
    if setting.json {
        return Ok(output::say(answer)?);
    }
    let value: serde_json::Value = serde_json::from_str(answer)?;
    let receipt: Receipt = serde_json::from_str(answer)?;
    if let Some(text) = value.get("text").and_then(serde_json::Value::as_str) {
        output::say(text)?;
    } else {
        let payload = value.get("messages").or_else(|| value.get("input"));
        output::say(&serde_json::to_string_pretty(&payload)?)?;
    }
    output::note(&summary(&receipt)?);
    Ok(())
}

fn summary(receipt: &Receipt) -> Result<String, std::fmt::Error> {
    let tokens = &receipt.tokens;
    let mut text = String::new();
    write!(
        text,
        "{} of {} tokens ({} in full, counted with {}{}), epoch {}",
        tokens.total,
        tokens.budget,
        tokens.full,
        tokens.counter,
        if tokens.exact { "" } else { ", an approximation" },
        receipt.epoch
    )?;
    for (source, count) in tokens.by_source.iter().filter(|(_, count)| **count > 0) {
        write!(text, "\n  {source:>10} {count}")?;
    }
    for omitted in &receipt.omitted {
        write!(
            text,
            "\n  turns {}-{}: {} tokens left out ({})",
            omitted.turns[0], omitted.turns[1], omitted.tokens, omitted.why
        )?;
    }
    for warning in &receipt.warnings {
        write!(text, "\n  warning: {warning}")?;
    }
    Ok(text)
}
