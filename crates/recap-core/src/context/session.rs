//! The live state of one trajectory, and how a read is answered from it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::admit::Admitted;
use super::digest::Digest;
use super::epoch::EpochRecord;
use super::features::{Outlook, SeenValue};
use super::lessons::{LessonWords, Lessons};
use super::made::Made;
use super::plan::{Cause, Planned, Planner, lesson_words, said_texts};
use super::recap::words;
use super::request::{ContextError, ContextRequest};
use super::serve::{Layout, Served, Shown, render};
use super::settings::Settings;
use crate::tokens::REPLY_TOKENS;
use crate::trajectory::{AgentKind, FactKey, Message, Role, Turn, TurnBuilder, TurnKind, detect_agent_kind, facts};

/// One trajectory, live.
pub struct Session {
    pub(super) settings: Settings,
    pub(super) messages: Vec<Admitted>,
    pub(super) turns: Vec<Turn>,
    pub(super) digest: Digest,
    pub(super) head_facts: HashSet<FactKey>,
    pub(super) task_words: HashSet<String>,
    pub(super) made: Made,
    pub(super) lessons: Option<Box<Lessons>>,
    kind: Option<AgentKind>,
    builder: TurnBuilder,
    digested: usize,
    /// Tokens of messages `0..n` as sent, for each n.
    sums: Vec<u64>,
    lines: HashMap<String, Line>,
}

/// One line of reads.
struct Line {
    epoch: Arc<EpochRecord>,
    shown: Shown,
    /// Why the next read begins an epoch, if it must.
    ended: Option<Cause>,
    /// The newest turn when it was read last.
    read_at: usize,
}

/// Turns after which a line that nobody reads counts as given up, while others are read.
const IDLE_TURNS: usize = 32;

