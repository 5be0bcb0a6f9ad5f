//! A message with its edits.

use std::sync::Arc;

use super::Edits;
use crate::trajectory::message::{Block, Message};
use crate::trajectory::parse::{Slot, slots};

/// A message that is to be rendered, and its place in the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) item: usize,
    pub(super) message: &'a Message,
    pub(super) edits: Option<&'a Edits>,
}

impl<'a> Source<'a> {
    pub(super) fn block(&self, i: usize) -> Option<&'a Block> {
        self.message.blocks.get(i)
    }

    /// Returns the words of a text block, a call's arguments or a result, edited or as sent.
    pub(super) fn words(&self, i: usize) -> Arc<str> {
        if let Some(text) = self.edit(i) {
            return text.clone();
        }
        match self.block(i) {
            Some(Block::Text(text)) => text.clone(),
            Some(Block::Call(call)) => call.arguments.clone(),
            Some(Block::Observation(observation)) => observation.text.clone(),
            _ => Arc::from(""),
        }
    }

    pub(super) fn edit(&self, i: usize) -> Option<&'a Arc<str>> {
        self.edits.and_then(|edits| edits.texts.get(&i))
    }

    pub(super) fn edited(&self) -> bool {
        self.edits.is_some_and(|edits| !edits.texts.is_empty())
    }

    pub(super) fn strips_thinking(&self) -> bool {
        self.edits.is_some_and(|edits| edits.strip_thinking)
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        slots(self.message)
    }

    /// Returns the texts among the given blocks, joined with line feeds.
    pub(super) fn joined_texts(&self, blocks: &[usize]) -> String {
        let texts: Vec<Arc<str>> = blocks.iter().filter(|i| self.is_text(**i)).map(|i| self.words(*i)).collect();
        texts.join("\n")
    }

    pub(super) fn is_text(&self, i: usize) -> bool {
        matches!(self.block(i), Some(Block::Text(_)))
    }

    /// Returns the indexes of all blocks.
    pub(super) fn all(&self) -> Vec<usize> {
        (0..self.message.blocks.len()).collect()
    }
}
