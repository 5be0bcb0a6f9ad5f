//! A section's text: a frame, one heading a turn, its chosen lines, markers where lines are cut, and at the end
//! errors met and what was left open.

use std::fmt::Write as _;
use std::ops::Range;

use super::Handles;
use super::draft::Draft;
use crate::compress::UnitRole;
use crate::context::digest::TurnDigest;
use crate::context::made::Told;
use crate::trajectory::{SERVED_BLOCK_OPEN, TurnKind};

/// A turn that lost fewer tokens than this is not worth a marker; from the second on it says how much.
const LEAST_CUT: u32 = 16;
const LARGE_CUT: u32 = 200;
/// Turns with errors that the closing names at most.
const MOST_ERRORS: usize = 8;
/// Newest turns that are searched for an open thread, and the longest one that is quoted, in bytes.
const OPEN_TURNS: usize = 3;
const OPEN_BYTES: usize = 240;

/// What stands around a section's turns.
#[derive(Clone, Copy)]
pub struct Frame {
    /// Whether this is the block's first section, which says how to read it.
    pub legend: bool,
    /// Whether this is the block's last section.
    pub closing: bool,
    /// Whether what is cut can be read back.
    pub handles: Handles,
}

/// What the first section begins with.
const LEGEND: &str = "Earlier turns of this conversation, shortened to their main lines, word for word.";

/// Returns what a section says of its turns: its text without the frame and the words on how to read it.
#[must_use]
pub fn said_in(section: &str) -> &str {
    let body = section.trim_end().strip_suffix("</recapd_context>").unwrap_or(section);
    let body =
        if body.starts_with(SERVED_BLOCK_OPEN) { body.split_once('\n').map_or("", |(_, rest)| rest) } else { body };
    let body = if body.starts_with(LEGEND) { body.split_once('\n').map_or("", |(_, rest)| rest) } else { body };
    body.trim_end()
}

/// Writes the section for a range of a draft's turns: first what models told of them, then their lines.
#[must_use]
pub fn write(draft: &Draft<'_>, range: Range<usize>, told: &[Told], frame: Frame) -> String {
    let mut out = format!("{SERVED_BLOCK_OPEN}>\n");
    if frame.legend {
        out.push_str(LEGEND);
        if frame.handles == Handles::Shown {
            out.push_str(" What was cut (…) from turn 1 can be read with recapd_expand and the handle t1.");
        }
        out.push('\n');
    }
    for told in told.iter().filter(|told| !told.text.is_empty()) {
        let [first, last] = told.turns;
        let _infallible = writeln!(out, "Notes on turns {first}–{last}:\n{}", told.text.trim_end());
    }
    let mut skipped: Option<(u32, u32)> = None;
    for at in range.clone() {
        if let Some((turn, lines)) = draft.shown(at) {
            write_skipped(&mut out, skipped.take());
            write_turn(&mut out, draft, at, turn, lines);
        } else {
            let number = draft.turns().get(at).map_or(0, |turn| turn.turn);
            skipped = Some((skipped.map_or(number, |(first, _)| first), number));
        }
    }
    write_skipped(&mut out, skipped);
    if frame.closing {
        write_errors(&mut out, draft.turns());
        write_open(&mut out, draft);
    }
    out.push_str("</recapd_context>");
    out
}

fn write_turn(out: &mut String, draft: &Draft<'_>, at: usize, turn: &TurnDigest, lines: &[usize]) {
    let head = turn.headline.text.as_ref();
    let _infallible = write!(out, "[{}] ", turn.turn);
    if turn.kind == TurnKind::Said {
        out.push_str("user: ");
    }
    if turn.kind != TurnKind::Said || draft.whole(at, 0).is_none() {
        let _infallible = writeln!(out, "{head}");
    }
    let mut told = lines.iter().filter_map(|&line| turn.lines.get(line)).peekable();
    for number in (0u32..).take(turn.sources.len()) {
        let whole = draft.whole(at, number);
        if let Some(whole) = whole {
            let _infallible = writeln!(out, "{}", whole.text.trim_end());
        }
        while let Some(line) = told.next_if(|line| line.source == number) {
            let text = line.text.trim();
            if whole.is_none() && text != head {
                let _infallible = writeln!(out, "{text}");
            }
        }
    }
    let cut_tokens = draft.cut(at).map_or(0, |cut| cut.tokens);
    if cut_tokens >= LARGE_CUT {
        let _infallible = writeln!(out, "… {} more lines", turn.lines.len() - lines.len());
    } else if cut_tokens >= LEAST_CUT {
        out.push_str("…\n");
    }
}

fn write_skipped(out: &mut String, skipped: Option<(u32, u32)>) {
    let _infallible = match skipped {
        None => Ok(()),
        Some((first, last)) if first == last => writeln!(out, "[{first}] …"),
        Some((first, last)) => writeln!(out, "[{first}–{last}] …"),
    };
}

fn write_errors(out: &mut String, turns: &[TurnDigest]) {
    let met: Vec<String> = turns
        .iter()
        .filter(|turn| turn.lines.iter().any(|line| line.role == UnitRole::Error))
        .map(|turn| turn.turn.to_string())
        .collect();
    let shown = met.get(met.len().saturating_sub(MOST_ERRORS)..).unwrap_or_default();
    if !shown.is_empty() {
        let turns = if shown.len() == 1 { "turn" } else { "turns" };
        let _infallible = writeln!(out, "Errors met in {turns} {}.", shown.join(", "));
    }
}

/// Quotes what the agent last said it would do, if that is not shown already.
fn write_open(out: &mut String, draft: &Draft<'_>) {
    let turns = draft.turns();
    let from = turns.len().saturating_sub(OPEN_TURNS);
    for at in (from..turns.len()).rev() {
        let Some(turn) = turns.get(at) else { continue };
        let intent = turn.lines.iter().enumerate().rev().find(|(_, line)| {
            let said = turn.sources.get(line.source as usize).is_some_and(|source| source.said);
            said && line.text.len() <= OPEN_BYTES && states_intent(&line.text)
        });
        if let Some((line, intent)) = intent {
            let shown = draft.shown(at).is_some_and(|(_, lines)| lines.contains(&line));
            if !shown {
                let _infallible = writeln!(out, "Open after turn {}: {}", turn.turn, intent.text.trim());
            }
            return;
        }
    }
}

/// Tells a sentence that says what is to be done.
fn states_intent(text: &str) -> bool {
    const CUES: [&str; 12] = [
        "next",
        "need to",
        "needs to",
        "todo",
        "remain",
        "i will",
        "i'll",
        "let me",
        "let's",
        "i should",
        "plan to",
        "still have to",
    ];
    let lower = text.to_lowercase();
    CUES.iter().any(|cue| lower.contains(cue))
}
