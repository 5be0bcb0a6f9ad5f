//! A version tried on a stored trajectory beside the champion; nothing is stored.

use std::collections::HashSet;
use std::sync::Arc;

use recap_core::compress::{Elide, elide};
use recap_core::context::{Admitted, ContextRequest, Handles, Include, PieceKind, Served, Session};
use recap_core::tokens::Counter;
use recap_core::trajectory::{AgentKind, Block, OriginalHash, OutFormat, Turn, TurnBuilder, detect_agent_kind, facts};

use super::current::Place;
use super::versions::{check, known_place};
use super::{GuidelineSet, Kind, Steering};
use crate::config::{Compressor, lack};
use crate::pipeline::failure::Failure;
use crate::pipeline::keys::Caller;
use crate::pipeline::live::Live;
use crate::pipeline::settings::settings;
use crate::pipeline::{Pipeline, compute};

/// Values that are shown of those kept and of those lost.
const MOST_VALUES: usize = 50;

/// What is to be tried.
#[derive(Debug, Clone, Default)]
pub struct Attempt {
    /// The trajectory.
    pub trajectory: String,
    /// The text of the version, or else its hash.
    pub text: Option<String>,
    /// A stored version; the champion where neither is told.
    pub hash: Option<OriginalHash>,
    /// First and last turn; all where it is not told.
    pub turns: Option<[u32; 2]>,
    /// The message whose result is shortened; the largest one where it is not told.
    pub observation: Option<usize>,
    /// Most tokens; the trajectory's budget, or half of the observation's tokens, where it is not told.
    pub budget: Option<u32>,
    /// What compresses; rules where it is not told.
    pub compressor: Option<Compressor>,
}

/// What a version made of a trajectory, beside what the champion makes of it.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What compressed both.
    pub compressor: &'static str,
    /// Most tokens: of the whole context for a history, of the text for an observation.
    pub budget: u32,
    /// The message whose result was shortened.
    pub observation: Option<usize>,
    /// What the champion makes; `None` where there is none.
    pub champion: Option<Outcome>,
    /// What the version makes.
    pub candidate: Outcome,
}

/// What one version makes.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Set, kind and hash of the version.
    pub guideline: String,
    /// First and last turn that the text stands for; `None` where all fits as it is.
    pub turns: Option<[u32; 2]>,
    /// The compressed text; empty where all fits as it is.
    pub text: String,
    /// Its tokens.
    pub tokens: u32,
    /// Tokens of what it stands for.
    pub full_tokens: u32,
    /// How many values of the source it has.
    pub facts_kept: usize,
    /// How many it lacks.
    pub facts_lost: usize,
    /// The first of those that it has.
    pub kept: Vec<String>,
    /// The first of those that it lacks.
    pub lost: Vec<String>,
    /// Why models made nothing, or not all of it: there rules did.
    pub failed: Vec<String>,
}

impl Pipeline {
    /// Shows what a version would make of a stored trajectory, beside what the champion makes of it.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::Invalid`], [`Failure::Context`].
    pub async fn try_guideline(
        &self,
        caller: &Caller,
        set: &str,
        kind: &str,
        attempt: Attempt,
    ) -> Result<Trial, Failure> {
        let place = known_place(set, kind)?;
        let compressor = self.compressor_for(&attempt)?;
        if !matches!(place.kind, Kind::Observation | Kind::History) {
            let detail = "only `observation` and `history` compress trajectories";
            return Err(Failure::field("", detail));
        }
        let champion = self.guidelines().current.load().champion(&place).cloned();
        let candidate = self.candidate(&place, &attempt, champion.as_ref()).await?;
        self.record(caller, &attempt.trajectory).await?;
        let sets = self.guidelines().get(Some(set)).unwrap_or_else(|| self.guidelines().default_set());
        let live = self.load(&attempt.trajectory).await?;
        let messages = self.admitted(&attempt.trajectory, &live).await?;
        let bench = Bench { live, messages: subset(messages, attempt.turns)?, sets, attempt };
        if compressor != Compressor::Rules {
            let versions = champion.into_iter().chain([candidate]).collect();
            return self.try_with_models(bench, place.kind, versions, compressor).await;
        }
        compute(usize::MAX, move || bench.run(place.kind, champion, &candidate)).await?
    }

