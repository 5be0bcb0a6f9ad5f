//! A read: what stands where, rendered, with its receipt.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHasher;
use serde_json::Value;

use super::account::{account, expand_tool};
use super::epoch::{EditedMessage, EpochRecord, Section};
use super::receipt::Receipt;
use super::request::ContextRequest;
use super::session::{Session, is_system};
use super::worth::HeadWord;
use crate::tokens::{MESSAGE_TOKENS, REPLY_TOKENS};
use crate::trajectory::{
    Block, Edits, MISSING_RESULT, Message, OutFormat, RenderItem, Rendered, Role, WireFormat, count_rendered,
    render_sequence,
};

/// A served context.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// The messages' JSON texts; empty for [`OutFormat::Text`].
    pub messages: Vec<String>,
    /// Anthropic's `system`, as JSON.
    pub system: Option<String>,
    /// The transcript, for [`OutFormat::Text`].
    pub text: Option<String>,
    /// The account.
    pub receipt: Receipt,
    /// A tool schema for reading originals; present where something was cut.
    pub expand_tool: Option<Value>,
    /// The epoch that this read began; to be stored before the answer goes out.
    pub new_epoch: Option<EpochRecord>,
    /// Whether a trained head had a word on the new epoch; `None` where none was to be asked, or there are no values.
    pub head_word: Option<HeadWord>,
}

impl Served {
    /// Tells whether this read began an epoch in which not all is served as it was sent.
    #[must_use]
    pub fn is_shortened(&self) -> bool {
        self.new_epoch.as_ref().is_some_and(|epoch| epoch.covered > 0 || !epoch.edits.is_empty())
    }
}

/// What was served last on a line: the identity and tokens of each item.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    pub(super) items: Vec<(u64, u32)>,
}

/// One item of a context, with its tokens.
pub struct Item {
    /// Where it comes from.
    pub from: From,
    /// Its tokens as served, framing included.
    pub tokens: u32,
}

/// Where an item comes from.
#[derive(Clone, Copy)]
pub enum From {
    /// A message: its turn and its place in the trajectory.
    Message(usize, usize),
    /// A section of the block.
    Section(usize),
}

/// What stands in a context, counted and found to fit.
pub struct Layout {
    /// The items in order.
    pub items: Vec<Item>,
    /// Tokens of all of it, tools and reply priming included.
    pub total: u32,
    /// The last turn served.
    pub last: usize,
    /// Whether a turn was left out because its results have not all come.
    pub open: bool,
}

impl Layout {
    /// Lays out the context of an epoch as the trajectory stands; `None` if it does not fit the request.
    #[must_use]
    pub fn within(session: &Session, epoch: &EpochRecord, request: &ContextRequest) -> Option<Self> {
        let layout = Self::of(session, epoch, request);
        (layout.total <= request.limit()).then_some(layout)
    }

    /// Lays out the context of an epoch as the trajectory stands, whether it fits or not.
    #[must_use]
    pub fn of(session: &Session, epoch: &EpochRecord, request: &ContextRequest) -> Self {
        let (last, open) = session.last_servable();
        let mut items = Vec::new();
        push_turn(session, epoch, 0, &mut items);
        items.extend(
            epoch
                .sections
                .iter()
                .enumerate()
                .map(|(at, section)| Item { from: From::Section(at), tokens: section.tokens }),
        );
        for turn in (epoch.covered as usize + 1)..=last {
            push_turn(session, epoch, turn, &mut items);
        }
        let fixed = session.settings.tools_tokens + REPLY_TOKENS;
        let mut layout = Self { total: fixed + items.iter().map(|item| item.tokens).sum::<u32>(), items, last, open };
        if adds(session, &layout.items, request.format) {
            // the greater one, so that the parts in the receipt add up to the total
            let counted = layout.recount(session, epoch, request.format);
            layout.total = layout.total.max(fixed + counted);
        }
        layout
    }

    /// Counts the rendered list itself, where rendering changes more than it keeps.
    fn recount(&self, session: &Session, epoch: &EpochRecord, format: OutFormat) -> u32 {
        let rendered = self.render(session, epoch, format);
        count_rendered(&rendered, format, &*session.settings.counter).total().tokens
    }

    /// Renders the items for a provider.
    #[must_use]
    pub fn render(&self, session: &Session, epoch: &EpochRecord, format: OutFormat) -> Rendered {
        let edits: Vec<Option<Edits>> = self.items.iter().map(|item| item_edits(session, epoch, item.from)).collect();
        let items: Vec<RenderItem<'_>> = self
            .items
            .iter()
            .zip(&edits)
            .filter_map(|(item, edits)| match item.from {
                From::Message(_, at) => session.messages.get(at).map(|admitted| RenderItem::Message {
                    message: &admitted.message,
                    edits: edits.as_ref().or(admitted.reformatted.as_ref()),
                }),
                From::Section(at) => epoch.sections.get(at).map(|section| RenderItem::Synthetic(&section.text)),
            })
            .collect();
        render_sequence(&items, format)
    }

