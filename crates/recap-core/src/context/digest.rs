//! The digest: every turn cut into lines with their facts, ready to be selected for a recap.
//!
//! Lines are verbatim stretches of originals, so a recap written from the digest never drifts. The digest is
//! bounded: when it outgrows its cap, the lines of older turns that bring least are let go (their originals stay
//! in the store), so that planning costs the same at turn 100 and at turn 10,000.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::compress::{Kind, UnitRole, units};
use crate::tokens::TokenCounter;
use crate::trajectory::{Block, FactKey, FactKind, Origin, OriginalHash, Role, TurnKind, facts, naming_words};

use super::admit::Admitted;
use super::headline::{bare_arguments, headline};

/// One line of a turn.
#[derive(Debug, Clone)]
pub struct Line {
    /// The verbatim text.
    pub text: Arc<str>,
    /// Its tokens, with the line feed.
    pub tokens: u32,
    /// Its values.
    pub facts: Vec<LineFact>,
    /// What it is to a reader.
    pub role: UnitRole,
    /// The line of the same turn that it needs beside it.
    pub parent: Option<u32>,
    /// Its number in the turn as it was digested; `u32::MAX` for the headline.
    pub number: u32,
    /// Words beside its values.
    pub words: u32,
    /// The source it was cut from, an index into [`TurnDigest::sources`].
    pub source: u32,
}

/// A value in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineFact {
    /// Its identity.
    pub key: FactKey,
    /// What it looks like.
    pub kind: FactKind,
    /// Whether it is a number that opens its line, as line numbers do.
    pub opens: bool,
}

/// A text that a turn's lines were cut from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The address of the original.
    pub original: OriginalHash,
    /// Whether the agent wrote it (else its tools or its user did).
    pub said: bool,
    /// What it is.
    pub kind: Kind,
    /// Its tokens.
    pub tokens: u32,
    /// How many values it holds, with repeats.
    pub facts: u32,
    /// The whole text, where it must stand word for word.
    pub verbatim: Option<Verbatim>,
}

/// A person's words, or a message that somebody pinned.
#[derive(Debug, Clone)]
pub struct Verbatim {
    /// The original.
    pub text: Arc<str>,
    /// Its tokens.
    pub tokens: u32,
}

/// One turn in the digest.
#[derive(Debug, Clone)]
pub struct TurnDigest {
    /// Its number; 0 is the head.
    pub turn: u32,
    /// What it is.
    pub kind: TurnKind,
    /// What was done or said, in one line.
    pub headline: Line,
    /// Its lines in order.
    pub lines: Vec<Line>,
    /// Where they come from.
    pub sources: Vec<Source>,
    /// Tokens of the turn's messages as sent.
    pub full_tokens: u32,
}

/// How often and where a value was seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sightings {
    /// Turns that hold it.
    pub turns: u32,
    /// The newest turn that holds it.
    pub last_turn: u32,
    /// The newest line that holds it, an index into that turn's lines; `u32::MAX` for its headline.
    pub last_line: u32,
    /// How many values stood with it in its newest source.
    pub crowd: u32,
    /// The newest turn in which the agent itself wrote it; 0 for never.
    pub said_turn: u32,
    /// Turns in which the agent wrote it.
    pub said_turns: u32,
}

/// All turns so far, bounded.
#[derive(Debug, Clone, Default)]
pub struct Digest {
    turns: Vec<TurnDigest>,
    seen: FxHashMap<FactKey, Sightings>,
    lines: usize,
}

/// Lines that a digest may hold before it is thinned to half of them.
const MOST_LINES: usize = 8_192;
/// Turns that a digest may hold before the oldest are let go down to half of them.
const MOST_TURNS: usize = 4_096;
/// Lines that one turn may bring.
const MOST_TURN_LINES: usize = 4_096;
/// Newest turns that thinning leaves alone.
const FRESH_TURNS: usize = 64;

impl Digest {
    /// Adds a closed turn. `number` must be greater than any before.
    ///
    /// What recapd wrote is left out: a turn of nothing else is not digested at all (law 10).
    pub fn push(&mut self, number: u32, kind: TurnKind, messages: &[Admitted], counter: &dyn TokenCounter) {
        if messages.iter().all(|admitted| admitted.message.origin == Origin::Recapd) {
            return;
        }
        let mut digest = digest_turn(number, kind, messages, counter);
        let mut ranks: Vec<u64> = digest.lines.iter().map(rank).collect();
        if let Some(least) = least_kept(&mut ranks, MOST_TURN_LINES) {
            drop_lines(&mut digest, least);
        }
        self.note(&digest);
        self.lines += digest.lines.len();
        self.turns.push(digest);
        if self.lines > MOST_LINES || self.turns.len() > MOST_TURNS {
            self.thin();
        }
    }

