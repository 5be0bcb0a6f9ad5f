//! Trajectories replayed at one budget, one after the other.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use recap_core::context::{ContextError, ContextRequest, HeadWord, Include, PieceKind, Receipt, Section};
use recap_core::tokens::Counter;
use recap_core::trajectory::{OriginalHash, OutFormat, WireFormat};
use recap_core::tuning::{
    Auditor, ContextServer, IdleLine, Loss, Lost, MessageCache, Replay, ReplayBudget, ServedContext, TrajectoryScore,
    idle_lines, later_values, replay_with,
};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::config::Config;
use crate::llm::Attempt;
use crate::pipeline::append_messages::Incoming;
use crate::pipeline::compress::{Compressors, Prepared};
use crate::pipeline::counters::Counters;
use crate::pipeline::failure::Failure;
use crate::pipeline::guidelines::GuidelineSet;
use crate::pipeline::rehearse::Rehearsal;
use crate::tune::RecordedRun;

/// Why a recorded run cannot be replayed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A message is refused, or a context cannot be served.
    #[error("{}", told(.0))]
    Failure(#[from] Failure),
    /// A served message is no JSON.
    #[error("a served message cannot be read: {0}")]
    Served(#[from] serde_json::Error),
}

/// Says what is wrong with messages, which [`Failure`] leaves to its reader.
fn told(failure: &Failure) -> String {
    match failure {
        Failure::Invalid(faults) => {
            let said: Vec<String> = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
            said.join("; ")
        }
        other => other.to_string(),
    }
}

/// The budget of a round.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// A share of each trajectory's full peak, and the least that it gives.
    Share {
        /// From 0 to 1.
        fraction: f64,
        /// Tokens beside the system prompt.
        floor: u32,
    },
    /// Tokens of the whole context.
    Tokens(u32),
}

impl Budget {
    /// Returns the field that names it.
    #[must_use]
    pub fn to_json(self) -> Value {
        match self {
            Self::Share { fraction, .. } => json!({ "fraction": fraction }),
            Self::Tokens(tokens) => json!({ "budget": tokens }),
        }
    }

    pub(super) fn of_replay(self) -> ReplayBudget {
        match self {
            Self::Share { fraction, floor } => ReplayBudget::Rule(Replay { fraction, floor }),
            Self::Tokens(tokens) => ReplayBudget::Tokens(i64::from(tokens)),
        }
    }
}

/// What serves.
pub struct Server<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The tokenizers.
    pub counters: &'a Counters,
    /// The guidelines.
    pub guideline: &'a GuidelineSet,
    /// The model whose tokenizer counts.
    pub model: &'a str,
    /// The models that compress; used where the configuration says so.
    pub compressors: &'a Compressors,
}

/// All that was replayed at one budget.
pub struct Round {
    /// The budget.
    pub budget: Budget,
    /// The trajectories' ids.
    pub ids: Vec<String>,
    /// What their replays counted, in the same order.
    pub scores: Vec<TrajectoryScore>,
    /// In how many of each trajectory's epochs a trained head had a word, in the same order.
    pub heard: Vec<Heard>,
    /// Epochs begun.
    pub epochs: usize,
    /// How long each context took.
    pub took: Vec<Duration>,
    /// What models made, and what that took.
    pub models: Models,
}

/// In how many epochs a trained head had a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// Epochs that were planned with values, for which a head was to be asked.
    pub planned: u64,
    /// Those that were like its training, so that it was.
    pub heard: u64,
}

impl Heard {
    fn note(&mut self, word: Option<HeadWord>) {
        self.planned += u64::from(word.is_some());
        self.heard += u64::from(word == Some(HeadWord::Asked));
    }
}

impl std::iter::Sum for Heard {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        let add = |sum: Self, one: Self| Self { planned: sum.planned + one.planned, heard: sum.heard + one.heard };
        all.fold(Self::default(), add)
    }
}

/// What one run's contexts lost, and what they kept for nothing.
#[derive(Debug, Default)]
pub struct Studied {
    /// Each value that they lost, with what dropped it.
    pub losses: Vec<Loss>,
    /// Lines whose values no later action used.
    pub idle: Vec<IdleLine>,
}