    /// The identity of every item, by which prefixes are compared.
    pub(super) fn shown(&self, session: &Session, epoch: &EpochRecord) -> Shown {
        let items = self.items.iter().map(|item| (identity(session, epoch, item.from), item.tokens)).collect();
        Shown { items }
    }
}

/// Whether rendering in this format writes more than the messages hold: their own format's words for another's, tags
/// around an operator's later words, something where a message is empty or where the user must come first.
fn adds(session: &Session, items: &[Item], format: OutFormat) -> bool {
    let mut heard = false;
    items.iter().any(|item| {
        let From::Message(turn, at) = item.from else {
            heard = true;
            return false;
        };
        let Some(admitted) = session.messages.get(at) else { return false };
        let message = &admitted.message;
        let later_operator = turn > 0 && is_system(message);
        let opens = !heard && message.role == Role::Assistant;
        heard |= !is_system(message);
        match (message.format, format) {
            (WireFormat::OpenAi, OutFormat::OpenAi) => false,
            (WireFormat::Anthropic, OutFormat::Anthropic) => later_operator || opens || is_blank(message),
            _ => true,
        }
    })
}

/// Whether nothing in a message can be seen.
fn is_blank(message: &Message) -> bool {
    message.blocks.iter().all(|block| match block {
        Block::Text(text) => text.trim().is_empty(),
        Block::Observation(observation) => observation.text.trim().is_empty(),
        Block::Thinking(_) => true,
        _ => false,
    })
}

fn push_turn(session: &Session, epoch: &EpochRecord, turn: usize, items: &mut Vec<Item>) {
    let start = session.turns.get(turn).map_or(0, |turn| turn.messages.start);
    let missing = session.missing_results(turn);
    let marker = if missing > 0 { session.settings.counter.count(MISSING_RESULT) + MESSAGE_TOKENS + 1 } else { 0 };
    for (offset, admitted) in session.turn_messages(turn).iter().enumerate() {
        let at = start + offset;
        let own = epoch.edits.get(&at).map_or(admitted.served_tokens, |edited| edited.tokens);
        let tokens = if offset == 0 { own + missing * marker } else { own };
        items.push(Item { from: From::Message(turn, at), tokens });
    }
}

/// What is changed in a message beside its lossless form: the epoch's edits, and reasoning blocks from before the
/// epoch, whose signatures no longer hold (they are the provider's, for a prefix that has changed).
fn item_edits(session: &Session, epoch: &EpochRecord, from: From) -> Option<Edits> {
    let From::Message(turn, at) = from else {
        return None;
    };
    let edited = epoch.edits.get(&at);
    let thinks = strips_thinking(session, epoch, turn, at);
    if edited.is_none() && !thinks {
        return None;
    }
    let mut edits = session.messages.get(at).and_then(|admitted| admitted.reformatted.clone()).unwrap_or_default();
    edits.strip_thinking = thinks;
    if let Some(EditedMessage { texts, .. }) = edited {
        edits.texts.extend(texts.iter().map(|(block, text)| (*block, Arc::clone(text))));
    }
    Some(edits)
}

/// Whether a message loses reasoning blocks: those from before an epoch that changed what stood before them.
fn strips_thinking(session: &Session, epoch: &EpochRecord, turn: usize, at: usize) -> bool {
    let before = epoch.covered > 0 && turn > 0 && turn < epoch.began_at as usize;
    before && session.messages.get(at).is_some_and(|admitted| admitted.message.thinks())
}

fn identity(session: &Session, epoch: &EpochRecord, from: From) -> u64 {
    let mut hasher = FxHasher::default();
    match from {
        From::Message(turn, at) => {
            at.hash(&mut hasher);
            strips_thinking(session, epoch, turn, at).hash(&mut hasher);
            if let Some(edited) = epoch.edits.get(&at) {
                edited.texts.hash(&mut hasher);
            }
        }
        From::Section(at) => epoch.sections.get(at).map(|section: &Section| &section.text).hash(&mut hasher),
    }
    hasher.finish()
}

/// Renders a layout and accounts for it.
#[must_use]
pub fn render(
    session: &Session,
    epoch: &EpochRecord,
    layout: &Layout,
    request: &ContextRequest,
    before: &Shown,
) -> (Served, Shown) {
    let rendered = layout.render(session, epoch, request.format);
    let shown = layout.shown(session, epoch);
    let receipt = account(session, epoch, layout, request, &rendered, (before, &shown));
    let expand_tool = (!receipt.omitted.is_empty()).then(|| expand_tool(request.format));
    let (messages, text) = match request.format {
        OutFormat::Text => (Vec::new(), Some(rendered.messages.join("\n\n"))),
        _ => (rendered.messages, None),
    };
    (Served { messages, system: rendered.system, text, receipt, expand_tool, new_epoch: None, head_word: None }, shown)
}