    /// Returns the digests of turns `1..=last`.
    #[must_use]
    pub fn up_to(&self, last: u32) -> &[TurnDigest] {
        let end = self.turns.partition_point(|turn| turn.turn <= last);
        self.turns.get(..end).unwrap_or_default()
    }

    /// Returns the digests of turns `first..=last`.
    #[must_use]
    pub fn of(&self, first: u32, last: u32) -> &[TurnDigest] {
        let turns = self.up_to(last);
        turns.get(turns.partition_point(|turn| turn.turn < first)..).unwrap_or_default()
    }

    /// Notes anew which messages of a turn are pinned.
    pub fn set_pinned(&mut self, number: u32, messages: &[Admitted], counter: &dyn TokenCounter) {
        if let Ok(at) = self.turns.binary_search_by_key(&number, |turn| turn.turn)
            && let Some(turn) = self.turns.get_mut(at)
        {
            let kind = turn.kind;
            for (source, (admitted, _, text)) in turn.sources.iter_mut().zip(texts(messages)) {
                source.verbatim = verbatim(kind, admitted, text, counter);
            }
        }
    }

    /// Returns where a value was seen.
    #[must_use]
    pub fn sightings(&self, fact: FactKey) -> Sightings {
        self.seen.get(&fact).copied().unwrap_or_default()
    }

    fn note(&mut self, digest: &TurnDigest) {
        for line in std::iter::once(&digest.headline).chain(&digest.lines) {
            let source = digest.sources.get(line.source as usize);
            let said = source.is_some_and(|source| source.said);
            for fact in &line.facts {
                let seen = self.seen.entry(fact.key).or_default();
                seen.turns += u32::from(seen.last_turn != digest.turn);
                seen.last_turn = digest.turn;
                seen.last_line = line.number;
                seen.crowd = source.map_or(1, |source| source.facts);
                if said {
                    seen.said_turns += u32::from(seen.said_turn != digest.turn);
                    seen.said_turn = digest.turn;
                }
            }
        }
    }

    /// Lets go of the lines of older turns that bring least, and of the oldest turns that have nothing left to show,
    /// down to half the caps.
    fn thin(&mut self) {
        let old = self.turns.len().saturating_sub(FRESH_TURNS);
        let fresh: usize = self.turns.iter().skip(old).map(|turn| turn.lines.len()).sum();
        let keep = (MOST_LINES / 2).saturating_sub(fresh);
        let mut ranks: Vec<u64> = self.turns.iter().take(old).flat_map(|turn| turn.lines.iter().map(rank)).collect();
        if let Some(least) = least_kept(&mut ranks, keep) {
            for turn in self.turns.iter_mut().take(old) {
                drop_lines(turn, least);
            }
        }
        let mut spare = self.turns.len().saturating_sub(MOST_TURNS / 2);
        let mut at = 0;
        self.turns.retain(|turn| {
            at += 1;
            let drop = at <= old && spare > 0 && turn.lines.is_empty();
            spare -= usize::from(drop);
            !drop
        });
        self.turns.drain(..spare.min(self.turns.len().saturating_sub(FRESH_TURNS)));
        self.lines = self.turns.iter().map(|turn| turn.lines.len()).sum();
        let lines = self.turns.iter().flat_map(|turn| turn.lines.iter().chain([&turn.headline]));
        let alive: FxHashSet<FactKey> = lines.flat_map(|line| line.facts.iter().map(|fact| fact.key)).collect();
        self.seen.retain(|fact, _| alive.contains(fact));
    }
}

/// Returns the rank from which on `keep` items are left; `None` if that many or fewer are there.
fn least_kept(ranks: &mut [u64], keep: usize) -> Option<u64> {
    let cut = ranks.len().checked_sub(keep).filter(|cut| *cut > 0)?;
    let (_, last_cut, _) = ranks.select_nth_unstable(cut - 1);
    Some(*last_cut + 1)
}

/// A line's rank without a query: facts per token, errors and summaries above all; lines of one standing are spread
/// evenly over their turn.
fn rank(line: &Line) -> u64 {
    let role = match line.role {
        UnitRole::Error | UnitRole::Summary => 2_000,
        UnitRole::Heading => 300,
        UnitRole::Plain | UnitRole::Detail => 100,
        UnitRole::Boilerplate => 0,
    };
    let standing = role + line.facts.len() as u64 * 1_000 / u64::from(line.tokens.max(1));
    standing << 32 | u64::from(line.number.reverse_bits())
}

