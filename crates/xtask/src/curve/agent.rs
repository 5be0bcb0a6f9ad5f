//! The agent: a small chat model that fills in forms, with recapd as its memory.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::task::{SYSTEM, Task};
use crate::http::Client;

/// Most tokens of a reply.
const MOST_REPLY_TOKENS: u32 = 160;
/// How long a reply may take.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// What calls of a model cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    pub calls: u64,
    pub tokens_in: u64,
    pub tokens_out: u64,
    pub took: Duration,
}

impl Cost {
    /// Adds another cost.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.tokens_in += other.tokens_in;
        self.tokens_out += other.tokens_out;
        self.took += other.took;
    }
}

/// The agent, where its memory is and where its model.
pub struct Agent {
    /// URL of the daemon.
    pub memory: String,
    /// URL of the model's server.
    pub model: String,
}

/// A task that is worked on: one trajectory.
pub struct Attempt<'a> {
    agent: &'a Agent,
    /// The trajectory.
    pub id: String,
    task: &'a Task,
}

/// What came of one try.
pub struct Try {
    pub reply: String,
    /// What the office's system said of it; `None` where it took the form.
    pub complaint: Option<String>,
    pub cost: Cost,
    /// Lessons that stood in the context.
    pub lessons: usize,
}

impl Agent {
    /// Begins a task.
    ///
    /// # Errors
    ///
    /// Fails when the daemon refuses.
    pub fn begin<'a>(&'a self, id: String, task: &'a Task, playbook: Option<&str>) -> Result<Attempt<'a>> {
        let mut head = json!({ "id": id, "agent": "clerk" });
        if let (Some(name), Some(fields)) = (playbook, head.as_object_mut()) {
            fields.insert("playbook".into(), json!(name));
        }
        Client::connect(&self.memory)?.post("/v1/trajectories", &head.to_string())?;
        let attempt = Attempt { agent: self, id, task };
        attempt.append(&[("system", SYSTEM), ("user", &task.words)])?;
        Ok(attempt)
    }

    /// Asks the model at temperature 0 for a reply of a JSON schema.
    fn ask(&self, messages: &Value, schema: &Value) -> Result<(String, Cost)> {
        let form = json!({ "name": "form", "schema": schema, "strict": true });
        let body = json!({
            "messages": messages, "temperature": 0, "seed": 1, "max_tokens": MOST_REPLY_TOKENS,
            "response_format": { "type": "json_schema", "json_schema": form },
        });
        let asked = Instant::now();
        let mut client = Client::patient(&self.model, PATIENCE)?;
        let answer: Value = serde_json::from_str(client.post("/v1/chat/completions", &body.to_string())?)?;
        let text = answer["choices"][0]["message"]["content"].as_str().context("a chat completion without content")?;
        let count = |key: &str| answer["usage"][key].as_u64().unwrap_or(0);
        let (tokens_in, tokens_out) = (count("prompt_tokens"), count("completion_tokens"));
        Ok((text.to_owned(), Cost { calls: 1, tokens_in, tokens_out, took: asked.elapsed() }))
    }
}

impl Attempt<'_> {
    /// Reads the context from the daemon, asks the model, hands in the form and stores what was said.
    ///
    /// # Errors
    ///
    /// Fails when the daemon or the model's server does.
    pub fn run(&self) -> Result<Try> {
        let mut client = Client::connect(&self.agent.memory)?;
        let context: Value = serde_json::from_str(client.get(&format!("/v1/trajectories/{}/context", self.id))?)?;
        let (reply, cost) = self.agent.ask(&context["messages"], &self.task.schema())?;
        let complaint = self.task.complaint(&reply);
        let answer = complaint.as_deref().unwrap_or("ok: the form was taken");
        self.append(&[("assistant", &reply), ("user", answer)])?;
        Ok(Try { reply, complaint, cost, lessons: lessons(&context) })
    }

    /// Says how the task ended.
    ///
    /// # Errors
    ///
    /// Fails when the daemon refuses.
    pub fn end(&self, status: &str, score: f64, feedback: &str) -> Result<()> {
        let outcome = json!({ "status": status, "score": score, "feedback": feedback });
        let path = format!("/v1/trajectories/{}/outcome", self.id);
        Client::connect(&self.agent.memory)?.post(&path, &outcome.to_string()).map(drop)
    }

    fn append(&self, messages: &[(&str, &str)]) -> Result<()> {
        let messages: Vec<_> =
            messages.iter().map(|(role, content)| json!({ "role": role, "content": content })).collect();
        let path = format!("/v1/trajectories/{}/messages", self.id);
        let body = json!({ "messages": messages }).to_string();
        Client::connect(&self.agent.memory)?.post(&path, &body).map(drop)
    }
}

/// Counts the bullets that a context's receipt names.
fn lessons(context: &Value) -> usize {
    let pieces = context["pieces"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_playbook = pieces.iter().filter(|piece| piece["kind"] == "playbook");
    of_playbook.filter_map(|piece| piece["bullets"].as_array()).map(Vec::len).sum()
}
