//! From items to steps: each call directly followed by its result, whatever the log looks like.

use std::collections::{HashMap, HashSet};

use super::source::Source;
use super::{OutFormat, RenderItem, Repair, RepairKind};
use crate::trajectory::message::{Block, Role};
use crate::trajectory::parse::Slot;

/// Whether results are held against calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairing {
    /// Missing results get a marker, orphans are dropped.
    Repair,
    /// Everything stays.
    Trust,
}

/// A call and the id under which it is rendered.
#[derive(Debug, Clone)]
pub(super) struct PlannedCall {
    pub(super) block: usize,
    pub(super) id: String,
}

/// One thing to write.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// A system, developer or user message, or what is left of one that holds results.
    Said { source: Source<'a>, blocks: Vec<usize> },
    /// A user message made here.
    Synthetic { item: usize, text: &'a str },
    /// An assistant message.
    Assistant { source: Source<'a>, calls: Vec<PlannedCall> },
    /// A call's result.
    Result { source: Source<'a>, block: usize, id: String },
    /// The marker for a result that never came; part of the turn's last item.
    Missing { item: usize, id: String },
}

/// Orders the items' parts for a provider and names the repairs.
pub(super) fn plan<'a>(items: &[RenderItem<'a>], format: OutFormat, pairing: Pairing) -> (Vec<Step<'a>>, Vec<Repair>) {
    let mut planner = Planner {
        format,
        pairing,
        steps: Vec::new(),
        repairs: Vec::new(),
        open: Vec::new(),
        extras: Vec::new(),
        last_item: 0,
        ids: Ids::default(),
    };
    for (item, render) in items.iter().enumerate() {
        match *render {
            RenderItem::Message { message, edits } => planner.take(Source { item, message, edits }),
            RenderItem::Synthetic(text) => {
                planner.close();
                planner.steps.push(Step::Synthetic { item, text });
            }
        }
    }
    planner.close();
    (planner.steps, planner.repairs)
}

/// A call that waits for its result.
struct OpenCall {
    sent: String,
    id: String,
}

struct Planner<'a> {
    format: OutFormat,
    pairing: Pairing,
    steps: Vec<Step<'a>>,
    repairs: Vec<Repair>,
    open: Vec<OpenCall>,
    /// What else stands in messages with results; it comes after all results of the turn.
    extras: Vec<Step<'a>>,
    last_item: usize,
    ids: Ids,
}

impl<'a> Planner<'a> {
    fn take(&mut self, source: Source<'a>) {
        let answers = source.message.observations().next().is_some();
        match source.message.role {
            Role::Assistant => {
                self.close();
                self.assistant(source);
            }
            _ if answers => self.results(source),
            _ => {
                self.close();
                let blocks = sayable(&source, |_| true);
                self.steps.push(Step::Said { source, blocks });
            }
        }
    }

    fn assistant(&mut self, source: Source<'a>) {
        if self.format == OutFormat::OpenAi {
            self.ids = Ids::default();
        }
        let mut calls = Vec::new();
        for (block, call) in source.message.blocks.iter().enumerate() {
            let Block::Call(call) = call else { continue };
            let id = self.ids.name(&call.id, self.format);
            if id != *call.id {
                self.repair(source.item, RepairKind::Renamed { from: call.id.to_string(), to: id.clone() });
            }
            self.open.push(OpenCall { sent: call.id.to_string(), id: id.clone() });
            calls.push(PlannedCall { block, id });
        }
        self.last_item = source.item;
        self.steps.push(Step::Assistant { source, calls });
    }

    fn results(&mut self, source: Source<'a>) {
        for (block, observation) in source.message.blocks.iter().enumerate() {
            let Block::Observation(observation) = observation else {
                continue;
            };
            let call = self.open.iter().position(|call| *call.sent == *observation.call_id);
            let id = match (call, self.pairing) {
                (Some(place), _) => self.open.remove(place).id,
                (None, Pairing::Trust) => observation.call_id.to_string(),
                (None, Pairing::Repair) => {
                    self.repair(source.item, RepairKind::Orphan { call_id: observation.call_id.to_string() });
                    continue;
                }
            };
            self.last_item = source.item;
            self.steps.push(Step::Result { source, block, id });
        }
        if source.message.role != Role::Tool {
            let slots = source.slots();
            let blocks = sayable(&source, |i| slots.get(i) != Some(&Slot::Inside));
            if !blocks.is_empty() {
                self.extras.push(Step::Said { source, blocks });
            }
        }
    }

    /// Ends a turn: markers for what never came, then what else was said.
    fn close(&mut self) {
        let item = self.last_item;
        for call in std::mem::take(&mut self.open) {
            if self.pairing == Pairing::Repair {
                self.repair(item, RepairKind::MissingResult { call_id: call.id.clone() });
                self.steps.push(Step::Missing { item, id: call.id });
            }
        }
        self.steps.append(&mut self.extras);
    }

    fn repair(&mut self, item: usize, kind: RepairKind) {
        self.repairs.push(Repair { item, kind });
    }
}

/// Returns the blocks that a system, developer or user message may hold.
fn sayable(source: &Source<'_>, outside: impl Fn(usize) -> bool) -> Vec<usize> {
    let sayable = |block: &Block| matches!(block, Block::Text(_) | Block::Image(_) | Block::Other(_));
    let blocks = source.message.blocks.iter().enumerate();
    blocks.filter(|(i, block)| sayable(block) && outside(*i)).map(|(i, _)| i).collect()
}

/// The ids that were given: unique within a message for OpenAI, within the list for the others.
#[derive(Default)]
struct Ids {
    given: HashSet<String>,
    seen: HashMap<String, usize>,
}

impl Ids {
    fn name(&mut self, sent: &str, format: OutFormat) -> String {
        let base = match format {
            OutFormat::Anthropic => plain_id(sent),
            _ if sent.is_empty() => "call".to_owned(),
            _ => sent.to_owned(),
        };
        let count = self.seen.entry(base.clone()).or_default();
        loop {
            *count += 1;
            let id = if *count == 1 { base.clone() } else { format!("{base}_{count}") };
            if self.given.insert(id.clone()) {
                return id;
            }
        }
    }
}

/// Returns an id of the characters that Anthropic takes (`[A-Za-z0-9_-]+`).
fn plain_id(sent: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }
    };
    let id: String = sent.chars().map(plain).collect();
    if id.is_empty() { "call".to_owned() } else { id }
}
