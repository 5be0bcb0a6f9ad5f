//! What stands beside the recap's sections: a table of exact values that they lost, each in the words around it, and
//! lines of older turns that match what the agent is doing. Both are rewritten at every epoch, so they stand last.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use rustc_hash::{FxHashMap, FxHashSet};

use super::draft::words;
use super::{RecapSource, facts_in};
use crate::compress::Verdict;
use crate::context::digest::{Line, TurnDigest};
use crate::context::epoch::Section;
use crate::context::receipt::PieceKind;
use crate::context::worth::worth;
use crate::tokens::{MESSAGE_TOKENS, TokenCounter};
use crate::trajectory::{FactKey, SERVED_BLOCK_OPEN, facts};

/// Bytes of a line that are quoted on each side of a value.
const AROUND_BYTES: usize = 32;
/// Tokens of the frame and the sentence that opens it.
const FRAME_TOKENS: u32 = 32;
/// Tokens of a turn's number, once a turn.
const TURN_TOKENS: u32 = 4;
/// A query's word that stands in more than one line of this many says nothing.
const COMMON: usize = 12;
/// What the words that a line shares with the query must add up to: about two rare ones or many less rare.
const LEAST_MATCH: f32 = 2.5;

/// One quoted stretch of a turn.
struct Excerpt<'a> {
    turn: &'a TurnDigest,
    line: u32,
    text: &'a str,
    tokens: u32,
    gain: f32,
    key: Option<FactKey>,
}

/// Writes the table of values that neither the sections nor the rest of the context hold, in at most `room` tokens.
#[must_use]
pub fn write_facts(
    source: &RecapSource<'_>,
    told: &[Section],
    room: u32,
    counter: &dyn TokenCounter,
) -> Option<Section> {
    let room = room.checked_sub(FRAME_TOKENS)?;
    let held = facts_in(told.iter().map(|section| section.text.as_ref()));
    let mut found = Vec::new();
    for turn in source.digest.up_to(source.covered) {
        for line in turn.lines.iter().filter(|line| source.rules.verdict(&line.text) != Verdict::Drop) {
            found.extend(values(source, turn, line, counter, |key| {
                held.contains(&key) || source.tail.contains(&key) || source.pinned.contains(&key)
            }));
        }
    }
    let chosen = choose(found, room);
    write(PieceKind::Facts, "Exact values from earlier turns, in the words around them:", &chosen, counter)
}

/// The values of a line that is the newest to hold them, but for those left out.
fn values<'a>(
    source: &RecapSource<'_>,
    turn: &'a TurnDigest,
    line: &'a Line,
    counter: &dyn TokenCounter,
    leave: impl Fn(FactKey) -> bool,
) -> Vec<Excerpt<'a>> {
    let mut found = Vec::new();
    for fact in facts(&line.text) {
        let Some(key) = line.text.get(fact.span.clone()).map(FactKey::of) else { continue };
        let seen = source.digest.sightings(key);
        let newest = seen.last_turn == turn.turn && seen.last_line == line.number;
        let known = line.facts.iter().find(|known| known.key == key && !known.opens);
        let Some(known) = known.filter(|_| newest && !leave(key)) else { continue };
        let text = around(&line.text, fact.span);
        let tokens = counter.count(text) + 1;
        let gain =
            worth(&seen, *known, source.now, &source.weights) / f32::from(u16::try_from(tokens).unwrap_or(u16::MAX));
        found.push(Excerpt { turn, line: line.number, text, tokens, gain, key: Some(key) });
    }
    found
}

/// A value with the words around it, cut at blanks.
fn around(line: &str, value: std::ops::Range<usize>) -> &str {
    let from = line.floor_char_boundary(value.start.saturating_sub(AROUND_BYTES));
    let to = line.ceil_char_boundary((value.end + AROUND_BYTES).min(line.len()));
    let before = line.get(from..value.start).unwrap_or_default();
    let after = line.get(value.end..to).unwrap_or_default();
    let lead = if from == 0 { 0 } else { before.find(char::is_whitespace).unwrap_or(before.len()) };
    let tail = if to == line.len() { after.len() } else { after.rfind(char::is_whitespace).unwrap_or(0) };
    line.get(from + lead..value.end + tail).unwrap_or_default().trim()
}

