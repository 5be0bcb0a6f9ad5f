//! The epoch planner: which turns stay as messages, what the block says of the others, where it lands.

use std::collections::{BTreeMap, HashSet};

use super::admit::Admitted;
use super::epoch::{EditedMessage, EpochRecord, Section};
use super::fit::{FitTerms, Fitted, fit_turn, skeleton};
use super::kept::{condensed_edits, first_kept, kept_tokens};
use super::lessons::LessonWords;
use super::made::Made;
use super::recap::{Block, RecapSource, note_gains, words, write_block, write_facts, write_recalled};
use super::receipt::PieceKind;
use super::request::{ContextError, ContextRequest};
use super::scales::Scales;
use super::serve::Layout;
use super::session::{Session, facts_of, is_system};
use super::settings::HistoryBy;
use super::worth::{HeadWord, Learned};
use crate::tokens::REPLY_TOKENS;
use crate::trajectory::{Block as Content, FactKey, Origin};

/// Why an epoch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The line's first read.
    Start,
    /// The room is full.
    Room,
    /// Somebody asked.
    Asked,
    /// An older epoch was restored.
    Restored,
    /// Other code or configuration made the epoch before.
    Settings,
    /// Turns are grouped in another way since the agent's kind is known.
    Regrouped,
}

impl Cause {
    /// Returns the name shown in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Room => "room",
            Self::Asked => "asked",
            Self::Restored => "restored",
            Self::Settings => "settings",
            Self::Regrouped => "regrouped",
        }
    }
}

/// Share of the room that a block may take at least, beside a large last turn.
const LEAST_BLOCK_SHARE: f64 = 0.25;
/// Tokens below which a block says nothing worth saying.
const LEAST_BLOCK: u32 = 96;
/// Tokens below which a table beside the recap is mostly frame.
const LEAST_TABLE: u32 = 150;
/// Drafts that are laid out before the smallest epoch is taken.
const TRIES: u32 = 3;

/// What a block is written under.
struct Terms {
    room: u32,
    /// Tokens that it may take.
    target: u32,
    /// Values of the turns that stay.
    tail: HashSet<FactKey>,
    /// Words of what the agent is about to do.
    echo: HashSet<String>,
    /// What a trained head makes of the values.
    learned: Learned,
    nothing: Made,
}

/// Tokens of a block's parts.
#[derive(Clone, Copy)]
struct Rooms {
    recap: u32,
    facts: u32,
    recalled: u32,
}

/// A planned epoch.
pub struct Planned {
    /// The epoch.
    pub epoch: EpochRecord,
    /// What stands in its first context.
    pub layout: Layout,
    /// Whether a trained head had a word on the values that it covers.
    pub word: Option<HeadWord>,
}

/// Plans one epoch.
pub struct Planner<'a> {
    session: &'a Session,
    request: &'a ContextRequest,
    before: Option<&'a EpochRecord>,
    last: usize,
}

impl<'a> Planner<'a> {
    /// Prepares a plan for a line of reads as the trajectory stands; `before` is the epoch that ends, if its block may
    /// be kept in part.
    #[must_use]
    pub fn new(session: &'a Session, request: &'a ContextRequest, before: Option<&'a EpochRecord>) -> Self {
        let (last, _) = session.last_servable();
        Self { session, request, before, last }
    }

    /// Plans epoch `n`.
    ///
    /// # Errors
    /// [`ContextError::BudgetTooSmall`] if the pinned part and the last turn's skeleton do not fit.
    pub fn plan(&self, n: u32, cause: Cause) -> Result<Planned, ContextError> {
        if cause == Cause::Start
            && let Some((epoch, layout)) = self.whole(n, cause)
        {
            return Ok(Planned { epoch, layout, word: None });
        }
        let (least, layout) = self.least(n, cause);
        if layout.total > self.request.limit() {
            return Err(self.too_small(&layout));
        }
        // what rendering adds is known only afterwards: the next try leaves that much free
        let mut spare = 0;
        for _ in 0..TRIES {
            let (epoch, word) = self.draft(n, cause, spare);
            let layout = Layout::of(self.session, &epoch, self.request);
            match layout.total.checked_sub(self.request.limit()) {
                None | Some(0) => return Ok(Planned { epoch, layout, word }),
                Some(over) => spare += over,
            }
        }
        Ok(Planned { epoch: least, layout, word: None })
    }

    /// An epoch in which all turns stay as they are, with the playbook's excerpt if it fits beside them; `None` if they
    /// do not fit.
    fn whole(&self, n: u32, cause: Cause) -> Option<(EpochRecord, Layout)> {
        let bare = self.epoch(n, cause);
        let layout = Layout::within(self.session, &bare, self.request)?;
        let with_lessons = self.lessons(bare.room).and_then(|section| {
            let epoch = EpochRecord { sections: vec![section], ..bare.clone() };
            let layout = Layout::within(self.session, &epoch, self.request)?;
            Some((epoch, layout))
        });
        with_lessons.or(Some((bare, layout)))
    }

