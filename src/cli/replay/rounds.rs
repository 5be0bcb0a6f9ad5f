//! Trajectories replayed at one budget, one after the other.

use std::sync::Arc;
use std::time::Duration;

use recap_core::compress::RulesMatcher;
use recap_core::context::{ContextError, ContextRequest, Include};
use recap_core::trajectory::{OutFormat, WireFormat};
use recap_core::tuning::{self, MessageCache, Recorded, ServedContext, TrajectoryScore};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::config::Config;
use crate::pipeline::append_messages::Incoming;
use crate::pipeline::counters::Counters;
use crate::pipeline::failure::Failure;
use crate::pipeline::rehearse::Rehearsal;

/// The budget of a round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// A share of each trajectory's full peak, and the least that it gives.
    Share {
        /// From 0 to 1.
        fraction: f64,
        /// Tokens beside the system prompt.
        floor: u32,
    },
    /// Tokens of the whole context.
    Tokens(u32),
}

impl Budget {
    /// Returns the field that names it.
    pub fn to_json(self) -> Value {
        match self {
            Self::Share { fraction, .. } => json!({ "fraction": fraction }),
            Self::Tokens(tokens) => json!({ "budget": tokens }),
        }
    }
}

/// What serves.
pub struct Server<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The tokenizers.
    pub counters: &'a Counters,
    /// The guideline's rules.
    pub rules: &'a Arc<RulesMatcher>,
    /// The model whose tokenizer counts.
    pub model: &'a str,
}

/// All that was replayed at one budget.
pub struct Round {
    /// The budget.
    pub budget: Budget,
    /// The trajectories' ids.
    pub ids: Vec<String>,
    /// What their replays counted, in the same order.
    pub scores: Vec<TrajectoryScore>,
    /// Epochs begun.
    pub epochs: usize,
    /// How long each context took.
    pub took: Vec<Duration>,
}

impl Round {
    /// Begins a round.
    pub fn new(budget: Budget) -> Self {
        Self { budget, ids: Vec::new(), scores: Vec::new(), epochs: 0, took: Vec::new() }
    }

    /// Replays a trajectory.
    ///
    /// # Errors
    ///
    /// Fails where a context cannot be served.
    pub fn replay(
        &mut self,
        id: &str,
        messages: &[Box<RawValue>],
        recorded: &Recorded,
        cache: &mut MessageCache,
        server: &Server<'_>,
    ) -> anyhow::Result<()> {
        let Server { config, counters, rules, model } = server;
        let at = self.budget;
        let mut rehearsal = Rehearsal::new(config, counters, rules, Some(model))?;
        let mut rest = messages;
        let serve = |sent: &[Value], budget: i64| -> anyhow::Result<ServedContext> {
            let (new, later) = rest.split_at_checked(sent.len()).unwrap_or((rest, &[]));
            rest = later;
            let incoming = Incoming { format: WireFormat::OpenAi, messages: new.to_vec(), system: None };
            rehearsal.append(&incoming).map_err(told)?;
            self.serve(&mut rehearsal, u32::try_from(budget)?)
        };
        let score = match at {
            Budget::Share { fraction, floor } => {
                tuning::replay(recorded, tuning::Replay { fraction, floor }, cache, serve)?
            }
            Budget::Tokens(tokens) => tuning::replay_at(recorded, i64::from(tokens), cache, serve)?,
        };
        self.ids.push(id.to_owned());
        self.scores.push(score);
        Ok(())
    }

    fn serve(&mut self, rehearsal: &mut Rehearsal, budget: u32) -> anyhow::Result<ServedContext> {
        let mut request =
            ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
        let start = Instant::now();
        let mut answer = rehearsal.serve(&request);
        let refused = match &answer {
            Err(Failure::Context(ContextError::BudgetTooSmall { minimum_budget, .. })) => Some(*minimum_budget),
            _ => None,
        };
        if let Some(minimum) = refused {
            request.budget = minimum;
            answer = rehearsal.serve(&request);
        }
        self.took.push(start.elapsed());
        let served = answer?;
        self.epochs += usize::from(served.new_epoch.is_some());
        let messages = served.messages.iter().map(|text| serde_json::from_str(text)).collect::<Result<_, _>>()?;
        Ok(ServedContext { messages, refused: refused.is_some() })
    }
}

/// Says what is wrong with messages, which [`Failure`] leaves to its reader.
fn told(failure: Failure) -> anyhow::Error {
    match failure {
        Failure::Invalid(faults) => {
            let said: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
            anyhow::anyhow!("{}", said.join("; "))
        }
        other => other.into(),
    }
}
