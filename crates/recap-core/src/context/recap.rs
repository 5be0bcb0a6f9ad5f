//! The recap that `rules` writes for covered turns: what the user said, what was done turn by turn with the
//! lines that matter, errors met, open threads. Every quoted line is verbatim.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use super::digest::{Digest, TurnDigest};
use super::epoch::{Cut, MOST_ORIGINALS, Section};
use super::receipt::PieceKind;
use super::worth::{FactWorths, Weights};
use crate::compress::UnitRole;
use crate::compress::select::{Item, Weighing, select};
use crate::tokens::{MESSAGE_TOKENS, TokenCounter};
use crate::trajectory::{FactKey, OriginalHash, SERVED_BLOCK_OPEN, TurnKind};

/// What a recap is written from.
pub struct RecapSource<'a> {
    /// All turns.
    pub digest: &'a Digest,
    /// The last turn that the recap stands for.
    pub covered: u32,
    /// The newest turn.
    pub now: u32,
    /// Values of the head.
    pub pinned: &'a HashSet<FactKey>,
    /// Values of the turns that stay verbatim.
    pub tail: &'a HashSet<FactKey>,
    /// Lower-case words of the newest turn and the query.
    pub echo: &'a HashSet<String>,
    /// How values are weighed.
    pub weights: Weights,
    /// Most tokens of user's words kept verbatim.
    pub pinned_tokens: u32,
    /// Whether markers name handles.
    pub handles: Handles,
}

/// Whether what is cut can be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handles {
    /// Originals are stored: markers name them.
    Shown,
    /// Nothing is stored: markers say only how much is cut.
    Hidden,
}

/// A turn that lost fewer tokens than this is not worth a marker; from the second on it says how much.
const LEAST_CUT: u32 = 16;
const LARGE_CUT: u32 = 200;
/// Tokens of a turn's heading beside its headline, and of its marker.
const TURN_TOKENS: u32 = 4;
const MARKER_TOKENS: u32 = 3;
/// Tokens of the block's frame, and of its closing sections.
const FRAME_TOKENS: u32 = 56;
const CLOSING_TOKENS: u32 = 60;

/// Writes the block's text for turns `1..=covered` in at most `target` tokens, framing included. `None` if nothing
/// is covered or not even the frame fits.
#[must_use]
pub fn write_recap(source: &RecapSource<'_>, target: u32, counter: &dyn TokenCounter) -> Option<Section> {
    let turns = source.digest.up_to(source.covered);
    let first = turns.first()?;
    let mut aim = target.checked_sub(FRAME_TOKENS + MESSAGE_TOKENS)?;
    for _ in 0..6 {
        let draft = Draft::select(source, turns, aim);
        let text = draft.render(source);
        let tokens = counter.count(&text) + MESSAGE_TOKENS;
        if tokens <= target {
            return Some(Section {
                kind: PieceKind::Recap,
                text: text.into(),
                tokens,
                turns: [first.turn, source.covered],
                full_tokens: turns.iter().map(|turn| turn.full_tokens).sum(),
                originals: originals(turns),
                cuts: draft.cuts(),
            });
        }
        aim = aim.checked_sub((tokens - target) + aim / 50 + 1)?;
    }
    None
}

fn originals(turns: &[TurnDigest]) -> Vec<OriginalHash> {
    let mut seen = HashSet::new();
    let newest = turns.iter().rev().flat_map(|turn| &turn.sources).map(|source| source.original);
    newest.filter(|hash| seen.insert(*hash)).take(MOST_ORIGINALS).collect()
}

/// Chosen lines by turn.
struct Draft<'a> {
    turns: &'a [TurnDigest],
    /// Turn index → whether its headline is shown, and its chosen lines.
    chosen: BTreeMap<usize, Vec<usize>>,
}

/// Where an item comes from.
#[derive(Clone, Copy)]
enum Origin {
    Headline(usize),
    Line(usize, usize),
}

impl<'a> Draft<'a> {
    fn select(source: &RecapSource<'_>, turns: &'a [TurnDigest], target: u32) -> Self {
        let weights = &source.weights;
        let worths = FactWorths::new(source.digest, turns, source.now, source.pinned, source.tail, weights);
        let mut items = Vec::new();
        let mut origins = Vec::new();
        let mut forced = Vec::new();
        let mut pinned_left = source.pinned_tokens;
        for (at, turn) in turns.iter().enumerate().rev() {
            // newest first, so that a full share of pinned words leaves out the oldest
            let base = items.len();
            push_turn(source, turn, &worths, &mut items);
            origins.push(Origin::Headline(at));
            origins.extend((0..turn.lines.len()).map(|line| Origin::Line(at, line)));
            let tokens: u32 = items.get(base..).unwrap_or_default().iter().map(|item| item.tokens).sum();
            if turn.pinned && tokens <= pinned_left {
                pinned_left -= tokens;
                forced.extend(base..items.len());
            }
        }
        let weighing = Weighing { repeat: weights.again, density: weights.density };
        let picked = select(&items, worths.worths(), &forced, target.saturating_sub(CLOSING_TOKENS), weighing);
        let mut chosen: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (origin, _) in origins.iter().zip(picked).filter(|(_, picked)| *picked) {
            match *origin {
                Origin::Headline(at) => drop(chosen.entry(at).or_default()),
                Origin::Line(at, line) => chosen.entry(at).or_default().push(line),
            }
        }
        Self { turns, chosen }
    }

