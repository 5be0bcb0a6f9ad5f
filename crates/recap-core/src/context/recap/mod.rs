//! The recap that `rules` writes for covered turns: what the user said, what was done turn by turn with the
//! lines that matter, errors met, open threads. Every quoted line is verbatim.
//!
//! A recap is a row of sections, oldest first. The next epoch may keep the first ones byte for byte and rewrite only
//! what follows, so that the provider re-reads less.

mod draft;
mod prose;
mod excerpts;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use super::digest::{Digest, TurnDigest};
use super::epoch::{MOST_ORIGINALS, Section};
use super::made::{Made, Maker, Told};
use super::plan::share;
use super::receipt::PieceKind;
use super::scales::Scales;
use super::worth::{FactWorths, Held, Learned, Weights};
use crate::compress::RulesMatcher;
use crate::tokens::{MESSAGE_TOKENS, TokenCounter};
use crate::trajectory::{FactKey, OriginalHash, facts};
pub use draft::words;
use draft::{Choice, Draft};
pub use excerpts::{write_facts, write_recalled};
pub use prose::said_in;

/// What a recap is written from.
pub struct RecapSource<'a> {
    /// All turns.
    pub digest: &'a Digest,
    /// What models said of them.
    pub made: &'a Made,
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
    /// What a trained head makes of the values.
    pub learned: &'a Learned,
    /// What the guideline keeps and drops.
    pub rules: &'a RulesMatcher,
    /// How values are weighed.
    pub weights: Weights,
    /// Most tokens of user's words kept verbatim.
    pub pinned_tokens: u32,
    /// Tokens of user's words that stand before anything else: models' recaps and kept sections give way to them.
    pub promised_tokens: u32,
    /// Whether what is cut can be read back.
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

/// A block as it was written.
pub struct Block {
    /// The sections kept, then the new ones.
    pub sections: Vec<Section>,
    /// What it is worth: by this drafts of one moment compare.
    pub worth: f32,
    /// A person's words that stand whole in the new sections.
    pub words: Vec<Arc<str>>,
    /// Whether all words stand that come before anything else.
    pub keeps_promise: bool,
    /// Tokens that its new lines were selected in; 0 where there are none.
    pub aim: u32,
    /// How many of the recaps by models it has room for.
    pub told: usize,
}

impl Block {
    /// Tells whether words stand in one of the sections.
    #[must_use]
    pub fn holds(&self, words: &str) -> bool {
        self.sections.iter().any(|section| section.text.contains(words.trim_end()))
    }
}

/// Sections that a block rewritten as a whole is cut into.
const SECTIONS: u32 = 3;
/// Tokens of the line over a model's recap.
const TOLD_TOKENS: u32 = 12;
/// Tokens of a section's frame and of the block's closing lines.
const FRAME_TOKENS: u32 = 24;
/// Drafts until the text fits; each aims lower by what the last was over.
const TRIES: u32 = 8;

/// Writes the block for turns `1..=covered` in at most `target` tokens, framing included, `kept` being the sections that
/// stay. `None` if nothing is covered or there is no room for what has to be written.
///
/// The oldest recaps by models are left out where a person's words would find no room beside them.
#[must_use]
pub fn write_block(
    source: &RecapSource<'_>,
    kept: &[Section],
    target: u32,
    counter: &dyn TokenCounter,
) -> Option<Block> {
    let until = kept.last().map_or(0, |section| section.turns[1]);
    let mut told = told_within(source, until, target);
    loop {
        let block = write_beside(source, kept, told, target, counter);
        match told.split_first() {
            Some((_, newer)) if !block.as_ref().is_some_and(|block| block.keeps_promise) => told = newer,
            _ => return block,
        }
    }
}