    /// An epoch that changes nothing.
    fn epoch(&self, n: u32, cause: Cause) -> EpochRecord {
        EpochRecord {
            line: self.request.line_key(),
            n,
            covered: 0,
            agent_kind: self.session.grouping(),
            began_at: index(self.last),
            room: self.room(),
            sections: Vec::new(),
            edits: BTreeMap::new(),
            maker: self.session.settings.maker.clone(),
            cause: cause.name().to_owned(),
        }
    }

    /// The smallest epoch there is: the pinned part and the last turn's skeleton.
    fn least(&self, n: u32, cause: Cause) -> (EpochRecord, Layout) {
        let mut epoch = self.epoch(n, cause);
        epoch.covered = index(self.last.saturating_sub(1));
        if self.last > 0 {
            let turn = self.session.turn_messages(self.last);
            epoch.edits = self.edits_by_message(skeleton(turn, &*self.session.settings.counter));
        }
        let layout = Layout::of(self.session, &epoch, self.request);
        (epoch, layout)
    }

    /// An epoch as it should be, leaving `spare` tokens of the room free, and whether a head had a word on it.
    fn draft(&self, n: u32, cause: Cause, spare: u32) -> (EpochRecord, Option<HeadWord>) {
        let lessons = self.lessons(self.room().saturating_sub(spare));
        let beside = lessons.as_ref().map_or(0, |section| section.tokens);
        let room = self.room().saturating_sub(spare + beside);
        let fitted = self.fit_last(room);
        let first = first_kept(self.session, share(room, self.session.settings.marks.tail), self.last, fitted.tokens);
        let tail = fitted.tokens + kept_tokens(self.session, first, self.last);
        let mut epoch = self.epoch(n, cause);
        epoch.edits = self.edits_by_message(fitted);
        let condensed = (first..self.last).flat_map(|turn| condensed_edits(self.session, turn));
        epoch.edits.extend(condensed.map(|(at, edited, _)| (at, edited)));
        epoch.covered = index(first.saturating_sub(1));
        let terms = self.terms(room, (tail, first));
        let mut word = terms.learned.word();
        let sections = self.block(&terms, epoch.covered, self.old_recap(lessons.as_ref()));
        if sections.iter().map(|section| section.tokens).sum::<u32>() >= self.tokens_of(1, first) {
            // the turns themselves take less (law 4)
            (epoch.covered, word) = (0, None);
        } else {
            epoch.sections = sections;
        }
        epoch.sections.splice(0..0, lessons);
        (epoch, word)
    }

    /// The sections of the epoch before that the provider need not read again: none where what stands before them
    /// changes.
    fn old_recap(&self, lessons: Option<&Section>) -> &[Section] {
        let Some(before) = self.before.filter(|before| before.lessons() == lessons) else { return &[] };
        before.sections.get(usize::from(lessons.is_some())..).unwrap_or_default()
    }

    /// The playbook's excerpt in its share of the room, if this line of reads wants one and there is a task that it can
    /// follow.
    fn lessons(&self, room: u32) -> Option<Section> {
        let lessons = self.session.lessons.as_ref().filter(|_| self.request.include.playbook)?;
        let task = task_of(self.session)?;
        let before = self.before.and_then(EpochRecord::lessons);
        let most = lessons.most(room);
        lessons.section((&task, &self.query()), most, before, &*self.session.settings.counter)
    }

    /// Tokens beside the pinned part.
    fn room(&self) -> u32 {
        self.request.limit().saturating_sub(self.pinned_tokens())
    }

    fn pinned_tokens(&self) -> u32 {
        self.tokens_of(0, 1) + self.session.settings.tools_tokens + REPLY_TOKENS
    }

    /// Tokens of turns `first..last` as served.
    fn tokens_of(&self, first: usize, last: usize) -> u32 {
        (first..last).flat_map(|turn| self.session.turn_messages(turn)).map(|message| message.served_tokens).sum()
    }

    /// The last turn, shortened if it alone would leave nothing for the block.
    fn fit_last(&self, room: u32) -> Fitted {
        if self.last == 0 {
            return Fitted { edits: BTreeMap::new(), tokens: 0 };
        }
        let turn = self.session.turn_messages(self.last);
        let block = if self.last > 1 { LEAST_BLOCK.max(share(room, LEAST_BLOCK_SHARE) / 2) } else { 0 };
        let query = self.query();
        let query: Vec<&str> = query.iter().map(String::as_str).collect();
        let terms =
            FitTerms { counter: &*self.session.settings.counter, rules: &self.session.settings.rules, query: &query };
        fit_turn(turn, room.saturating_sub(block), &terms)
    }

