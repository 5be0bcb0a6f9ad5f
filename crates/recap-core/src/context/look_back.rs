//! A whole run as a model reads it that looks back on it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::admit::Admitted;
use super::epoch::EpochRecord;
use super::plan::{Cause, Planned, Planner};
use super::request::{ContextRequest, Include};
use super::serve::{From, Layout};
use super::session::Session;
use crate::compress::cut_head_tail;
use crate::trajectory::{AgentKind, Block, Origin, OutFormat, Role, TurnKind};

/// A run in words: nothing that recapd wrote, no reasoning blocks, no pictures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookBack {
    /// The head: what the operator and a person said first.
    pub task: String,
    /// The turns after it, each line group with its turn's number in brackets.
    pub text: String,
    /// The last turn's number.
    pub last_turn: u32,
    /// What tools answered, whole, whether it stands in `text` or not.
    pub observations: Vec<Arc<str>>,
}

/// Share of the tokens that the head may take: one of this many.
const HEAD_SHARE: u32 = 3;

impl Session {
    /// Returns the run in at most about so many tokens; `None` where no model has said anything in it. It stands there turn
    /// by turn if it fits, otherwise as a context of that budget: recaps, then the last turns. Lines of reads are not
    /// touched.
    #[must_use]
    pub fn look_back(&mut self, most_tokens: u32) -> Option<LookBack> {
        let has_acted = self.messages.iter().any(|admitted| admitted.message.role == Role::Assistant);
        if !has_acted {
            return None;
        }
        let head = self.head_text();
        let task = self.cut(head, most_tokens / HEAD_SHARE);
        let left = most_tokens.saturating_sub(self.settings.counter.count(&task));
        let whole = (1..self.turns.len()).map(|turn| self.words_of(turn, None)).collect::<String>();
        let text = if self.settings.counter.count(&whole) <= left {
            whole
        } else {
            let served = self.served_words(most_tokens).unwrap_or(whole);
            self.cut(served, left)
        };
        let last_turn = u32::try_from(self.turns.len().saturating_sub(1)).unwrap_or(u32::MAX);
        Some(LookBack { task, text, last_turn, observations: self.observations() })
    }

    /// The words of a context that is served for this alone, without the head.
    fn served_words(&mut self, budget: u32) -> Option<String> {
        self.prepare(usize::MAX);
        let include = Include { playbook: false, ..Include::default() };
        let request = ContextRequest { budget, reserve: 0, format: OutFormat::Text, query: None, include };
        let Planned { epoch, layout, .. } = Planner::new(self, &request, None).plan(0, Cause::Start).ok()?;
        Some(self.layout_words(&epoch, &layout))
    }

    fn layout_words(&self, epoch: &EpochRecord, layout: &Layout) -> String {
        let mut out = String::new();
        let mut last = 0;
        for item in &layout.items {
            match item.from {
                From::Section(at) => {
                    out.extend(epoch.sections.get(at).map(|section| format!("{}\n", section.text.trim_end())));
                }
                From::Message(turn, _) if turn > last => {
                    last = turn;
                    out.push_str(&self.words_of(turn, Some(epoch)));
                }
                From::Message(..) => {}
            }
        }
        out
    }

    /// A turn's words, with an epoch's shorter texts.
    fn words_of(&self, turn: usize, epoch: Option<&EpochRecord>) -> String {
        let mut out = String::new();
        let start = self.turns.get(turn).map_or(0, |turn| turn.messages.start);
        let numbered = self.turn_messages(turn).iter().enumerate().map(|(n, admitted)| (start + n, admitted));
        for (n, admitted) in numbered.filter(|(_, admitted)| admitted.message.origin == Origin::Agent) {
            let edits = epoch.and_then(|epoch| epoch.edits.get(&n));
            for (at, block) in admitted.message.blocks.iter().enumerate() {
                let Some((label, text)) = self.labelled(turn, admitted, block) else { continue };
                let shorter = edits.and_then(|edits| edits.texts.get(&at)).or(admitted.reformatted_text(at));
                let shown = shorter.unwrap_or(text).trim_end();
                let _infallible = writeln!(out, "[{turn}] {label}: {shown}");
            }
        }
        out
    }

    fn head_text(&self) -> String {
        let agent = self.turn_messages(0).iter().filter(|admitted| admitted.message.origin == Origin::Agent);
        let texts = agent.flat_map(|admitted| &admitted.message.blocks).filter_map(|block| match block {
            Block::Text(text) => Some(text.trim()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n\n")
    }

    fn observations(&self) -> Vec<Arc<str>> {
        let turns = self.turns.iter().enumerate();
        let messages = turns.flat_map(|(turn, _)| self.turn_messages(turn).iter().map(move |message| (turn, message)));
        let found = messages.flat_map(|(turn, admitted)| {
            let blocks = admitted.message.blocks.iter().enumerate();
            blocks.filter_map(move |(at, block)| {
                let is_tools = matches!(block, Block::Observation(_)) || admitted.message.origin == Origin::Agent;
                self.result_in(turn, admitted, at).filter(|_| is_tools).cloned()
            })
        });
        found.collect()
    }

    fn cut(&self, text: String, most_tokens: u32) -> String {
        let counter = &*self.settings.counter;
        if counter.count(&text) <= most_tokens { text } else { cut_head_tail(&text, most_tokens, counter) }
    }

    /// What a block's words are called, and the words; `None` for one that has none.
    pub(super) fn labelled<'a>(
        &self,
        turn: usize,
        admitted: &Admitted,
        block: &'a Block,
    ) -> Option<(String, &'a Arc<str>)> {
        let is_exchange = self.turns.get(turn).is_some_and(|turn| turn.kind == TurnKind::Exchange);
        let is_said = !is_exchange || self.grouping() == AgentKind::Tool;
        Some(match block {
            Block::Text(text) if admitted.message.role == Role::Assistant => ("said".to_owned(), text),
            Block::Text(text) => (if is_said { "user" } else { "result" }.to_owned(), text),
            Block::Call(call) => (format!("called {}", call.name), &call.arguments),
            Block::Observation(observation) => ("result".to_owned(), &observation.text),
            Block::Image(_) | Block::Thinking(_) | Block::Other(_) => return None,
        })
    }
}
