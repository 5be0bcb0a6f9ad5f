//! The agent's loop over HTTP: create, append, read the context, step by step; then a look at what was left out.

use anyhow::{Context as _, ensure};
use recap_core::context::Receipt;
use serde::Serialize;
use serde_json::{Value, json};

use super::agent::{Agent, Step, TASK};
use super::show::Show;
use super::survey::Survey;
use crate::cli::client::Daemon;

const SYSTEM: &str = "You are a careful engineer who explores a project with read-only shell commands. Say in a \
                      sentence why you run a command. Never guess: the report may hold nothing that you did not read.";

/// One step as it is shown.
#[derive(Debug, Serialize)]
pub struct Turn {
    /// From 0, which is system prompt and task.
    pub step: u32,
    /// The commands.
    pub calls: Vec<String>,
    /// Whether each was done here, for lack of a program.
    pub own: Vec<bool>,
    /// Tokens of the whole history.
    pub full: u32,
    /// Tokens served.
    pub served: u32,
    /// The epoch.
    pub epoch: u32,
    /// Whether it begins here.
    pub begins: bool,
    /// Served tokens that a provider's cache has from the step before.
    pub kept: u32,
    /// Served tokens that it must read.
    pub read: u32,
}

/// What the steps cost together.
#[derive(Debug, Default, Serialize)]
pub struct Totals {
    /// Largest history, tokens.
    pub full_peak: u32,
    /// Largest served context, tokens.
    pub served_peak: u32,
    /// Input tokens of all steps with full history, cached prefixes at a tenth.
    pub full_billed: f64,
    /// The same as served.
    pub served_billed: f64,
    /// Epochs begun.
    pub epochs: u32,
    #[serde(skip)]
    last_full: u32,
}

impl Totals {
    fn add(&mut self, turn: &Turn) {
        self.full_peak = self.full_peak.max(turn.full);
        self.served_peak = self.served_peak.max(turn.served);
        self.full_billed += 0.1 * f64::from(self.last_full) + f64::from(turn.full.saturating_sub(self.last_full));
        self.served_billed += 0.1 * f64::from(turn.kept) + f64::from(turn.read);
        self.epochs += u32::from(turn.begins);
        self.last_full = turn.full;
    }
}

/// An original that was left out, read by its address.
#[derive(Debug, Serialize)]
pub struct Expanded {
    /// Its address.
    pub address: String,
    /// Its text.
    pub text: String,
    /// The step whose output it is.
    pub turn: u32,
    /// The command that gave it.
    pub call: String,
}

/// The output of a command.
struct Given {
    turn: u32,
    call: String,
    text: String,
}

/// The tour.
pub struct Tour {
    daemon: Daemon,
    show: Show,
    survey: Survey,
    agent: Agent,
    budget: u32,
    turns: u32,
    given: Vec<Given>,
    totals: Totals,
    calls: u32,
}

impl Tour {
    /// Prepares a tour.
    ///
    /// # Errors
    ///
    /// As [`Agent::new`].
    pub fn new(daemon: Daemon, show: Show, survey: Survey, budget: u32, turns: u32) -> anyhow::Result<Self> {
        let agent = Agent::new(survey.clone())?;
        let (given, totals) = (Vec::new(), Totals::default());
        Ok(Self { daemon, show, survey, agent, budget, turns, given, totals, calls: 0 })
    }

    /// Gives it.
    ///
    /// # Errors
    ///
    /// Fails where the daemon answers otherwise than it should.
    pub async fn give(mut self, url: &str) -> anyhow::Result<()> {
        let id = self.create().await?;
        let head = [json!({ "role": "system", "content": SYSTEM }), json!({ "role": "user", "content": TASK })];
        self.append(&id, &head).await?;
        self.show.table_head()?;
        let mut answer = self.read(&id, 0, Vec::new(), Vec::new()).await?;
        for n in 1..=self.turns {
            let Some(step) = self.agent.next() else { break };
            let own = self.act(&id, n, &step).await?;
            let calls = step.asks.iter().map(ToString::to_string).collect();
            answer = self.read(&id, n, calls, own).await?;
        }
        let report = self.agent.report();
        self.append(&id, &[json!({ "role": "assistant", "content": report })]).await?;
        self.show.totals(&self.totals, &report)?;
        self.show.context(&answer)?;
        let expanded = self.expand(&id, &answer).await?;
        self.show.expanded(expanded.as_ref())?;
        self.show.farewell(url, &id, &self.totals, &answer, expanded.as_ref())
    }