    fn too_small(&self, least: &Layout) -> ContextError {
        ContextError::BudgetTooSmall {
            budget: self.request.budget,
            minimum_budget: least.total.saturating_add(self.request.reserve),
        }
    }

    /// Writes the block so that the whole lands at the low mark. `old` are sections that may stay.
    fn block(&self, terms: &Terms, covered: u32, old: &[Section]) -> Vec<Section> {
        let source = self.source(terms, covered);
        let counter = &*self.session.settings.counter;
        let (rooms, whole) = self.whole_block(&source, terms.target);
        let Some(whole) = whole else { return Vec::new() };
        let Rooms { recap, facts, recalled } = rooms;
        let mut sections = self.keep_prefix(&source, recap, &whole, old).unwrap_or(whole.sections);
        let facts = write_facts(&source, &sections, facts, counter);
        sections.extend(facts);
        let recalled = write_recalled(&source, &sections, recalled, counter);
        sections.extend(recalled);
        sections
    }

    /// What a block is written under, `first` being the first turn that stays and `tail` the tokens of those that do.
    fn terms(&self, room: u32, (tail, first): (u32, usize)) -> Terms {
        let settings = &self.session.settings;
        let low = share(room, settings.marks.low);
        let tail_facts = (first..=self.last).flat_map(|turn| facts_of(self.session.turn_messages(turn))).collect();
        let echo = self.query().iter().flat_map(|text| words(text)).collect();
        let outlook = self.session.outlook(index(first.saturating_sub(1)), index(self.last), &tail_facts, &echo);
        let learned = settings.head.as_deref().map(|head| Learned::by(head, &outlook, &settings.weights));
        Terms {
            room,
            target: low.saturating_sub(tail).max(share(room, LEAST_BLOCK_SHARE)).min(room.saturating_sub(tail)),
            learned: learned.unwrap_or_default(),
            tail: tail_facts,
            echo,
            nothing: Made::default(),
        }
    }

    fn source<'b>(&'b self, terms: &'b Terms, covered: u32) -> RecapSource<'b> {
        let settings = &self.session.settings;
        let by_models = settings.prepares.history != HistoryBy::Rules;
        let (room, target) = (terms.room, terms.target);
        RecapSource {
            digest: &self.session.digest,
            made: if by_models { &self.session.made } else { &terms.nothing },
            covered,
            now: index(self.last),
            pinned: &self.session.head_facts,
            tail: &terms.tail,
            echo: &terms.echo,
            learned: &terms.learned,
            rules: &settings.history_rules,
            weights: settings.weights,
            pinned_tokens: share(room, settings.pinned_share).min(target),
            promised_tokens: share(room, settings.pinned_share.min(LEAST_BLOCK_SHARE) / 2.0).min(target),
            handles: settings.handles,
        }
    }

    /// A block that is rewritten as a whole, and the rooms of its parts.
    fn whole_block(&self, source: &RecapSource<'_>, target: u32) -> (Rooms, Option<Block>) {
        let settings = &self.session.settings;
        let wanted = |wanted: bool, part: f32| {
            Some(share(target, f64::from(part))).filter(|room| wanted && *room >= LEAST_TABLE).unwrap_or(0)
        };
        let facts = wanted(self.request.include.facts, settings.weights.facts_share);
        let recalled = wanted(self.request.include.recalled, settings.weights.recalled_share);
        let rooms = Rooms { recap: target - facts - recalled, facts, recalled };
        let whole = write_block(source, &[], rooms.recap, &*settings.counter);
        if rooms.recap == target || whole.as_ref().is_some_and(|whole| whole.keeps_promise) {
            return (rooms, whole);
        }
        // a person's words come before the tables
        let rooms = Rooms { recap: target, facts: 0, recalled: 0 };
        (rooms, write_block(source, &[], target, &*settings.counter))
    }

    /// Notes what the lines that an epoch leaves out would have added to it, as the trajectory stands. The plan is made
    /// again for that; `before` is the epoch that it followed, of which it may have kept sections.
    pub fn note_gains(&self, epoch: &EpochRecord, before: Option<&EpochRecord>, scales: &mut Scales) {
        let is_recap = |section: &&Section| section.kind == PieceKind::Recap;
        if !epoch.sections.iter().any(|section| is_recap(&section)) {
            return;
        }
        let old = before.into_iter().flat_map(|before| &before.sections).filter(is_recap);
        let both = epoch.sections.iter().filter(is_recap).zip(old);
        let kept: Vec<Section> =
            both.take_while(|(new, old)| new.text == old.text).map(|(new, _)| new.clone()).collect();
        let room = epoch.room.saturating_sub(epoch.lessons().map_or(0, |section| section.tokens));
        let first = epoch.covered as usize + 1;
        let terms = self.terms(room, (self.tail_tokens(epoch, first), first));
        let source = self.source(&terms, epoch.covered);
        let (rooms, _) = self.whole_block(&source, terms.target);
        note_gains(&source, &kept, rooms.recap, &*self.session.settings.counter, scales);
    }

