//! The account of one read: pieces, omissions, tokens by source, what the provider's cache can reuse.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::epoch::{Cut, EpochRecord, Section};
use super::made::Maker;
use super::recap::Handles;
use super::receipt::{NextReceipt, Omitted, Piece, PieceKind, PrefixReceipt, Receipt, Repaired, TokenReceipt};
use super::request::ContextRequest;
use super::serve::{From, Item, Layout, Shown};
use super::session::{Session, is_system};
use super::settings::HistoryBy;
use crate::tokens::REPLY_TOKENS;
use crate::trajectory::{AgentKind, OutFormat, Rendered, RepairKind};

/// The compressor that writes everything here, with its version.
pub const RULES: &str = concat!("rules:", env!("CARGO_PKG_VERSION"));
/// Ranges of omitted turns that a receipt lists at most.
const MOST_OMITTED: usize = 64;

/// Accounts for a rendered layout.
#[must_use]
pub fn account(
    session: &Session,
    epoch: &EpochRecord,
    layout: &Layout,
    request: &ContextRequest,
    rendered: &Rendered,
    (before, shown): (&Shown, &Shown),
) -> Receipt {
    Receipt {
        epoch: epoch.n,
        length: session.length(),
        agent_kind: session.agent_kind().map(|kind| match kind {
            AgentKind::Tool => "tool".to_owned(),
            AgentKind::Text => "text".to_owned(),
        }),
        tokens: tokens(session, epoch, layout, request),
        prefix: prefix(before, shown),
        next: next(session, epoch, layout, request),
        pieces: pieces(session, epoch, layout, rendered),
        omitted: omitted(session, epoch, layout),
        repaired: repaired(layout, rendered),
        warnings: warnings(session, epoch, layout),
    }
}

fn warnings(session: &Session, epoch: &EpochRecord, layout: &Layout) -> Vec<String> {
    let prepares = session.settings.prepares;
    // ACON measured that both together cost success (docs/compressors.md)
    let both = prepares.observations && prepares.history != HistoryBy::Rules;
    let failed = prepares.history != HistoryBy::Rules && session.made.failed_up_to(epoch.covered);
    let codes = [(layout.open, "open_turn"), (failed, "model_failed"), (both, "observation_and_history_compressed")];
    codes.into_iter().filter(|(holds, _)| *holds).map(|(_, code)| code.to_owned()).collect()
}

fn tokens(session: &Session, epoch: &EpochRecord, layout: &Layout, request: &ContextRequest) -> TokenReceipt {
    let settings = &session.settings;
    let mut by_source: BTreeMap<String, u32> =
        ["system", "tools", "playbook", "pinned", "facts", "recap", "recalled", "recent"]
            .into_iter()
            .map(|source| (source.to_owned(), 0))
            .collect();
    let mut add = |source: &str, tokens: u32| *by_source.entry(source.to_owned()).or_default() += tokens;
    add("tools", settings.tools_tokens);
    for item in &layout.items {
        add(source_of(session, epoch, item), item.tokens);
    }
    let counted: u32 = layout.items.iter().map(|item| item.tokens).sum::<u32>() + settings.tools_tokens;
    add("framing", layout.total.saturating_sub(counted).max(REPLY_TOKENS));
    TokenReceipt {
        total: layout.total,
        budget: request.budget,
        reserve: request.reserve,
        counter: settings.counter.name().to_owned(),
        exact: settings.counter.exact(),
        stated_error: settings.counter.stated_error(),
        unknown_images: layout
            .items
            .iter()
            .filter_map(|item| match item.from {
                From::Message(_, at) => session.messages.get(at),
                From::Section(_) => None,
            })
            .map(|admitted| admitted.unknown_images)
            .sum(),
        full: u32::try_from(session.full_tokens()).unwrap_or(u32::MAX),
        by_source,
    }
}

fn source_of(session: &Session, epoch: &EpochRecord, item: &Item) -> &'static str {
    match item.from {
        From::Section(at) => match epoch.sections.get(at).map(|section| section.kind) {
            Some(PieceKind::Playbook) => "playbook",
            Some(PieceKind::Facts) => "facts",
            Some(PieceKind::Recalled) => "recalled",
            Some(PieceKind::Pinned) => "pinned",
            _ => "recap",
        },
        From::Message(0, at) if session.messages.get(at).is_some_and(|admitted| is_system(&admitted.message)) => {
            "system"
        }
        From::Message(0, _) => "pinned",
        From::Message(..) => "recent",
    }
}