/// What models made for a round's epochs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Models {
    /// Compressions that were made.
    pub made: u32,
    /// Compressions that no model could make; rules served.
    pub failed: u32,
    /// Calls to chat models.
    pub calls: u64,
    /// Tokens that they read.
    pub prompt_tokens: u64,
    /// Tokens that they wrote.
    pub reply_tokens: u64,
    /// US dollars; absent where a price is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Time that the models took.
    pub seconds: f64,
    /// Why compressions failed, with how often.
    pub reasons: BTreeMap<String, u32>,
    /// The calls, for the ledger.
    #[serde(skip)]
    pub attempts: Vec<Attempt>,
}

impl Models {
    #[expect(clippy::cast_precision_loss, reason = "millionths of dollars of one run")]
    pub(super) fn note(&mut self, prepared: Prepared, took: Duration) {
        self.made += prepared.made;
        self.failed += u32::try_from(prepared.failed.len()).unwrap_or(u32::MAX);
        self.seconds += took.as_secs_f64();
        for attempt in &prepared.attempts {
            let priced = if self.calls == 0 { Some(0.0) } else { self.cost_usd };
            self.cost_usd = priced.zip(attempt.cost_usd_micros).map(|(sum, micros)| sum + micros as f64 / 1e6);
            self.calls += 1;
            self.prompt_tokens += attempt.prompt_tokens;
            self.reply_tokens += attempt.reply_tokens;
        }
        self.attempts.extend(prepared.attempts);
        for why in prepared.failed {
            *self.reasons.entry(why).or_default() += 1;
        }
    }
}

impl Round {
    /// Begins a round.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let (ids, scores, heard) = (Vec::new(), Vec::new(), Vec::new());
        Self { budget, ids, scores, heard, epochs: 0, took: Vec::new(), models: Models::default() }
    }

    /// Replays a trajectory.
    ///
    /// # Errors
    ///
    /// Fails where a context cannot be served.
    pub fn replay(
        &mut self,
        run: &RecordedRun,
        cache: &mut MessageCache,
        server: &Server<'_>,
    ) -> Result<(), ReplayError> {
        self.replay_heard(run, cache, server, None)
    }

    /// As [`Round::audit`], and says which lines contexts kept for nothing.
    ///
    /// # Errors
    ///
    /// Fails where a context cannot be served.
    pub fn study(
        &mut self,
        run: &RecordedRun,
        cache: &mut MessageCache,
        server: &Server<'_>,
    ) -> Result<Studied, ReplayError> {
        let idle =
            Some(Idle { counter: server.counters.of(Some(server.model)), seen: HashSet::new(), lines: Vec::new() });
        let mut hearing = Hearing { run, auditor: Auditor::default(), losses: Vec::new(), idle };
        self.replay_heard(run, cache, server, Some(&mut hearing))?;
        Ok(Studied { losses: hearing.losses, idle: hearing.idle.map(|idle| idle.lines).unwrap_or_default() })
    }

    /// Replays a trajectory and says what dropped each value that its contexts lost.
    ///
    /// # Errors
    ///
    /// Fails where a context cannot be served.
    pub fn audit(
        &mut self,
        run: &RecordedRun,
        cache: &mut MessageCache,
        server: &Server<'_>,
    ) -> Result<Vec<Loss>, ReplayError> {
        let mut hearing = Hearing { run, auditor: Auditor::default(), losses: Vec::new(), idle: None };
        self.replay_heard(run, cache, server, Some(&mut hearing))?;
        Ok(hearing.losses)
    }

    fn replay_heard(
        &mut self,
        run: &RecordedRun,
        cache: &mut MessageCache,
        server: &Server<'_>,
        hearing: Option<&mut Hearing<'_>>,
    ) -> Result<(), ReplayError> {
        let Server { config, counters, guideline, model, compressors } = server;
        let rehearsal = Rehearsal::new(config, counters, guideline, Some(model))?;
        let at = self.budget.of_replay();
        let heard = Heard::default();
        let mut stage = Stage { round: self, rehearsal, rest: &run.messages, compressors, hearing, heard };
        let score = replay_with(&run.recorded, at, cache, &mut stage)?;
        let heard = stage.heard;
        self.ids.push(run.id.clone());
        self.scores.push(score);
        self.heard.push(heard);
        Ok(())
    }
}