    /// Tokens of the turns from `first` on, as an epoch serves them.
    fn tail_tokens(&self, epoch: &EpochRecord, first: usize) -> u32 {
        let turns = (first..=self.last).filter_map(|turn| self.session.turns.get(turn));
        let messages = turns.flat_map(|turn| turn.messages.clone());
        let tokens = |at: usize| match epoch.edits.get(&at) {
            Some(edited) => edited.tokens,
            None => self.session.messages.get(at).map_or(0, |admitted| admitted.served_tokens),
        };
        messages.map(tokens).sum()
    }

    /// Keeps as many of the last epoch's sections as what they say is still worth the tokens that the provider need not
    /// read again. `None` if rewriting the whole block is better.
    fn keep_prefix(
        &self,
        source: &RecapSource<'_>,
        target: u32,
        whole: &Block,
        old: &[Section],
    ) -> Option<Vec<Section>> {
        let mut best: Option<(f32, Vec<Section>)> = None;
        for kept in 1..=old.len() {
            let sections = old.get(..kept)?;
            if sections.iter().any(|section| section.kind != PieceKind::Recap || section.turns[1] > source.covered) {
                break;
            }
            let saved: u32 = sections.iter().map(|section| section.tokens).sum();
            if saved > target {
                break;
            }
            let Some(block) = write_block(source, sections, target, &*self.session.settings.counter) else { break };
            if !whole.words.iter().all(|words| block.holds(words)) {
                continue;
            }
            let lost = 1.0 - block.worth / whole.worth.max(f32::MIN_POSITIVE);
            let gain = self.session.settings.weights.stay * ratio(saved, target) - lost;
            if gain > best.as_ref().map_or(0.0, |(gain, _)| *gain) {
                best = Some((gain, block.sections));
            }
        }
        best.map(|(_, sections)| sections)
    }

    /// What the agent is about to do: the query, or the words of the last turn.
    fn query(&self) -> Vec<String> {
        if let Some(query) = &self.request.query {
            return vec![query.clone()];
        }
        self.session.turn_messages(self.last).iter().flat_map(said_texts).collect()
    }

    fn edits_by_message(&self, fitted: Fitted) -> BTreeMap<usize, EditedMessage> {
        let start = self.session.turns.get(self.last).map_or(0, |turn| turn.messages.start);
        fitted.edits.into_iter().map(|(message, edits)| (start + message, edits)).collect()
    }
}

/// The words of the task; `None` where there are none.
fn task_of(session: &Session) -> Option<String> {
    let head = session.turn_messages(0).iter().filter(|admitted| !is_system(&admitted.message));
    let task: Vec<String> = head.flat_map(said_texts).collect();
    (!task.is_empty()).then(|| task.join("\n"))
}

/// The words by which the next epoch would choose from a playbook; `None` without a task.
#[must_use]
pub fn lesson_words(session: &Session, query: Option<&str>) -> Option<LessonWords> {
    let task = task_of(session)?;
    let (last, _) = session.last_servable();
    let said = || session.turn_messages(last).iter().flat_map(said_texts).collect();
    let recent = match query {
        Some(query) => vec![query.to_owned()],
        None if last == 0 => Vec::new(),
        None => said(),
    };
    Some(LessonWords { task, recent })
}

/// The words and call arguments of a message, bounded.
pub(super) fn said_texts(admitted: &Admitted) -> Vec<String> {
    const MOST_CHARS: usize = 2_000;
    if admitted.message.origin == Origin::Recapd {
        return Vec::new();
    }
    admitted
        .message
        .blocks
        .iter()
        .filter_map(|block| match block {
            Content::Text(text) => Some(text.as_ref()),
            Content::Call(call) => Some(call.arguments.as_ref()),
            _ => None,
        })
        .map(|text| text.chars().take(MOST_CHARS).collect())
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^24")]
fn ratio(part: u32, whole: u32) -> f32 {
    part as f32 / whole.max(1) as f32
}

/// A share of the room, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32 between 0 and 1")]
#[must_use]
pub fn share(room: u32, share: f64) -> u32 {
    (f64::from(room) * share.clamp(0.0, 1.0)) as u32
}

fn index(turn: usize) -> u32 {
    u32::try_from(turn).unwrap_or(u32::MAX)
}