/// Drops a turn's lines below a rank, but for parents of kept ones.
fn drop_lines(turn: &mut TurnDigest, least: u64) {
    let mut keep: Vec<bool> = turn.lines.iter().map(|line| rank(line) >= least).collect();
    for at in (0..turn.lines.len()).rev() {
        let parent = turn.lines.get(at).and_then(|line| line.parent);
        if keep.get(at) == Some(&true)
            && let Some(kept) = parent.and_then(|parent| keep.get_mut(parent as usize))
        {
            *kept = true;
        }
    }
    let mut moved = Vec::with_capacity(keep.len());
    let mut next = 0u32;
    for &kept in &keep {
        moved.push(next);
        next += u32::from(kept);
    }
    let mut flags = keep.into_iter();
    turn.lines.retain(|_| flags.next().unwrap_or(false));
    for line in &mut turn.lines {
        line.parent = line.parent.and_then(|parent| moved.get(parent as usize).copied());
    }
}

fn digest_turn(number: u32, kind: TurnKind, messages: &[Admitted], counter: &dyn TokenCounter) -> TurnDigest {
    let mut turn = TurnDigest {
        turn: number,
        kind,
        headline: line_of(&headline(messages), UnitRole::Heading, counter),
        lines: Vec::new(),
        sources: Vec::new(),
        full_tokens: messages.iter().map(|message| message.tokens).sum(),
    };
    for (admitted, at, original) in texts(messages) {
        let said = admitted.message.role == Role::Assistant;
        let served = admitted.reformatted_text(at).unwrap_or(original);
        let calls = matches!(admitted.message.blocks.get(at), Some(Block::Call(_)));
        let told = calls && turn.headline.text.contains(&bare_arguments(original));
        let address = admitted.original(at).unwrap_or_else(|| OriginalHash::of(original));
        push_lines(&mut turn, address, if told { "" } else { served }, said, counter);
        if let Some(source) = turn.sources.last_mut() {
            source.verbatim = verbatim(kind, admitted, original, counter);
        }
    }
    turn
}

/// The texts that a turn's lines are cut from, each with its block: all but what recapd itself wrote.
fn texts(messages: &[Admitted]) -> impl Iterator<Item = (&Admitted, usize, &Arc<str>)> {
    messages.iter().filter(|admitted| admitted.message.origin == Origin::Agent).flat_map(|admitted| {
        let blocks = admitted.message.blocks.iter().enumerate();
        blocks.filter_map(move |(at, block)| original_text(block).map(|text| (admitted, at, text)))
    })
}

fn verbatim(kind: TurnKind, admitted: &Admitted, text: &Arc<str>, counter: &dyn TokenCounter) -> Option<Verbatim> {
    (kind == TurnKind::Said || admitted.pinned)
        .then(|| Verbatim { text: Arc::clone(text), tokens: counter.count(text) + 1 })
}

/// The text of a block that a recap can quote. Thinking is the provider's own and never quoted.
fn original_text(block: &Block) -> Option<&Arc<str>> {
    match block {
        Block::Text(text) => Some(text),
        Block::Call(call) => Some(&call.arguments),
        Block::Observation(observation) => Some(&observation.text),
        Block::Image(_) | Block::Thinking(_) | Block::Other(_) => None,
    }
    .filter(|text| !text.is_empty())
}

fn push_lines(turn: &mut TurnDigest, original: OriginalHash, served: &str, said: bool, counter: &dyn TokenCounter) {
    let source = u32::try_from(turn.sources.len()).unwrap_or(u32::MAX);
    let base = u32::try_from(turn.lines.len()).unwrap_or(u32::MAX);
    let (mut tokens, mut held) = (0, 0);
    let cut = units(served);
    for unit in &cut.units {
        let text = served.get(unit.span.clone()).unwrap_or_default();
        let parent = unit.parent.map(|parent| parent.saturating_add(base));
        let number = u32::try_from(turn.lines.len()).unwrap_or(u32::MAX);
        let line = Line { parent, number, source, ..line_of(text, unit.role, counter) };
        tokens += line.tokens;
        held += line.facts.len();
        turn.lines.push(line);
    }
    let facts = u32::try_from(held).unwrap_or(u32::MAX);
    turn.sources.push(Source { original, said, kind: cut.kind, tokens, facts, verbatim: None });
}

/// A line by itself: a headline, until it is told its place.
fn line_of(text: &str, role: UnitRole, counter: &dyn TokenCounter) -> Line {
    let text = text.trim_end();
    let opening = text.len() - text.trim_start().len();
    let values = facts(text);
    let words = naming_words(text, &values);
    let mut found: Vec<LineFact> = values
        .into_iter()
        .filter_map(|fact| {
            let opens = fact.span.start == opening && fact.kind == FactKind::Number;
            text.get(fact.span).map(|value| LineFact { key: FactKey::of(value), kind: fact.kind, opens })
        })
        .collect();
    found.sort_unstable();
    found.dedup_by_key(|fact| fact.key);
    Line {
        text: text.into(),
        tokens: counter.count(text) + 1,
        facts: found,
        role,
        parent: None,
        number: u32::MAX,
        words,
        source: 0,
    }
}
