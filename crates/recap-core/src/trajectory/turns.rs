//! Messages to turns.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::actions::carries_action;
use super::message::{Block, Message, Role};

/// How an agent gets its observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentKind {
    /// As results of tool calls; user messages are a human's words. Assumed while undecided.
    Tool,
    /// As user messages that answer an action in the assistant's text.
    Text,
}

/// Tells tool agents from text agents. `None` while fewer than two assistant messages stand after the head:
/// take [`AgentKind::Tool`] until then, unless told otherwise.
///
/// A text agent has no tools and makes no calls; after the head assistant and user alternate strictly; its first two
/// assistant messages carry an action: a fenced command, an `Action:` line or an action tag.
#[must_use]
pub fn detect_agent_kind(messages: &[Message], has_tools: bool) -> Option<AgentKind> {
    let uses_tools = |message: &Message| {
        message.role == Role::Tool || message.calls().next().is_some() || message.observations().next().is_some()
    };
    if has_tools || messages.iter().any(uses_tools) {
        return Some(AgentKind::Tool);
    }
    let head = messages.iter().take_while(|message| message.role != Role::Assistant).count();
    let body = messages.get(head..).unwrap_or_default();
    let alternates = body
        .iter()
        .enumerate()
        .all(|(i, message)| message.role == if i % 2 == 0 { Role::Assistant } else { Role::User });
    let first_two = || body.iter().filter(|message| message.role == Role::Assistant).take(2);
    if !alternates || !first_two().all(carries_action) {
        return Some(AgentKind::Tool);
    }
    first_two().nth(1).map(|_| AgentKind::Text)
}

/// What a turn is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnKind {
    /// The leading system messages and the task; always turn 0, may be empty.
    Head,
    /// An assistant message with all its results (for a text agent: the user messages that answer it).
    Exchange,
    /// A human's message, or an operator's in mid-conversation; each is its own turn.
    Said,
}

/// Messages that stay together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// What the turn is.
    pub kind: TurnKind,
    /// Its messages' places in the trajectory.
    pub messages: Range<usize>,
}

/// A result whose call is not in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphan {
    /// The message's place in the trajectory.
    pub message: usize,
    /// The block's place in the message.
    pub block: usize,
}

impl Turn {
    /// Returns the ids of calls that have no result in this turn, in order; an id that repeats stands once
    /// for each call without a result. `messages` is the whole trajectory.
    #[must_use]
    pub fn open_calls(&self, messages: &[Message]) -> Vec<Arc<str>> {
        self.pair(messages).0
    }

    /// Returns the results that answer no call of this turn. `messages` is the whole trajectory.
    #[must_use]
    pub fn orphans(&self, messages: &[Message]) -> Vec<Orphan> {
        self.pair(messages).1
    }

    /// Pairs results with calls in order, each call once.
    fn pair(&self, messages: &[Message]) -> (Vec<Arc<str>>, Vec<Orphan>) {
        let (mut calls, mut answered) = (Vec::<Arc<str>>::new(), HashMap::<Arc<str>, usize>::new());
        let (mut open, mut orphans) = (HashMap::<Arc<str>, usize>::new(), Vec::new());
        for (i, message) in self.messages.clone().zip(messages.get(self.messages.clone()).unwrap_or_default()) {
            for (j, block) in message.blocks.iter().enumerate() {
                match block {
                    Block::Call(call) => {
                        calls.push(call.id.clone());
                        *open.entry(call.id.clone()).or_default() += 1;
                    }
                    Block::Observation(observation) => match open.get_mut(&observation.call_id) {
                        Some(left) if *left > 0 => {
                            *left -= 1;
                            *answered.entry(observation.call_id.clone()).or_default() += 1;
                        }
                        _ => orphans.push(Orphan { message: i, block: j }),
                    },
                    _ => {}
                }
            }
        }
        calls.retain(|id| match answered.get_mut(id) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        });
        (calls, orphans)
    }
}

/// Groups messages into turns as they come.
#[derive(Debug, Clone)]
pub struct TurnBuilder {
    kind: AgentKind,
    turns: Vec<Turn>,
    head_open: bool,
    length: usize,
}

impl TurnBuilder {
    /// Starts with an empty head.
    #[must_use]
    pub fn new(kind: AgentKind) -> Self {
        Self { kind, turns: vec![Turn { kind: TurnKind::Head, messages: 0..0 }], head_open: true, length: 0 }
    }

    /// Takes the next message.
    pub fn push(&mut self, message: &Message) {
        let at = self.length;
        self.length += 1;
        let answers = message.role == Role::Tool || message.observations().next().is_some();
        if self.head_open && !answers && message.role != Role::Assistant {
            self.head_open = message.role != Role::User;
            return self.extend(at);
        }
        self.head_open = false;
        let in_exchange = self.turns.last().is_some_and(|turn| turn.kind == TurnKind::Exchange);
        let observes = answers || (self.kind == AgentKind::Text && message.role == Role::User);
        match message.role {
            Role::Assistant => self.open(TurnKind::Exchange, at),
            _ if observes && in_exchange => self.extend(at),
            _ if answers => self.open(TurnKind::Exchange, at),
            _ => self.open(TurnKind::Said, at),
        }
    }

    /// Returns the turns so far; the last may still grow.
    #[must_use]
    pub fn turns(&self) -> &[Turn] {
        &self.turns
    }

    fn extend(&mut self, at: usize) {
        if let Some(turn) = self.turns.last_mut() {
            turn.messages.end = at + 1;
        }
    }

    fn open(&mut self, kind: TurnKind, at: usize) {
        self.turns.push(Turn { kind, messages: at..at + 1 });
    }
}

/// Groups a whole trajectory: turn 0 is the head, the turns cover every message in order.
///
/// A result without an exchange before it (the log was cut, or a human spoke in between) opens an exchange
/// of its own, in which it is an orphan.
#[must_use]
pub fn group_turns(messages: &[Message], kind: AgentKind) -> Vec<Turn> {
    let mut builder = TurnBuilder::new(kind);
    for message in messages {
        builder.push(message);
    }
    builder.turns
}
