//! A recorded trajectory, read once: what each action needs, and what stood around it in the original.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::grounding::{bare_lines, contains, near_words};
use super::text::{Facts, head_of, is_instruction, role, turns_of};
use super::values::used_values;

/// Why a recorded trajectory cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A message is not an object with a role.
    #[error("message {index} is not an object with a role")]
    NotAMessage {
        /// Its place, from 0.
        index: usize,
    },
}

/// A recorded trajectory, ready to be replayed any number of times, from any thread.
#[derive(Debug)]
pub struct Recorded {
    pub(super) messages: Vec<Value>,
    pub(super) head: usize,
    pub(super) system_tokens: i64,
    pub(super) steps: Vec<Step>,
    pub(super) known: HashMap<Value, Arc<Facts>>,
    /// By message.
    facts: Vec<Arc<Facts>>,
    full_peak: i64,
    body_tokens: i64,
}

/// One assistant message and what it needs.
#[derive(Debug)]
pub(super) struct Step {
    /// Its place among the messages.
    pub(super) at: usize,
    /// Its tokens.
    pub(super) tokens_out: i64,
    /// Tokens of all messages before it.
    pub(super) tokens_before: i64,
    pub(super) needed: Vec<Needed>,
}

/// A value that an action uses and that only the trajectory's body holds.
#[derive(Debug)]
pub(super) struct Needed {
    pub(super) value: String,
    /// The words nearest to its last occurrence.
    pub(super) words: Vec<String>,
    /// Whether it stands before the last turn only.
    pub(super) far: bool,
    /// Whether it is far and the agent has not named it yet.
    pub(super) first: bool,
    /// Its source lines, clipped and bare; only of first uses.
    pub(super) lines: Vec<String>,
}

impl Recorded {
    /// Reads a trajectory's `OpenAI` chat messages.
    ///
    /// # Errors
    /// If a message is not an object with a role.
    pub fn new(messages: Vec<Value>) -> Result<Recorded, RecordError> {
        if let Some(index) = messages.iter().position(|m| role(m).is_empty()) {
            return Err(RecordError::NotAMessage { index });
        }
        let facts: Vec<_> = messages.iter().map(|m| Arc::new(Facts::of(m))).collect();
        let head = head_of(&messages);
        let instructions = messages.iter().zip(&facts).take(head).filter(|(m, _)| is_instruction(m));
        let system_tokens = instructions.map(|(_, f)| f.tokens).sum();
        let steps = steps_of(&messages, &facts, head);
        let peak = messages.iter().zip(prefix_sums(&facts)).filter(|(m, _)| role(m) == "assistant");
        Ok(Recorded {
            full_peak: peak.map(|(_, before)| before).max().unwrap_or(0) - system_tokens,
            body_tokens: facts.iter().skip(head).map(|f| f.tokens).sum(),
            known: messages.iter().cloned().zip(facts.iter().map(Arc::clone)).collect(),
            facts,
            head,
            system_tokens,
            steps,
            messages,
        })
    }

    /// Returns the trajectory's messages, as recorded.
    #[must_use]
    pub fn messages(&self) -> &[Value] {
        &self.messages
    }

    /// Returns the last message before a place that holds a value, and its text; the head is not looked at.
    #[must_use]
    pub fn last_with(&self, value: &str, before: usize) -> Option<(usize, &str)> {
        let body = self.facts.get(self.head..before)?.iter().enumerate().rev();
        let mut holding = body.filter(|(_, facts)| contains(facts.flat.as_bytes(), value));
        holding.next().map(|(at, facts)| (self.head + at, facts.flat.as_str()))
    }

    /// Returns the tokens of the largest full context, system prompt apart.
    #[must_use]
    pub fn full_peak(&self) -> i64 {
        self.full_peak
    }

    /// Returns the tokens of all messages after the system prompt and the task.
    #[must_use]
    pub fn body_tokens(&self) -> i64 {
        self.body_tokens
    }
}

/// Returns for each message the tokens of those before it.
fn prefix_sums(facts: &[Arc<Facts>]) -> impl Iterator<Item = i64> {
    facts.iter().scan(0, |sum, f| {
        let before = *sum;
        *sum += f.tokens;
        Some(before)
    })
}

/// Texts of the body so far, a line break between messages.
#[derive(Default)]
struct Body {
    flat: String,
    plain: String,
    said: String,
    /// Where each message starts in `flat`.
    starts: Vec<usize>,
}

impl Body {
    fn push(&mut self, facts: &Facts, role: &str) {
        if !self.starts.is_empty() {
            self.flat.push('\n');
            self.plain.push('\n');
        }
        self.starts.push(self.flat.len());
        self.flat.push_str(&facts.flat);
        self.plain.push_str(&facts.plain);
        if role == "assistant" {
            self.said.push_str(&facts.flat);
            self.said.push('\n');
        }
    }

    fn needed(&self, message: &Value, pinned: &str, last: &[u8]) -> Vec<Needed> {
        let (flat, plain) = (self.flat.as_bytes(), self.plain.as_bytes());
        let values = used_values(message).into_iter();
        let found = values.filter(|v| !contains(pinned.as_bytes(), v) && contains(flat, v));
        found
            .map(|value| {
                let far = !contains(last, &value);
                let first = far && !contains(self.said.as_bytes(), &value);
                let lines = if first { bare_lines(flat, &value) } else { Vec::new() };
                Needed { words: near_words(flat, plain, &value), far, first, lines, value }
            })
            .collect()
    }
}

fn steps_of(messages: &[Value], facts: &[Arc<Facts>], head: usize) -> Vec<Step> {
    let pinned = facts.iter().take(head).map(|f| f.flat.as_str()).collect::<Vec<_>>().join("\n");
    let mut sized = facts.iter().zip(prefix_sums(facts)).enumerate().skip(head);
    let mut body = Body::default();
    let mut steps = Vec::new();
    let mut last_turn = 0;
    // An assistant message always opens a turn, so what stands before it ends with the turn before.
    for turn in turns_of(&messages[head..]) {
        let turn_start = body.starts.len();
        for (message, (at, (facts, tokens_before))) in turn.iter().zip(&mut sized) {
            if role(message) == "assistant" {
                let last = body.flat.as_bytes().get(last_turn..).unwrap_or_default();
                let needed = body.needed(message, &pinned, last);
                steps.push(Step { at, tokens_out: facts.tokens, tokens_before, needed });
            }
            body.push(facts, role(message));
        }
        last_turn = body.starts.get(turn_start).copied().unwrap_or_default();
    }
    steps
}