fn prefix(before: &Shown, shown: &Shown) -> PrefixReceipt {
    let same = before.items.iter().zip(&shown.items).take_while(|(old, new)| old.0 == new.0).count();
    let sum = |items: &[(u64, u32)]| items.iter().map(|item| item.1).sum::<u32>();
    let stable_tokens = sum(shown.items.get(..same).unwrap_or_default());
    let changed = same < before.items.len();
    let after = shown.items.get(same..).unwrap_or_default();
    // what stood before and stands again after the change is read again too
    let recache_tokens = if changed { sum(after) } else { 0 };
    PrefixReceipt { stable_tokens, changed, recache_tokens }
}

fn next(session: &Session, epoch: &EpochRecord, layout: &Layout, request: &ContextRequest) -> NextReceipt {
    let free = request.limit().saturating_sub(layout.total);
    let room = epoch.room.max(1);
    let fill = (1.0 - f64::from(free) / f64::from(room)).clamp(0.0, 1.0);
    let compaction = if fill < session.settings.marks.soft {
        "idle"
    } else if session.awaits_models_in(epoch.room) {
        "preparing"
    } else {
        "ready"
    };
    NextReceipt { fill: (fill * 1000.0).round() / 1000.0, compaction: compaction.to_owned() }
}

fn pieces(session: &Session, epoch: &EpochRecord, layout: &Layout, rendered: &Rendered) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut last_turn = None;
    for (at, item) in layout.items.iter().enumerate() {
        let index = rendered.item_index.get(at).map_or(0, |range| range.start);
        match item.from {
            From::Section(section) => {
                last_turn = None;
                pieces.extend(epoch.sections.get(section).map(|section| section_piece(session, section, index)));
            }
            From::Message(turn, message) => {
                let mut piece = message_piece(session, epoch, turn, message, item.tokens, index);
                match (last_turn == Some(turn)).then(|| pieces.last_mut()).flatten() {
                    Some(piece_before) => extend_piece(piece_before, &mut piece),
                    None => pieces.push(piece),
                }
                last_turn = Some(turn);
            }
        }
    }
    pieces
}

fn section_piece(session: &Session, section: &Section, index: usize) -> Piece {
    Piece {
        index,
        kind: section.kind,
        turns: section.turns.to_vec(),
        originals: section.originals.clone(),
        tokens: section.tokens,
        full_tokens: section.full_tokens,
        playbook: section.playbook.as_ref().map(|from| format!("{}@{}", from.name, from.version)),
        facts_appended: section.by.as_ref().filter(|_| steered(section)).map(|by| by.facts_appended),
        bullets: section.bullets.clone(),
        ..maker_of(section.by.as_ref(), session.settings.guideline.as_ref().filter(|_| steered(section)))
    }
}

/// Whether a guideline has a say in a section: a playbook's excerpt is chosen without one.
fn steered(section: &Section) -> bool {
    section.kind != PieceKind::Playbook
}

/// A piece that tells nothing but who wrote it.
fn maker_of(by: Option<&Maker>, guideline: Option<&String>) -> Piece {
    let model = by.map(|by| format!("{}+{RULES}", by.compressor));
    Piece {
        index: 0,
        kind: PieceKind::Verbatim,
        turns: Vec::new(),
        originals: Vec::new(),
        tokens: 0,
        full_tokens: 0,
        compressor: Some(model.unwrap_or_else(|| RULES.to_owned())),
        guideline: by.and_then(|by| by.guideline.as_ref()).or(guideline).cloned(),
        facts_appended: by.map(|by| by.facts_appended),
        rejected: by.map(|by| by.rejected.clone()).unwrap_or_default(),
        playbook: None,
        bullets: Vec::new(),
    }
}

fn message_piece(session: &Session, epoch: &EpochRecord, turn: usize, at: usize, tokens: u32, index: usize) -> Piece {
    let admitted = session.messages.get(at);
    let edited = epoch.edits.get(&at);
    let reformatted = admitted.is_some_and(|admitted| admitted.reformatted.is_some());
    let by = edited.and_then(|edited| edited.by.as_ref());
    let maker = maker_of(by, edited.and(session.settings.observation_guideline.as_ref()));
    Piece {
        index,
        kind: if edited.is_some() { PieceKind::Observation } else { PieceKind::Verbatim },
        turns: vec![u32::try_from(turn).unwrap_or(u32::MAX)],
        originals: admitted.map(|admitted| admitted.originals.to_vec()).unwrap_or_default(),
        tokens,
        full_tokens: admitted.map_or(0, |admitted| admitted.tokens),
        compressor: maker.compressor.filter(|_| edited.is_some() || reformatted),
        ..maker
    }
}

/// Joins the next message of a turn to its piece. What was shortened names its maker; before it, what was reformatted.
fn extend_piece(piece: &mut Piece, next: &mut Piece) {
    piece.originals.append(&mut next.originals);
    piece.tokens += next.tokens;
    piece.full_tokens += next.full_tokens;
    piece.rejected.append(&mut next.rejected);
    piece.facts_appended = piece.facts_appended.or(next.facts_appended);
    let shortens = next.kind == PieceKind::Observation && piece.kind != PieceKind::Observation;
    if shortens {
        piece.kind = next.kind;
    }
    if shortens || piece.compressor.is_none() {
        piece.compressor = next.compressor.take();
        piece.guideline = next.guideline.take();
    }
}