/// Writes lines of covered turns that the sections do not show and that share rare words with what the agent is about to
/// do, in at most `room` tokens.
#[must_use]
pub fn write_recalled(
    source: &RecapSource<'_>,
    told: &[Section],
    room: u32,
    counter: &dyn TokenCounter,
) -> Option<Section> {
    let room = room.checked_sub(FRAME_TOKENS)?;
    let shown: FxHashSet<&str> = told.iter().flat_map(|section| section.text.lines()).map(str::trim).collect();
    let turns = source.digest.up_to(source.covered);
    let lines: Vec<(&TurnDigest, &Line, Vec<String>)> = turns
        .iter()
        .flat_map(|turn| turn.lines.iter().map(move |line| (turn, line)))
        .map(|(turn, line)| (turn, line, matches(source, line)))
        .filter(|(_, _, matches)| !matches.is_empty())
        .collect();
    let mut seen: FxHashMap<&str, usize> = FxHashMap::default();
    for word in lines.iter().flat_map(|(_, _, matches)| matches) {
        *seen.entry(word).or_default() += 1;
    }
    let all: usize = turns.iter().map(|turn| turn.lines.len()).sum();
    let mut found = Vec::new();
    for (turn, line, matches) in &lines {
        let text = line.text.trim();
        let rare = matches.iter().filter_map(|word| seen.get(word.as_str())).filter(|count| **count * COMMON <= all);
        let score: f32 =
            rare.map(|count| 1.0 / (1.0 + f32::from(u16::try_from(*count).unwrap_or(u16::MAX))).ln()).sum();
        if score >= LEAST_MATCH && !shown.contains(text) && source.rules.verdict(text) != Verdict::Drop {
            let gain = score / f32::from(u16::try_from(line.tokens).unwrap_or(u16::MAX));
            found.push(Excerpt { turn, line: line.number, text, tokens: line.tokens, gain, key: None });
        }
    }
    let chosen = choose(found, room);
    write(PieceKind::Recalled, "Recalled from earlier turns, since it matches the newest one:", &chosen, counter)
}

/// The query's words that a line holds, each once.
fn matches(source: &RecapSource<'_>, line: &Line) -> Vec<String> {
    let mut found: Vec<String> = words(&line.text).filter(|word| source.echo.contains(word)).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The excerpts with most gain that fit, each value and each text once.
fn choose(mut found: Vec<Excerpt<'_>>, room: u32) -> Vec<Excerpt<'_>> {
    found.sort_by(|a, b| b.gain.total_cmp(&a.gain).then((b.turn.turn, b.line).cmp(&(a.turn.turn, a.line))));
    let mut left = room;
    let mut held: FxHashSet<FactKey> = FxHashSet::default();
    let mut turns: FxHashSet<u32> = FxHashSet::default();
    let mut texts: FxHashSet<&str> = FxHashSet::default();
    let mut chosen = Vec::new();
    for excerpt in found {
        let opening = if turns.contains(&excerpt.turn.turn) { 0 } else { TURN_TOKENS };
        let told = excerpt.key.is_some_and(|key| held.contains(&key)) || texts.contains(excerpt.text);
        if told || excerpt.tokens + opening > left {
            continue;
        }
        texts.insert(excerpt.text);
        left -= excerpt.tokens + opening;
        turns.insert(excerpt.turn.turn);
        held.extend(facts(excerpt.text).into_iter().filter_map(|fact| excerpt.text.get(fact.span).map(FactKey::of)));
        chosen.push(excerpt);
    }
    chosen
}

fn write(kind: PieceKind, opening: &str, chosen: &[Excerpt<'_>], counter: &dyn TokenCounter) -> Option<Section> {
    let mut by_turn: BTreeMap<u32, Vec<&Excerpt<'_>>> = BTreeMap::new();
    for excerpt in chosen {
        by_turn.entry(excerpt.turn.turn).or_default().push(excerpt);
    }
    let mut text = format!("{SERVED_BLOCK_OPEN}>\n{opening}\n");
    let mut originals = FxHashSet::default();
    let mut full_tokens = 0;
    for (number, excerpts) in &mut by_turn {
        excerpts.sort_by_key(|excerpt| excerpt.line);
        let _infallible = write!(text, "[{number}] ");
        for excerpt in excerpts.iter() {
            let _infallible = writeln!(text, "{}", excerpt.text);
        }
        let turn = excerpts.first().map(|excerpt| excerpt.turn)?;
        full_tokens += turn.full_tokens;
        originals.extend(turn.sources.iter().map(|source| source.original));
    }
    text.push_str("</recapd_context>");
    let mut originals: Vec<_> = originals.into_iter().collect();
    originals.sort_unstable();
    let tokens = counter.count(&text) + MESSAGE_TOKENS;
    let (first, last) = (*by_turn.keys().next()?, *by_turn.keys().next_back()?);
    // law 4: a table that is not smaller than its turns says nothing new
    (tokens < full_tokens).then(|| Section {
        kind,
        text: text.into(),
        tokens,
        turns: [first, last],
        full_tokens,
        originals,
        cuts: Vec::new(),
        by: None,
        playbook: None,
        bullets: Vec::new(),
    })
}