impl Session {
    /// Returns a session without messages.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let kind = settings.agent_kind;
        Self {
            builder: TurnBuilder::new(kind.unwrap_or(AgentKind::Tool)),
            settings,
            messages: Vec::new(),
            turns: Vec::new(),
            digest: Digest::default(),
            head_facts: HashSet::new(),
            task_words: HashSet::new(),
            made: Made::default(),
            lessons: None,
            kind,
            digested: 0,
            sums: vec![0],
            lines: HashMap::new(),
        }
    }

    /// Takes the next messages.
    pub fn append(&mut self, messages: Vec<Admitted>) {
        for admitted in messages {
            let sum = self.sums.last().copied().unwrap_or(0);
            self.sums.push(sum + u64::from(admitted.tokens));
            self.builder.push(&admitted.message);
            self.messages.push(admitted);
        }
        self.decide_kind();
        // only the last turn grows
        let settled = self.turns.len().saturating_sub(1);
        self.turns.truncate(settled);
        self.turns.extend_from_slice(self.builder.turns().get(settled..).unwrap_or_default());
    }

    /// Prepares at most `most` more turns for the next epoch, which prepares the rest itself. Tells whether there are
    /// more.
    pub fn prepare(&mut self, most: usize) -> bool {
        let closed = self.closed();
        self.digest_to(closed.min(self.digested.saturating_add(most)));
        self.is_behind()
    }

    /// Tells whether there are turns that [`Session::prepare`] would prepare.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.digested < self.closed()
    }

    /// Returns the number of messages.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.messages.len() as u64
    }

    /// Returns how observations are recognised; `None` while undecided.
    #[must_use]
    pub fn agent_kind(&self) -> Option<AgentKind> {
        self.kind
    }

    /// Returns the tokens of the whole trajectory as sent, tools and reply priming included.
    #[must_use]
    pub fn full_tokens(&self) -> u64 {
        self.sums.last().copied().unwrap_or(0) + u64::from(self.settings.tools_tokens + REPLY_TOKENS)
    }

    /// Pins or unpins a message from the next epoch on. Tells whether there is such a message.
    pub fn set_pinned(&mut self, n: usize, pinned: bool) -> bool {
        let Some(admitted) = self.messages.get_mut(n) else {
            return false;
        };
        admitted.pinned = pinned;
        if let Some(turn) = self.turns.iter().position(|turn| turn.messages.contains(&n)) {
            let number = u32::try_from(turn).unwrap_or(u32::MAX);
            let range = self.turns.get(turn).map_or(0..0, |turn| turn.messages.clone());
            let messages = self.messages.get(range).unwrap_or_default();
            self.digest.set_pinned(number, messages, &*self.settings.counter);
        }
        true
    }

    /// Returns the whole text of a turn, each message under its role: what the handle `t<turn>` of a recap stands for.
    #[must_use]
    pub fn turn_text(&self, turn: usize) -> Option<String> {
        let messages = self.turn_messages(turn);
        let parts = messages.iter().flat_map(|admitted| {
            let message = &admitted.message;
            message.originals().map(move |text| format!("[{}]\n{text}", message.role.name()))
        });
        (!messages.is_empty()).then(|| parts.collect::<Vec<_>>().join("\n\n"))
    }

    /// Changes the settings. Open epochs stay until they end.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes the playbook that epochs from now on show an excerpt of. Open epochs keep theirs.
    pub fn set_lessons(&mut self, lessons: Option<Lessons>) {
        self.lessons = lessons.map(Box::new);
    }

    /// Returns the playbook that epochs show an excerpt of.
    #[must_use]
    pub fn lessons(&self) -> Option<&Lessons> {
        self.lessons.as_deref()
    }

    /// As [`Session::lessons`], to give it points.
    pub fn lessons_mut(&mut self) -> Option<&mut Lessons> {
        self.lessons.as_deref_mut()
    }

    /// Returns the words by which an excerpt of the playbook is chosen as the trajectory stands, for reads with this query.
    /// `None` without playbook or task.
    #[must_use]
    pub fn lesson_words(&self, query: Option<&str>) -> Option<LessonWords> {
        self.lessons.as_ref().and_then(|_| lesson_words(self, query))
    }

    /// Tells whether the next epoch of a line of reads chooses an excerpt that better points would change: not where it
    /// shows none or keeps the one that there is.
    #[must_use]
    pub fn chooses_lessons(&self, request: &ContextRequest) -> bool {
        let Some(lessons) = self.lessons.as_ref().filter(|_| request.include.playbook) else { return false };
        let shown = self.lines.get(&request.line_key()).and_then(|line| line.epoch.lessons());
        !shown.is_some_and(|section| lessons.keeps(section))
    }

    /// Takes a stored epoch as the current one of its line. If other code or configuration made it, or turns are
    /// grouped in another way, the next read ends it.
    pub fn install_epoch(&mut self, record: EpochRecord) {
        let ended = if record.maker != self.settings.maker {
            Some(Cause::Settings)
        } else if !self.numbers_as(&record) || record.covered as usize >= self.turns.len().max(1) {
            Some(Cause::Regrouped)
        } else {
            None
        };
        let read_at = record.began_at as usize;
        let line = Line { epoch: Arc::new(record), shown: Shown::default(), ended, read_at };
        self.lines.insert(line.epoch.line.clone(), line);
    }

    /// Serves a context.
    ///
    /// # Errors
    /// [`ContextError::BudgetTooSmall`] if the pinned part and the last turn's skeleton do not fit.
    pub fn serve(&mut self, request: &ContextRequest) -> Result<Served, ContextError> {
        let key = request.line_key();
        let Some(line) = self.lines.get(&key) else {
            return self.begin(request, Cause::Start);
        };
        let regrouped = (!self.numbers_as(&line.epoch)).then_some(Cause::Regrouped);
        if let Some(cause) = line.ended.or(regrouped) {
            return self.begin(request, cause);
        }
        let epoch = Arc::clone(&line.epoch);
        match Layout::within(self, &epoch, request) {
            Some(layout) => Ok(self.show(&key, epoch, &layout, request, None)),
            None => self.begin(request, Cause::Room),
        }
    }

    /// Whether an epoch's turns have the numbers that they have now.
    fn numbers_as(&self, epoch: &EpochRecord) -> bool {
        epoch.covered == 0 || epoch.agent_kind == self.grouping()
    }

    /// Returns the epoch of a line of reads, `None` for one that nobody read.
    #[must_use]
    pub fn epoch_of(&self, line: &str) -> Option<&EpochRecord> {
        self.lines.get(line).map(|line| &*line.epoch)
    }

    /// Tokens beside the pinned part on a line of reads, `None` for one that nobody read.
    pub(super) fn room_of(&self, line: &str) -> Option<u32> {
        self.lines.get(line).map(|line| line.epoch.room)
    }

    /// What values are seen against when turns up to `covered` are planned at turn `now`.
    pub(super) fn outlook<'a>(
        &'a self,
        covered: u32,
        now: u32,
        tail: &'a HashSet<FactKey>,
        echo: &'a HashSet<String>,
    ) -> Outlook<'a> {
        let (digest, made, pinned, task) = (&self.digest, &self.made, &self.head_facts, &self.task_words);
        Outlook { digest, made, covered, now, pinned, tail, echo, task }
    }

    /// Returns the values that the current epoch of a line stands for, as they were seen when it began: what a head is
    /// trained on. Empty where the line has no epoch, or one that covers nothing.
    #[must_use]
    pub fn seen_values(&self, line: &str) -> Vec<SeenValue> {
        let Some(epoch) = self.lines.get(line).map(|line| &line.epoch).filter(|epoch| epoch.covered > 0) else {
            return Vec::new();
        };
        let kept = epoch.covered as usize + 1..=epoch.began_at as usize;
        let tail: HashSet<FactKey> = kept.flat_map(|turn| facts_of(self.turn_messages(turn))).collect();
        let newest = self.turn_messages(epoch.began_at as usize).iter().flat_map(said_texts);
        let echo: HashSet<String> = newest.flat_map(|text| words(&text).collect::<Vec<_>>()).collect();
        self.outlook(epoch.covered, epoch.began_at, &tail, &echo).values()
    }

    /// The last turn that the epochs of all lines cover; a line that is no longer read is not waited for.
    pub(super) fn covered_by_all(&self) -> usize {
        let newest = self.lines.values().map(|line| line.read_at).max().unwrap_or(0);
        let read = self.lines.values().filter(|line| line.read_at.saturating_add(IDLE_TURNS) >= newest);
        read.map(|line| line.epoch.covered).min().unwrap_or(0) as usize
    }

    /// How turns are grouped.
    pub(super) fn grouping(&self) -> AgentKind {
        self.kind.unwrap_or(AgentKind::Tool)
    }

    /// Tells whether a line of reads was served; only then is it known what its next epoch would cover.
    #[must_use]
    pub fn was_served(&self, line: &str) -> bool {
        self.lines.contains_key(line)
    }

    /// Forgets what was served: the next read of each line begins its first epoch. What models made stays.
    pub fn forget_served(&mut self) {
        self.lines.clear();
    }

    /// Begins the next epoch now and serves it.
    ///
    /// # Errors
    /// As [`Session::serve`].
    pub fn compact(&mut self, request: &ContextRequest) -> Result<Served, ContextError> {
        self.begin(request, Cause::Asked)
    }

    /// Begins a new epoch that repeats an older one's block, and serves it.
    ///
    /// # Errors
    /// As [`Session::serve`]; an old block that no longer fits beside the later turns ends at once.
    pub fn restore(&mut self, request: &ContextRequest, record: &EpochRecord) -> Result<Served, ContextError> {
        let key = request.line_key();
        let n = self.lines.get(&key).map_or(0, |line| line.epoch.n + 1);
        let epoch = Arc::new(EpochRecord {
            line: key.clone(),
            n,
            maker: self.settings.maker.clone(),
            cause: Cause::Restored.name().to_owned(),
            ..record.clone()
        });
        match Layout::within(self, &epoch, request).filter(|_| self.numbers_as(&epoch)) {
            Some(layout) => {
                let stored = Some((*epoch).clone());
                Ok(self.show(&key, epoch, &layout, request, stored))
            }
            None => self.begin(request, Cause::Room),
        }
    }

    fn begin(&mut self, request: &ContextRequest, cause: Cause) -> Result<Served, ContextError> {
        self.prepare(usize::MAX);
        let key = request.line_key();
        let n = self.lines.get(&key).map_or(0, |line| line.epoch.n + 1);
        let before = self.lines.get(&key).map(|line| &*line.epoch).filter(|_| cause == Cause::Room);
        let Planned { epoch, layout, word } = Planner::new(self, request, before).plan(n, cause)?;
        let stored = Some(epoch.clone());
        let served = self.show(&key, Arc::new(epoch), &layout, request, stored);
        Ok(Served { head_word: word, ..served })
    }

    fn show(
        &mut self,
        key: &str,
        epoch: Arc<EpochRecord>,
        layout: &Layout,
        request: &ContextRequest,
        stored: Option<EpochRecord>,
    ) -> Served {
        let line = self.lines.remove(key);
        let before = line.map(|line| self.shown_before(&line, &epoch, request)).unwrap_or_default();
        let (mut served, shown) = render(self, &epoch, layout, request, &before);
        self.lines.insert(key.to_owned(), Line { epoch, shown, ended: None, read_at: self.turns.len() });
        served.new_epoch = stored;
        served
    }

    /// What was served last on a line. After a restart that is not known: then it is what its epoch would serve now, so
    /// that a change of epoch is announced all the same.
    fn shown_before(&self, line: &Line, next: &EpochRecord, request: &ContextRequest) -> Shown {
        if line.shown.items.is_empty() && line.epoch.n < next.n {
            return Layout::of(self, &line.epoch, request).shown(self, &line.epoch);
        }
        line.shown.clone()
    }

    /// The last turn that can be served: an exchange whose results have not all come is left out.
    #[must_use]
    pub(super) fn last_servable(&self) -> (usize, bool) {
        let last = self.turns.len().saturating_sub(1);
        let open = self.missing_results(last) > 0;
        if open { (last.saturating_sub(1), true) } else { (last, false) }
    }

    /// How many calls of a turn have no result.
    #[must_use]
    pub(super) fn missing_results(&self, turn: usize) -> u32 {
        let mut calls: Vec<&str> = Vec::new();
        for admitted in self.turn_messages(turn) {
            calls.extend(admitted.message.calls().map(|call| call.id.as_ref()));
            for observation in admitted.message.observations() {
                if let Some(at) = calls.iter().position(|id| *id == observation.call_id.as_ref()) {
                    calls.swap_remove(at);
                }
            }
        }
        u32::try_from(calls.len()).unwrap_or(u32::MAX)
    }

    /// The messages of a turn.
    #[must_use]
    pub(super) fn turn_messages(&self, turn: usize) -> &[Admitted] {
        self.turns.get(turn).and_then(|turn| self.messages.get(turn.messages.clone())).unwrap_or_default()
    }

    /// Tokens of turns `first..=last` as sent.
    #[must_use]
    pub(super) fn full_tokens_of(&self, first: usize, last: usize) -> u32 {
        let at = |n: usize| self.sums.get(n).copied().unwrap_or(0);
        let start = self.turns.get(first).map_or(0, |turn| turn.messages.start);
        let end = self.turns.get(last).map_or(start, |turn| turn.messages.end);
        u32::try_from(at(end).saturating_sub(at(start))).unwrap_or(u32::MAX)
    }

    /// Decides how observations are recognised, once; then groups anew what came before.
    fn decide_kind(&mut self) {
        if self.kind.is_some() {
            return;
        }
        let messages: Vec<Message> = self.messages.iter().map(|admitted| admitted.message.clone()).collect();
        self.kind = detect_agent_kind(&messages, self.settings.tools_tokens > 0);
        if let Some(kind) = self.kind {
            self.builder = TurnBuilder::new(kind);
            for message in &messages {
                self.builder.push(message);
            }
            self.turns = Vec::new();
            self.digest = Digest::default();
            self.digested = 0;
            self.made.forget_turns();
        }
    }

    /// How many turns can no longer grow: all but the last.
    fn closed(&self) -> usize {
        self.turns.len().saturating_sub(1)
    }

    /// Digests turns up to, not with, number `end`.
    fn digest_to(&mut self, end: usize) {
        while self.digested < end {
            let at = self.digested;
            let turn = self.turns.get(at).cloned();
            self.digested += 1;
            let Some(turn) = turn else { continue };
            let messages = self.messages.get(turn.messages.clone()).unwrap_or_default();
            if turn.kind == TurnKind::Head {
                self.head_facts = facts_of(messages);
                let task = messages.iter().filter(|admitted| !is_system(&admitted.message));
                let texts = task.flat_map(|admitted| admitted.message.originals());
                self.task_words = texts.flat_map(|text| words(text)).collect();
            } else {
                let number = u32::try_from(at).unwrap_or(u32::MAX);
                self.digest.push(number, turn.kind, messages, &*self.settings.counter);
            }
        }
    }
}

/// The values that stand in messages as served.
pub(super) fn facts_of(messages: &[Admitted]) -> HashSet<FactKey> {
    let mut found = HashSet::new();
    for admitted in messages {
        for text in admitted.message.originals() {
            found.extend(facts(text).into_iter().filter_map(|fact| text.get(fact.span).map(FactKey::of)));
        }
    }
    found
}

/// Whether a message is the operator's.
pub(super) fn is_system(message: &Message) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}
