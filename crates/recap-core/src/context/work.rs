//! What there is to do for a compressor with a model before the next epoch begins.

use std::fmt::Write as _;
use std::sync::Arc;

use super::admit::Admitted;
use super::digest::TurnDigest;
use super::kept::first_kept;
use super::made::Compression;
use super::plan::share;
use super::session::Session;
use super::settings::{HistoryBy, Settings};
use crate::compress::{Elide, cut_head_tail, elide};
use crate::trajectory::{AgentKind, Block, Origin, OriginalHash, Role, TurnKind};

/// Turns that wait for a recap.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryWork {
    /// First and last turn.
    pub turns: [u32; 2],
    /// How turns are grouped.
    pub agent_kind: AgentKind,
    /// The turns as text, results shortened by rules where one alone would fill the window.
    pub source: String,
    /// Tokens of the turns as served.
    pub source_tokens: u32,
    /// The agent's task.
    pub task: String,
    /// What the agent is about to do.
    pub query: String,
    /// The recaps of the turns before, the newest ones.
    pub previous: String,
}

/// A tool result that waits to be shortened.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservationWork {
    /// Its address.
    pub original: OriginalHash,
    /// Its text as served.
    pub source: String,
    /// Tokens of it.
    pub source_tokens: u32,
    /// The agent's task.
    pub task: String,
    /// The call that it answers, and what the agent said with it.
    pub query: String,
}

/// Lines of one turn that wait to be scored.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoreWork {
    /// The turn.
    pub turn: u32,
    /// How turns are grouped.
    pub agent_kind: AgentKind,
    /// Numbers and texts of the lines.
    pub lines: Vec<(u32, String)>,
    /// The task and what the agent is about to do.
    pub query: String,
}

/// Characters of the task, and of what the agent is about to do, that a model is shown.
const TASK_CHARS: usize = 1_600;
const QUERY_CHARS: usize = 600;
/// Characters of each where single lines are scored against them.
const SCORED_CHARS: usize = 240;
/// Share of the input that one text may take.
const ONE_TEXT: u32 = 3;