    fn compressor_for(&self, attempt: &Attempt) -> Result<Compressor, Failure> {
        let compressor = attempt.compressor.unwrap_or(Compressor::Rules);
        if compressor == Compressor::Off {
            return Err(Failure::field("/compressor", "must be `rules`, `extract` or `llm`"));
        }
        match lack(self.config(), compressor) {
            Some(what) => Err(Failure::field("/compressor", format!("this daemon lacks {what}"))),
            None => Ok(compressor),
        }
    }

    async fn candidate(
        &self,
        place: &Place,
        attempt: &Attempt,
        champion: Option<&Steering>,
    ) -> Result<Steering, Failure> {
        match (&attempt.text, &attempt.hash, champion) {
            (Some(_), Some(_), _) => Err(Failure::field("/hash", "give `text` or `hash`, not both")),
            (Some(text), None, _) => check(place, "/text", text),
            (None, Some(hash), _) => {
                let version = self.guideline_version(&place.set, place.kind.name(), hash).await?;
                check(place, "/hash", &version.text)
            }
            (None, None, Some(champion)) => Ok(champion.clone()),
            (None, None, None) => Err(Failure::field("/text", "there is no champion: give `text` or `hash`")),
        }
    }
}

/// Keeps the head, the turns asked for and the one after them, which a context always shows as it is. Returns the
/// messages with their numbers.
fn subset(messages: Vec<Admitted>, turns: Option<[u32; 2]>) -> Result<Messages, Failure> {
    let grouped = group(&messages);
    let Some([first, last]) = turns else {
        return Ok(Messages { shift: 0, numbered: messages.into_iter().enumerate().collect() });
    };
    let (from, to) = (first as usize, last as usize);
    if first == 0 || from > to || to >= grouped.len() {
        let detail = format!("must be first and last of the turns 1 to {}", grouped.len().saturating_sub(1));
        return Err(Failure::field("/turns", detail));
    }
    let wanted: Vec<&Turn> = grouped.iter().take(1).chain(grouped.iter().take(to + 2).skip(from)).collect();
    let is_wanted = |n: usize| wanted.iter().any(|turn| turn.messages.contains(&n));
    let numbered = messages.into_iter().enumerate().filter(|(n, _)| is_wanted(*n)).collect();
    Ok(Messages { shift: first - 1, numbered })
}

fn group(messages: &[Admitted]) -> Vec<Turn> {
    let plain: Vec<_> = messages.iter().map(|admitted| admitted.message.clone()).collect();
    let kind = detect_agent_kind(&plain, false).unwrap_or(AgentKind::Tool);
    let mut builder = TurnBuilder::new(kind);
    for message in &plain {
        builder.push(message);
    }
    builder.turns().to_vec()
}

/// Messages of some turns.
pub(super) struct Messages {
    /// What is added to the numbers of turns.
    pub shift: u32,
    pub numbered: Vec<(usize, Admitted)>,
}

/// All that both versions are tried on.
pub(super) struct Bench {
    pub live: Live,
    pub messages: Messages,
    pub sets: Arc<GuidelineSet>,
    pub attempt: Attempt,
}

impl Bench {
    fn run(&self, kind: Kind, champion: Option<Steering>, candidate: &Steering) -> Result<Trial, Failure> {
        if kind == Kind::History {
            let budget = self.attempt.budget.unwrap_or(self.live.budget());
            let champion = champion.map(|champion| self.history(&champion, budget)).transpose()?;
            let candidate = self.history(candidate, budget)?;
            return Ok(Trial { compressor: "rules", budget, observation: None, champion, candidate });
        }
        let source = self.observation()?;
        let budget = self.attempt.budget.unwrap_or_else(|| self.live.counter.count(source.text) / 2);
        let shorten = |steering: &Steering| source.shortened(steering, budget, &self.live.counter);
        Ok(Trial {
            compressor: "rules",
            budget,
            observation: Some(source.n),
            champion: champion.as_ref().map(shorten),
            candidate: shorten(candidate),
        })
    }

    fn history(&self, steering: &Steering, budget: u32) -> Result<Outcome, Failure> {
        let set = GuidelineSet { history: steering.clone(), ..(*self.sets).clone() };
        let Live { counter, held, row, .. } = &self.live;
        let mut session = Session::new(settings(&set, counter.clone(), held, row.tools.as_deref(), Handles::Shown)?);
        session.append(self.messages.numbered.iter().map(|(_, admitted)| admitted.clone()).collect());
        let served = session.serve(&request(budget))?;
        Ok(outcome_of(&session, served, steering, self.messages.shift))
    }