/// Turns of which something is left out: adjacent ones as one range; the smallest ranges are joined to their
/// neighbours where there are too many.
fn omitted(session: &Session, epoch: &EpochRecord, layout: &Layout) -> Vec<Omitted> {
    let mut found: Vec<Omitted> = Vec::new();
    let cuts: Vec<&Cut> = epoch.sections.iter().flat_map(|section| &section.cuts).collect();
    let each = cuts.len().div_ceil(MOST_OMITTED).max(1);
    for group in cuts.chunks(each) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let most = group.iter().max_by_key(|cut| cut.tokens);
        found.push(Omitted {
            turns: [first.turn, last.turn],
            tokens: group.iter().map(|cut| cut.tokens).sum(),
            why: "budget".to_owned(),
            expand: most.and_then(|cut| cut.expand).filter(|_| session.settings.handles == Handles::Shown),
        });
    }
    found.extend(epoch.edits.iter().filter_map(|(at, edited)| edited_omission(session, *at, edited.tokens)));
    let told = |section: &Section| section.kind == PieceKind::Recap;
    if epoch.covered > 0 && !epoch.sections.iter().any(told) {
        found.push(Omitted {
            turns: [1, epoch.covered],
            tokens: session.full_tokens_of(1, epoch.covered as usize),
            why: "budget".to_owned(),
            expand: None,
        });
    }
    if layout.open {
        let turn = u32::try_from(layout.last + 1).unwrap_or(u32::MAX);
        let tokens = session.full_tokens_of(layout.last + 1, layout.last + 1);
        found.push(Omitted { turns: [turn, turn], tokens, why: "open_turn".to_owned(), expand: None });
    }
    found
}

fn edited_omission(session: &Session, at: usize, tokens: u32) -> Option<Omitted> {
    let admitted = session.messages.get(at)?;
    let turn = session.turns.iter().rposition(|turn| turn.messages.contains(&at))?;
    let turn = u32::try_from(turn).unwrap_or(u32::MAX);
    let longest = admitted.message.originals().zip(&*admitted.originals).max_by_key(|(text, _)| text.len());
    Some(Omitted {
        turns: [turn, turn],
        tokens: admitted.tokens.saturating_sub(tokens),
        why: "budget".to_owned(),
        expand: longest.map(|(_, hash)| *hash).filter(|_| session.settings.handles == Handles::Shown),
    })
}

fn repaired(layout: &Layout, rendered: &Rendered) -> Vec<Repaired> {
    rendered
        .repairs
        .iter()
        .map(|repair| {
            let turn = match layout.items.get(repair.item).map(|item| item.from) {
                Some(From::Message(turn, _)) => u32::try_from(turn).unwrap_or(u32::MAX),
                _ => 0,
            };
            Repaired { turn, what: describe(&repair.kind) }
        })
        .collect()
}

fn describe(kind: &RepairKind) -> String {
    match kind {
        RepairKind::MissingResult { call_id } => {
            format!("call {call_id} had no result: a marker stands in its place")
        }
        RepairKind::Orphan { call_id } => {
            format!("result for {call_id} answers no call of its turn: left out")
        }
        RepairKind::Renamed { from, to } => {
            format!("call id {from} is not one that the provider takes here: {to}")
        }
        RepairKind::Empty => "an empty message was filled".to_owned(),
        RepairKind::Started => "a user message was put first".to_owned(),
        RepairKind::LeftOut { part } => {
            format!("a part of type {part} cannot be carried in this format")
        }
    }
}

/// Returns the schema of the tool that reads originals, in the provider's form.
#[must_use]
pub fn expand_tool(format: OutFormat) -> Value {
    let name = "recapd_expand";
    let description = "Reads a text that was cut from the history. Give the handle that stands where it was cut: t and the turn's number, or a b3 address.";
    let schema = json!({
        "type": "object",
        "properties": {
            "handle": {"type": "string", "description": "The handle, for example t12 or b3:1a2b3c4d"},
            "range": {"type": "string", "description": "Lines to read, for example 1-80; all if absent"}
        },
        "required": ["handle"],
        "additionalProperties": false
    });
    match format {
        OutFormat::Anthropic => {
            json!({"name": name, "description": description, "input_schema": schema})
        }
        OutFormat::Responses => {
            json!({"type": "function", "name": name, "description": description, "parameters": schema})
        }
        OutFormat::OpenAi | OutFormat::Text => {
            json!({"type": "function", "function": {"name": name, "description": description, "parameters": schema}})
        }
    }
}