    fn cuts(&self) -> Vec<Cut> {
        self.turns.iter().enumerate().filter_map(|(at, turn)| self.cut(at, turn)).collect()
    }

    /// What is left out of a turn, and the original that holds most of it.
    fn cut(&self, at: usize, turn: &TurnDigest) -> Option<Cut> {
        let kept = self.chosen.get(&at);
        let mut left: Vec<u32> = turn.sources.iter().map(|source| source.tokens).collect();
        for line in kept.into_iter().flatten().filter_map(|&line| turn.lines.get(line)) {
            if let Some(tokens) = left.get_mut(line.source as usize) {
                *tokens = tokens.saturating_sub(line.tokens);
            }
        }
        let tokens = left.iter().sum();
        let most = left.iter().enumerate().max_by_key(|(_, tokens)| **tokens).map(|(source, _)| source);
        let expand = most.and_then(|source| turn.sources.get(source)).map(|source| source.original);
        (tokens > 0).then_some(Cut { turn: turn.turn, tokens, expand })
    }

    fn render(&self, source: &RecapSource<'_>) -> String {
        let mut out = format!(
            "{SERVED_BLOCK_OPEN}>\nTurns 1–{} of this conversation, shortened: their main lines, word for word.",
            source.covered
        );
        if source.handles == Handles::Shown {
            out.push_str(" A turn's cut text (…) can be read with recapd_expand and its number, for example t1.");
        }
        out.push('\n');
        let mut skipped: Option<(u32, u32)> = None;
        for (at, turn) in self.turns.iter().enumerate() {
            match self.chosen.get(&at) {
                None => skipped = Some((skipped.map_or(turn.turn, |(first, _)| first), turn.turn)),
                Some(lines) => {
                    write_skipped(&mut out, skipped.take());
                    self.render_turn(&mut out, at, turn, lines);
                }
            }
        }
        write_skipped(&mut out, skipped);
        self.render_closing(&mut out);
        out.push_str("</recapd_context>");
        out
    }

    fn render_turn(&self, out: &mut String, at: usize, turn: &TurnDigest, lines: &[usize]) {
        let who = if turn.kind == TurnKind::Said { "user: " } else { "" };
        let head = turn.headline.text.as_ref();
        let _infallible = writeln!(out, "[{}] {who}{head}", turn.turn);
        for line in lines.iter().filter_map(|&line| turn.lines.get(line)) {
            let text = line.text.trim();
            if text != head {
                let _infallible = writeln!(out, "{text}");
            }
        }
        match self.cut(at, turn) {
            Some(cut) if cut.tokens >= LARGE_CUT => {
                let _infallible = writeln!(out, "… {} more lines", turn.lines.len() - lines.len());
            }
            Some(cut) if cut.tokens >= LEAST_CUT => out.push_str("…\n"),
            _ => {}
        }
    }

    /// Errors met and the intent that was stated last.
    fn render_closing(&self, out: &mut String) {
        let errors: Vec<String> = self
            .turns
            .iter()
            .filter(|turn| turn.lines.iter().any(|line| line.role == UnitRole::Error))
            .map(|turn| turn.turn.to_string())
            .collect();
        if let Some((last, rest)) = errors.split_last() {
            let shown = rest.get(rest.len().saturating_sub(8)..).unwrap_or_default();
            let turns = if shown.is_empty() { last.clone() } else { format!("{} and {last}", shown.join(", ")) };
            let _infallible = writeln!(out, "Errors met: turns {turns}.");
        }
    }
}

fn write_skipped(out: &mut String, skipped: Option<(u32, u32)>) {
    let _infallible = match skipped {
        None => Ok(()),
        Some((first, last)) if first == last => writeln!(out, "[{first}] cut"),
        Some((first, last)) => writeln!(out, "[{first}–{last}] cut"),
    };
}

/// Pushes a turn's headline and lines; a line without a parent hangs on the headline.
fn push_turn(source: &RecapSource<'_>, turn: &TurnDigest, worths: &FactWorths<'_>, items: &mut Vec<Item>) {
    let weights = &source.weights;
    let headline = u32::try_from(items.len()).unwrap_or(u32::MAX);
    items.push(Item {
        tokens: turn.headline.tokens + TURN_TOKENS + MARKER_TOKENS,
        worth: weights.headline,
        facts: worths.numbers(turn.turn, u32::MAX, &turn.headline.facts),
        parent: None,
    });
    for (at, line) in (0u32..).zip(&turn.lines) {
        let role = match line.role {
            UnitRole::Error | UnitRole::Summary => weights.error,
            UnitRole::Boilerplate => -weights.line,
            _ => 0.0,
        };
        items.push(Item {
            tokens: line.tokens,
            worth: weights.line + role + weights.echo * echoes(&line.text, source.echo),
            facts: worths.numbers(turn.turn, at, &line.facts),
            parent: Some(line.parent.map_or(headline, |parent| headline + 1 + parent)),
        });
    }
}

/// How many words of the newest turns a line shares, at most 4.
fn echoes(text: &str, echo: &HashSet<String>) -> f32 {
    if echo.is_empty() {
        return 0.0;
    }
    let shared = words(text).filter(|word| echo.contains(word)).take(4).count();
    f32::from(u8::try_from(shared).unwrap_or(4))
}

/// Returns the lower-case words of a text that have at least four letters.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.len() >= 4).map(str::to_lowercase)
}