    async fn create(&self) -> anyhow::Result<String> {
        let parameters =
            json!({ "type": "object", "properties": { "command": { "type": "string" } }, "required": ["command"] });
        let shell = json!({ "type": "function", "function": { "name": "shell", "parameters": parameters,
            "description": "Runs a read-only command in the project's folder and returns its output." } });
        let body =
            json!({ "agent": "quickstart", "model": "gpt-4o", "task": TASK, "tools": [shell], "budget": self.budget });
        let made: Value = serde_json::from_str(&self.daemon.post("/v1/trajectories", body.to_string()).await?)?;
        Ok(made.get("id").and_then(Value::as_str).context("the daemon's answer has no id")?.to_owned())
    }

    async fn append(&self, id: &str, messages: &[Value]) -> anyhow::Result<()> {
        let body = json!({ "messages": messages }).to_string();
        self.daemon.post(&format!("/v1/trajectories/{id}/messages"), body).await?;
        Ok(())
    }

    /// Runs a step's commands and stores the call and its results.
    async fn act(&mut self, id: &str, turn: u32, step: &Step) -> anyhow::Result<Vec<bool>> {
        let (mut calls, mut results, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for ask in &step.asks {
            self.calls += 1;
            let call = format!("call_{}", self.calls);
            let output = ask.run(&self.survey).await;
            self.agent.learn(ask, &output.text);
            let arguments = json!({ "command": ask.to_string() }).to_string();
            calls.push(
                json!({ "id": call, "type": "function", "function": { "name": "shell", "arguments": arguments } }),
            );
            results.push(json!({ "role": "tool", "tool_call_id": call, "content": output.text }));
            own.push(output.own);
            self.given.push(Given { turn, call: ask.to_string(), text: output.text });
        }
        let said = json!({ "role": "assistant", "content": step.say, "tool_calls": calls });
        let messages: Vec<Value> = std::iter::once(said).chain(results).collect();
        self.append(id, &messages).await?;
        Ok(own)
    }

    /// Reads the context as the agent's model would get it now.
    async fn read(&mut self, id: &str, turn: u32, calls: Vec<String>, own: Vec<bool>) -> anyhow::Result<Value> {
        let path = format!("/v1/trajectories/{id}/context?format=openai&budget={}", self.budget);
        let text = self.daemon.get(&path).await?;
        let receipt: Receipt = serde_json::from_str(&text)?;
        let (tokens, kept) = (&receipt.tokens, receipt.prefix.stable_tokens);
        ensure!(tokens.total <= self.budget, "{} tokens were served for a budget of {}", tokens.total, self.budget);
        let row = Turn {
            step: turn,
            calls,
            own,
            full: tokens.full,
            served: tokens.total,
            epoch: receipt.epoch,
            begins: receipt.epoch >= self.totals.epochs,
            kept,
            read: tokens.total.saturating_sub(kept),
        };
        self.totals.add(&row);
        self.show.turn(&row)?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Reads an original that is not served, and holds it against what the command gave.
    async fn expand(&self, id: &str, answer: &Value) -> anyhow::Result<Option<Expanded>> {
        let mut receipt: Receipt = serde_json::from_value(answer.clone())?;
        receipt.omitted.sort_by_key(|omitted| std::cmp::Reverse(omitted.tokens));
        let omitted = receipt.omitted.iter().filter_map(|omitted| omitted.expand.as_ref());
        let stood_for = receipt.pieces.iter().flat_map(|piece| piece.originals.iter());
        for address in omitted.chain(stood_for.filter(|_| !receipt.omitted.is_empty())) {
            let address = address.to_string();
            let text = self.daemon.get(&format!("/v1/originals/{address}?trajectory={id}")).await?;
            if let Some(given) = self.given.iter().find(|given| given.text == text) {
                return Ok(Some(Expanded { address, text, turn: given.turn, call: given.call.clone() }));
            }
        }
        ensure!(receipt.omitted.is_empty(), "no original that was left out is a command's output, byte for byte");
        Ok(None)
    }
}