impl Session {
    /// Takes what a model made. Tells whether it is of use.
    pub fn take(&mut self, mut made: Compression) -> bool {
        let grouping = self.grouping();
        if let Compression::Told(told) = &mut made {
            // it may have been made for another model's tokenizer
            told.tokens = self.settings.counter.count(&told.text);
        }
        self.made.take(made, grouping)
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the last turn that models have prepared; 0 for none.
    #[must_use]
    pub fn prepared_to(&self) -> u32 {
        self.made.told_to().max(self.made.scored_to())
    }

    /// Returns the next turns on a line of reads that a model should tell: those that the next epoch would cover and no
    /// recap stands for, if they take at least `least_tokens`; as many as fit `most_tokens`. What does not fit is the next
    /// work, however little it is.
    #[must_use]
    pub fn history_work(&mut self, line: &str, least_tokens: u32, most_tokens: u32) -> Option<HistoryWork> {
        let room = self.room_of(line)?;
        if !self.has_history_work(room, least_tokens) {
            return None;
        }
        let (first, last) = self.untold(room)?;
        self.made.will_tell(number(last));
        let mut source = String::new();
        let mut used = 0;
        let mut told = first;
        for turn in first..=last {
            let text = self.told_text(turn, most_tokens);
            let tokens = self.settings.counter.count(&text);
            if turn > first && used + tokens > most_tokens {
                break;
            }
            (used, told) = (used + tokens, turn);
            source.push_str(&text);
        }
        Some(HistoryWork {
            turns: [number(first), number(told)],
            agent_kind: self.grouping(),
            source,
            source_tokens: (first..=told).map(|turn| self.served_tokens(turn)).sum(),
            task: self.task(),
            query: self.about_to_do(),
            previous: self.recaps_before(),
        })
    }

    fn has_history_work(&self, room: u32, least_tokens: u32) -> bool {
        self.untold(room).is_some_and(|(first, last)| {
            let mut tokens = 0;
            self.made.is_telling()
                || (first..=last).any(|turn| {
                    tokens += self.served_tokens(turn);
                    tokens >= least_tokens
                })
        })
    }

    /// Tells whether the next epoch on a line would be better if models had the time to prepare it.
    #[must_use]
    pub fn awaits_models(&self, line: &str) -> bool {
        self.room_of(line).is_some_and(|room| self.awaits_models_in(room))
    }

    /// As [`Session::awaits_models`], on a line with this room.
    pub(super) fn awaits_models_in(&self, room: u32) -> bool {
        match self.settings.prepares.history {
            HistoryBy::Rules => false,
            HistoryBy::Scored => (self.made.scored_to() as usize) < self.covered_next(room),
            HistoryBy::Told { least_tokens } => self.has_history_work(room, least_tokens),
        }
    }

    /// Returns the next result of more than `least_tokens` that no epoch covers and no model has shortened.
    #[must_use]
    pub fn observation_work(&self, least_tokens: u32, most_tokens: u32) -> Option<ObservationWork> {
        self.large_results(least_tokens).next().map(|large| self.observation_work_on(&large, most_tokens))
    }

    /// Returns the work on the result with this address, if no epoch covers it and no model has shortened it.
    #[must_use]
    pub fn observation_work_of(&self, original: OriginalHash, most_tokens: u32) -> Option<ObservationWork> {
        let found = self.large_results(0).find(|large| large.original == original)?;
        Some(self.observation_work_on(&found, most_tokens))
    }

    /// Tells whether [`Session::observation_work`] has something to do.
    #[must_use]
    pub fn has_observation_work(&self, least_tokens: u32) -> bool {
        self.large_results(least_tokens).next().is_some()
    }

    /// The result in a block: a tool's, or the environment's words to an agent whose actions stand in its text.
    pub(super) fn result_in<'a>(&self, turn: usize, admitted: &'a Admitted, block: usize) -> Option<&'a Arc<str>> {
        let is_exchange = self.turns.get(turn).is_some_and(|turn| turn.kind == TurnKind::Exchange);
        match admitted.message.blocks.get(block)? {
            Block::Observation(observation) => Some(&observation.text),
            Block::Text(text)
                if is_exchange && self.grouping() == AgentKind::Text && admitted.message.role == Role::User =>
            {
                Some(text)
            }
            _ => None,
        }
    }

    /// Returns the lines of the next turn, on a line of reads, that the next epoch would cover and that are not scored.
    #[must_use]
    pub fn score_work(&mut self, line: &str) -> Option<ScoreWork> {
        self.prepare(usize::MAX);
        let end = number(self.covered_next(self.room_of(line)?));
        let turns = self.digest.up_to(end);
        let Some(next) = turns.get(turns.partition_point(|turn| turn.turn <= self.made.scored_to())) else {
            self.made.has_scored(end);
            return None;
        };
        Some(self.score_work_of(next))
    }

    /// Returns the lines of the next turn, on a line of reads, that no model could tell and none has scored.
    #[must_use]
    pub fn undone_work(&mut self, line: &str) -> Option<ScoreWork> {
        self.prepare(usize::MAX);
        let end = number(self.covered_next(self.room_of(line)?));
        let undone = self.digest.up_to(end).iter().find(|turn| self.made.is_undone(turn.turn))?;
        Some(self.score_work_of(undone))
    }

    fn score_work_of(&self, turn: &TurnDigest) -> ScoreWork {
        ScoreWork {
            turn: turn.turn,
            agent_kind: self.grouping(),
            lines: turn.lines.iter().map(|line| (line.number, line.text.to_string())).collect(),
            query: self.scored_query(),
        }
    }

    /// The turns that the next epoch on a line would cover and no recap stands for.
    fn untold(&self, room: u32) -> Option<(usize, usize)> {
        let first = self.made.told_to() as usize + 1;
        let end = self.covered_next(room);
        (first <= end).then_some((first, end))
    }

    /// The last turn that an epoch beginning now would cover on a line with this room.
    fn covered_next(&self, room: u32) -> usize {
        let (last, _) = self.last_servable();
        let most = share(room, self.settings.marks.tail);
        first_kept(self, most, last, self.served_tokens(last)).saturating_sub(1)
    }

    pub(super) fn served_tokens(&self, turn: usize) -> u32 {
        self.turn_messages(turn).iter().map(|message| message.served_tokens).sum()
    }

    /// What a person asked for first.
    pub(super) fn task(&self) -> String {
        let head = self.turn_messages(0).iter().filter(|admitted| admitted.message.role == Role::User);
        let texts = head.flat_map(|admitted| admitted.message.originals());
        texts.flat_map(|text| text.chars().chain(['\n'])).take(TASK_CHARS).collect::<String>().trim().to_owned()
    }

    /// What the agent said and called last.
    fn about_to_do(&self) -> String {
        self.said_in(self.last_servable().0)
    }

    /// What the agent said and called in a turn.
    pub(super) fn said_in(&self, turn: usize) -> String {
        let said = self.turn_messages(turn).iter().filter(|admitted| admitted.message.role == Role::Assistant);
        let texts = said.flat_map(|admitted| admitted.message.originals());
        texts.flat_map(|text| text.chars().chain(['\n'])).take(QUERY_CHARS).collect::<String>().trim().to_owned()
    }

    /// What lines are scored against: what the agent is doing and its task, short, for every line is read with it.
    fn scored_query(&self) -> String {
        let short = |text: String| text.chars().take(SCORED_CHARS).collect::<String>();
        format!("{}\n{}", short(self.about_to_do()), short(self.task())).trim().to_owned()
    }

    fn recaps_before(&self) -> String {
        self.recaps_up_to(u32::MAX)
    }

    /// The newest recaps up to a turn.
    pub(super) fn recaps_up_to(&self, turn: u32) -> String {
        const SHOWN: usize = 2;
        let told = self.made.told(0, turn);
        let newest = told.get(told.len().saturating_sub(SHOWN)..).unwrap_or_default();
        newest.iter().map(|told| told.text.as_ref()).collect::<Vec<_>>().join("\n")
    }

    /// A turn as a model reads it.
    pub(super) fn told_text(&self, turn: usize, most_tokens: u32) -> String {
        let mut out = String::new();
        let agent = |admitted: &&Admitted| admitted.message.origin == Origin::Agent;
        for admitted in self.turn_messages(turn).iter().filter(agent) {
            for (at, block) in admitted.message.blocks.iter().enumerate() {
                let Some((label, text)) = self.labelled(turn, admitted, block) else { continue };
                let served = admitted.reformatted_text(at).unwrap_or(text);
                let shown = self.within(served, text, most_tokens / ONE_TEXT);
                let _infallible = writeln!(out, "[{turn}] {label}: {}", shown.trim_end());
            }
        }
        if self.settings.counter.count(&out) > most_tokens {
            out = cut_head_tail(&out, most_tokens, &*self.settings.counter);
            out.push('\n');
        }
        out
    }

    /// A text in at most `most` tokens.
    pub(super) fn within(&self, served: &str, original: &str, most: u32) -> String {
        let settings = &self.settings;
        let shorter = elide(&Elide {
            text: served,
            original: OriginalHash::of(original),
            budget_tokens: most,
            counter: &*settings.counter,
            query: &[],
            rules: &settings.rules,
            scores: &[],
        });
        shorter.map_or_else(|| served.to_owned(), |elided| elided.text)
    }

    /// The results of more than `least_tokens` that wait, oldest first; each is looked at only when it is its turn.
    fn large_results(&self, least_tokens: u32) -> impl Iterator<Item = Large<'_>> {
        let agent =
            move |admitted: &&Admitted| admitted.message.origin == Origin::Agent && admitted.tokens > least_tokens;
        let turns = self.covered_by_all() + 1..self.turns.len();
        turns
            .flat_map(move |turn| self.turn_messages(turn).iter().filter(agent).map(move |admitted| (turn, admitted)))
            .flat_map(|(turn, admitted)| (0..admitted.message.blocks.len()).map(move |at| (turn, admitted, at)))
            .filter_map(move |(turn, admitted, at)| self.large_result(turn, admitted, at, least_tokens))
    }

    fn large_result<'a>(&self, turn: usize, admitted: &'a Admitted, at: usize, least_tokens: u32) -> Option<Large<'a>> {
        let (result, original) = (self.result_in(turn, admitted, at)?, admitted.original(at)?);
        if self.made.condensed(original).is_some() {
            return None;
        }
        let served = admitted.reformatted_text(at).unwrap_or(result);
        let tokens = self.settings.counter.count(served);
        (tokens > least_tokens).then_some(Large { turn, original, result, served, tokens })
    }

    /// The calls of a turn, and what the agent said with them.
    pub(super) fn calls_of(&self, turn: usize) -> String {
        let messages = self.turn_messages(turn).iter();
        let calls = messages.filter(|admitted| admitted.message.role == Role::Assistant);
        let calls: Vec<&str> = calls.flat_map(|admitted| admitted.message.originals().map(AsRef::as_ref)).collect();
        calls.join("\n").chars().take(QUERY_CHARS).collect()
    }

    fn observation_work_on(&self, large: &Large<'_>, most_tokens: u32) -> ObservationWork {
        ObservationWork {
            original: large.original,
            source: self.within(large.served, large.result, most_tokens),
            source_tokens: large.tokens,
            task: self.task(),
            query: self.calls_of(large.turn),
        }
    }
}

/// A result that waits to be shortened.
struct Large<'a> {
    turn: usize,
    original: OriginalHash,
    result: &'a str,
    served: &'a str,
    tokens: u32,
}

fn number(turn: usize) -> u32 {
    u32::try_from(turn).unwrap_or(u32::MAX)
}