/// Writes the block with these recaps by models.
fn write_beside(
    source: &RecapSource<'_>,
    kept: &[Section],
    told: &[Told],
    target: u32,
    counter: &dyn TokenCounter,
) -> Option<Block> {
    let (turns, fresh) = turns_of(source, kept);
    let until = kept.last().map_or(0, |section| section.turns[1]);
    let worths = FactWorths::new(source, turns, &held_by(kept, told));
    if fresh.is_empty() {
        let worth = worths.held_worth();
        let block =
            |sections| Block { sections, worth, words: Vec::new(), keeps_promise: true, aim: 0, told: told.len() };
        return extended(kept, source.covered).map(block);
    }
    let room = target.checked_sub(kept.iter().map(|section| section.tokens).sum())?;
    let told_tokens: u32 = told.iter().map(|told| told.tokens + TOLD_TOKENS).sum();
    let mut aim = room.checked_sub(SECTIONS * FRAME_TOKENS + told_tokens)?;
    let choice = Choice::new(source, fresh, &worths);
    for _ in 0..TRIES {
        let draft = choice.select(aim);
        let new = sections(source, &draft, &Cutting { size: target / SECTIONS, until, told }, counter);
        if !kept.is_empty() && !new.iter().all(is_smaller) {
            return None;
        }
        let tokens: u32 = new.iter().map(|section| section.tokens).sum();
        if tokens <= room {
            return Some(Block {
                sections: kept.iter().cloned().chain(new).collect(),
                worth: worths.held_worth() + draft.worth(),
                words: draft.words().cloned().collect(),
                keeps_promise: draft.keeps_promise(),
                aim,
                told: told.len(),
            });
        }
        aim = aim.checked_sub((tokens - room) + aim / 50 + 1)?;
    }
    None
}

/// The covered turns, and those of them that no kept section stands for.
fn turns_of<'a>(source: &RecapSource<'a>, kept: &[Section]) -> (&'a [TurnDigest], &'a [TurnDigest]) {
    let turns = source.digest.up_to(source.covered);
    let until = kept.last().map_or(0, |section| section.turns[1]);
    let (_, fresh) = turns.split_at(turns.partition_point(|turn| turn.turn <= until));
    (turns, fresh)
}

/// The values that kept sections and recaps by models hold.
fn held_by(kept: &[Section], told: &[Told]) -> Held {
    let mut facts = facts_in(kept.iter().map(|section| section.text.as_ref()));
    facts.extend(facts_in(told.iter().map(|told| told.text.as_ref())));
    Held { facts, until: kept.last().map_or(0, |section| section.turns[1]) }
}

/// Notes what the lines that a block leaves out would have added to it, as it was written with the same `kept` and
/// `target`; nothing if none can be written.
pub fn note_gains(
    source: &RecapSource<'_>,
    kept: &[Section],
    target: u32,
    counter: &dyn TokenCounter,
    scales: &mut Scales,
) {
    let Some(block) = write_block(source, kept, target, counter).filter(|block| block.aim > 0) else { return };
    let until = kept.last().map_or(0, |section| section.turns[1]);
    let told = told_within(source, until, target);
    let told = told.get(told.len().saturating_sub(block.told)..).unwrap_or_default();
    let (turns, fresh) = turns_of(source, kept);
    let worths = FactWorths::new(source, turns, &held_by(kept, told));
    Choice::new(source, fresh, &worths).note_gains(block.aim, scales);
}

/// The kept sections, the last of which stands for the turns up to `covered` too: they hold nothing to say.
fn extended(kept: &[Section], covered: u32) -> Option<Vec<Section>> {
    let mut sections = kept.to_vec();
    sections.last_mut()?.turns[1] = covered;
    Some(sections)
}

/// The recaps by models that new sections have room for, the newest of those about turns after `until`.
fn told_within<'a>(source: &RecapSource<'a>, until: u32, target: u32) -> &'a [Told] {
    let fresh = source.made.told(until, source.covered);
    let mut left = share(target, f64::from(source.weights.told_share));
    let fitting = fresh.iter().rev().take_while(|told| match left.checked_sub(told.tokens + TOLD_TOKENS) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    });
    let count = fitting.count();
    fresh.get(fresh.len() - count..).unwrap_or_default()
}

/// How a draft is cut.
struct Cutting<'a> {
    /// Tokens of a section, about.
    size: u32,
    /// The last turn that kept sections stand for, 0 if there are none.
    until: u32,
    /// The recaps by models; each stands in the section of its last turn.
    told: &'a [Told],
}

impl<'a> Cutting<'a> {
    fn told_in(&self, [first, last]: [u32; 2]) -> &'a [Told] {
        let from = self.told.partition_point(|told| told.turns[1] < first);
        let to = self.told.partition_point(|told| told.turns[1] <= last);
        self.told.get(from..to).unwrap_or_default()
    }
}