    /// Returns the observation asked for, or the largest one.
    pub fn observation(&self) -> Result<Source<'_>, Failure> {
        let numbered = self.messages.numbered.iter();
        let asked = numbered.filter(|(n, _)| self.attempt.observation.is_none_or(|asked| asked == *n));
        let sources = asked.flat_map(|(n, admitted)| sources(*n, admitted));
        sources.max_by_key(|source| source.text.len()).ok_or_else(|| {
            let detail = "there is no observation: give the number of a message with a tool result";
            Failure::field("/observation", detail)
        })
    }
}

/// The request whose recap is looked at: nothing stands beside it.
pub(super) fn request(budget: u32) -> ContextRequest {
    let include = Include { playbook: false, facts: false, recalled: false };
    ContextRequest { budget, reserve: 0, format: OutFormat::OpenAi, query: None, include }
}

/// What a version made of the past turns; `shift` is added to their numbers.
pub(super) fn outcome_of(session: &Session, served: Served, steering: &Steering, shift: u32) -> Outcome {
    let sections = served.new_epoch.map(|epoch| epoch.sections).unwrap_or_default();
    let recap: Vec<_> = sections.iter().filter(|section| section.kind == PieceKind::Recap).collect();
    let text = recap.iter().map(|section| section.text.as_ref()).collect::<Vec<_>>().join("\n");
    let turns = recap.first().zip(recap.last()).map(|(first, last)| [first.turns[0], last.turns[1]]);
    let source: Vec<String> = turns
        .into_iter()
        .flat_map(|[first, last]| first..=last)
        .filter_map(|n| session.turn_text(n as usize))
        .collect();
    Outcome {
        guideline: steering.label.clone(),
        turns: turns.map(|turns| turns.map(|turn| turn + shift)),
        tokens: recap.iter().map(|section| section.tokens).sum(),
        full_tokens: recap.iter().map(|section| section.full_tokens).sum(),
        ..checked(text, &source)
    }
}

/// One observation, in the form in which it is served.
pub(super) struct Source<'a> {
    pub n: usize,
    text: &'a str,
    pub original: OriginalHash,
}

fn sources(n: usize, admitted: &Admitted) -> impl Iterator<Item = Source<'_>> {
    admitted.message.blocks.iter().enumerate().filter_map(move |(at, block)| {
        let Block::Observation(observation) = block else { return None };
        let text = admitted.reformatted_text(at).unwrap_or(&observation.text);
        Some(Source { n, text, original: OriginalHash::of(&observation.text) })
    })
}

impl Source<'_> {
    pub fn shortened(&self, steering: &Steering, budget_tokens: u32, counter: &Counter) -> Outcome {
        let request = Elide {
            text: self.text,
            original: self.original,
            budget_tokens,
            counter: counter.as_ref(),
            query: &[],
            rules: &steering.rules,
            scores: &[],
        };
        let full_tokens = counter.count(self.text);
        let (text, tokens) =
            elide(&request).map_or_else(|| (self.text.to_owned(), full_tokens), |elided| (elided.text, elided.tokens));
        let guideline = steering.label.clone();
        Outcome { guideline, tokens, full_tokens, ..checked(text, &[self.text.to_owned()]) }
    }
}

/// Looks in a text for the values of what it stands for.
pub(super) fn checked(text: String, source: &[String]) -> Outcome {
    let mut seen = HashSet::new();
    let values = source.iter().flat_map(|source| facts(source).into_iter().filter_map(|fact| source.get(fact.span)));
    let (kept, lost): (Vec<&str>, Vec<&str>) =
        values.filter(|value| seen.insert(*value)).partition(|value| text.contains(*value));
    let first = |values: &[&str]| values.iter().take(MOST_VALUES).map(|value| (*value).to_owned()).collect();
    Outcome {
        guideline: String::new(),
        turns: None,
        tokens: 0,
        full_tokens: 0,
        facts_kept: kept.len(),
        facts_lost: lost.len(),
        kept: first(&kept),
        lost: first(&lost),
        failed: Vec::new(),
        text,
    }
}