/// Who asks what dropped the values that contexts lost.
struct Hearing<'a> {
    run: &'a RecordedRun,
    auditor: Auditor,
    losses: Vec<Loss>,
    idle: Option<Idle>,
}

/// Lines that contexts kept for nothing.
struct Idle {
    counter: Counter,
    /// The hashes of the sections that were looked at.
    seen: HashSet<OriginalHash>,
    lines: Vec<IdleLine>,
}

impl Idle {
    /// Looks at the sections that a context shows for the first time; `sent` messages stand before the action.
    fn note(&mut self, run: &RecordedRun, sections: &[Section], sent: usize) {
        let recaps = sections.iter().filter(|section| section.kind == PieceKind::Recap);
        let new: Vec<_> = recaps.filter(|section| self.seen.insert(OriginalHash::of(&section.text))).collect();
        if new.is_empty() {
            return;
        }
        let used = later_values(&run.recorded, sent);
        for section in new {
            self.lines.extend(idle_lines(&run.id, section, &used, self.counter.as_ref()));
        }
    }
}

/// One trajectory as it is served.
struct Stage<'a, 'h> {
    round: &'a mut Round,
    rehearsal: Rehearsal,
    /// The messages that were not handed over yet.
    rest: &'a [Box<RawValue>],
    compressors: &'a Compressors,
    hearing: Option<&'a mut Hearing<'h>>,
    heard: Heard,
}

impl ContextServer for Stage<'_, '_> {
    type Error = ReplayError;

    fn serve(&mut self, sent: &[Value], budget: i64) -> Result<ServedContext, ReplayError> {
        let (new, later) = self.rest.split_at_checked(sent.len()).unwrap_or((self.rest, &[]));
        self.rest = later;
        let incoming = Incoming { format: WireFormat::OpenAi, messages: new.to_vec(), system: None };
        self.rehearsal.append(&incoming)?;
        self.read(u32::try_from(budget).unwrap_or(u32::MAX))
    }

    fn lost(&mut self, lost: &Lost) {
        if let Some(Hearing { run, auditor, losses, .. }) = &mut self.hearing {
            losses.extend(auditor.explain(&run.recorded, self.rehearsal.session(), lost));
        }
    }
}

impl Stage<'_, '_> {
    fn read(&mut self, budget: u32) -> Result<ServedContext, ReplayError> {
        let mut request =
            ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include: Include::default() };
        let start = Instant::now();
        let mut answer = self.rehearsal.serve(&request);
        let refused = match &answer {
            Err(Failure::Context(ContextError::BudgetTooSmall { minimum_budget, .. })) => Some(*minimum_budget),
            _ => None,
        };
        if let Some(minimum) = refused {
            request.budget = minimum;
            answer = self.rehearsal.serve(&request);
        }
        self.round.took.push(start.elapsed());
        let served = answer?;
        self.round.epochs += usize::from(served.new_epoch.is_some());
        self.heard.note(served.head_word);
        self.note(&request, &served.receipt);
        if self.rehearsal.awaits_models(&served) {
            let start = Instant::now();
            let preparing = self.rehearsal.prepare(self.compressors, &request);
            let prepared = tokio::task::block_in_place(|| Handle::current().block_on(preparing));
            self.round.models.note(prepared, start.elapsed());
        }
        let messages = served.messages.iter().map(|text| serde_json::from_str(text)).collect::<Result<_, _>>()?;
        Ok(ServedContext { messages, refused: refused.is_some() })
    }

    fn note(&mut self, request: &ContextRequest, receipt: &Receipt) {
        let session = self.rehearsal.session();
        let epoch = session.epoch_of(&request.line_key());
        if let Some((hearing, epoch)) = self.hearing.as_mut().zip(epoch) {
            hearing.auditor.note(session, request, epoch, &receipt.pieces);
            let sent = hearing.run.messages.len() - self.rest.len();
            if let Some(idle) = &mut hearing.idle {
                idle.note(hearing.run, &epoch.sections, sent);
            }
        }
    }
}