/// Cuts a draft at turn borders into sections, each smaller than its turns (law 4) unless there is only one.
fn sections(
    source: &RecapSource<'_>,
    draft: &Draft<'_>,
    cutting: &Cutting<'_>,
    counter: &dyn TokenCounter,
) -> Vec<Section> {
    let turns = draft.turns();
    let Cutting { size, until, .. } = *cutting;
    let write = |start: usize, end: usize, first: u32| {
        let closing = end == turns.len();
        let frame = prose::Frame { legend: first == 1, closing, handles: source.handles };
        let last = if closing { source.covered } else { turns.get(end - 1).map_or(first, |turn| turn.turn) };
        let told = cutting.told_in([first, last]);
        let text = prose::write(draft, start..end, told, frame);
        let by = maker(source, [first, last], told, &text);
        // a recap by a model may begin with turns of the section before
        let from = told.iter().map(|told| told.turns[0]).fold(first, u32::min);
        let originals = originals(source.digest.of(from, last));
        let section = section(draft, start..end, [first, last], (text, originals), counter);
        Section { by, ..section }
    };
    let mut found: Vec<(usize, Section)> = Vec::new();
    let mut start = 0;
    while start < turns.len() {
        let mut end = draft.end_of(start, size);
        let first = found.last().map_or(until, |(_, section)| section.turns[1]) + 1;
        let mut section = write(start, end, first);
        while !is_smaller(&section) && end < turns.len() {
            end = draft.end_of(end, size);
            section = write(start, end, first);
        }
        // what is left at the end joins what stands before it
        while !is_smaller(&section)
            && let Some((before, joined)) = found.pop()
        {
            start = before;
            section = write(start, end, joined.turns[0]);
        }
        found.push((start, section));
        start = end;
    }
    found.into_iter().map(|(_, section)| section).collect()
}

fn is_smaller(section: &Section) -> bool {
    section.tokens < section.full_tokens
}

fn section(
    draft: &Draft<'_>,
    range: Range<usize>,
    turns: [u32; 2],
    (text, originals): (String, Vec<OriginalHash>),
    counter: &dyn TokenCounter,
) -> Section {
    let digests = draft.turns().get(range.clone()).unwrap_or_default();
    Section {
        kind: PieceKind::Recap,
        tokens: counter.count(&text) + MESSAGE_TOKENS,
        text: text.into(),
        turns,
        full_tokens: digests.iter().map(|turn| turn.full_tokens).sum(),
        originals,
        cuts: range.filter_map(|at| draft.cut(at)).collect(),
        by: None,
        playbook: None,
        bullets: Vec::new(),
    }
}

/// Who wrote a section beside the rules: the models that told its turns, and one that scored their lines.
fn maker(source: &RecapSource<'_>, turns: [u32; 2], told: &[Told], text: &str) -> Option<Maker> {
    let tellers = told.iter().filter(|told| !told.text.is_empty()).map(|told| &told.by);
    let makers: Vec<&Maker> = tellers.chain(source.made.scorer(turns)).chain(source.learned.maker()).collect();
    if makers.is_empty() {
        return None;
    }
    let said = facts_in(told.iter().map(|told| told.text.as_ref()));
    let is_told = told.iter().any(|told| !told.text.is_empty());
    let appended = if is_told { facts_in([text]).difference(&said).count() } else { 0 };
    let guidelines = joined(makers.iter().filter_map(|maker| maker.guideline.as_deref()));
    Some(Maker {
        compressor: joined(makers.iter().map(|maker| maker.compressor.as_str())),
        guideline: Some(guidelines).filter(|guidelines| !guidelines.is_empty()),
        facts_appended: u32::try_from(appended).unwrap_or(u32::MAX),
        rejected: makers.iter().flat_map(|maker| maker.rejected.iter().cloned()).collect(),
        failed: None,
    })
}

/// Names, each once, in their order.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(*name)).collect::<Vec<_>>().join("+")
}

fn originals(turns: &[TurnDigest]) -> Vec<OriginalHash> {
    let mut seen = HashSet::new();
    let newest = turns.iter().rev().flat_map(|turn| &turn.sources).map(|source| source.original);
    newest.filter(|hash| seen.insert(*hash)).take(MOST_ORIGINALS).collect()
}

fn facts_in<'a>(texts: impl IntoIterator<Item = &'a str>) -> HashSet<FactKey> {
    let of = |text: &'a str| facts(text).into_iter().filter_map(move |fact| text.get(fact.span).map(FactKey::of));
    texts.into_iter().flat_map(of).collect()
}
