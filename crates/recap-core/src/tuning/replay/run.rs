//! Replays a recorded trajectory through a context server and counts what its served contexts keep.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::grounding::{contains, is_bound};
use super::recorded::{Needed, Recorded, Step};
use super::text::{Facts, MessageCache};
use super::validity::invalid;

/// The budget rule of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replay {
    /// Budget beside the system prompt, as a share of the trajectory's full peak, 0 to 1.
    pub fraction: f64,
    /// Least budget beside the system prompt, tokens.
    pub floor: u32,
}

/// What a context server answers.
#[derive(Debug, Clone, PartialEq)]
pub struct ServedContext {
    /// The context, as `OpenAI` chat messages.
    pub messages: Vec<Value>,
    /// Whether the budget was refused as too small and this context was made for the budget that the refusal named.
    pub refused: bool,
}

/// A measure under which a needed value can be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The value is absent.
    Grounding,
    /// Absent, and before the last turn only in the original.
    Far,
    /// Absent, or apart from the words that stood near it.
    Bound,
    /// Not bound, at the agent's first use of a far value.
    First,
    /// None of its source lines stands, at the agent's first use of a far value.
    Whole,
}

/// A needed value that a served context lost under at least one measure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The place of the action among the trajectory's messages.
    pub step: usize,
    /// The value.
    pub value: String,
    /// The measures under which it is lost.
    pub under: Vec<Measure>,
}

/// A served context that a provider would refuse, or that is not the conversation it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvalidContext {
    /// The place of the action among the trajectory's messages.
    pub step: usize,
    /// What is wrong.
    pub why: String,
}

/// What one replay counted. Sizes are tokens; pairs like `kept` and `need` are a ratio's two sides.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct TrajectoryScore {
    /// The budget asked for, system prompt included.
    pub budget: i64,
    /// Whether the floor set the budget.
    pub floored: bool,
    /// Contexts served.
    pub steps: usize,
    /// Values needed.
    pub need: usize,
    /// Of those, present.
    pub kept: usize,
    /// Of those, present near the words that stood near them.
    pub bound: usize,
    /// Needed values that stand before the last turn only.
    pub far: usize,
    /// Of those, present.
    pub far_kept: usize,
    /// Far values that the agent uses for the first time.
    pub first: usize,
    /// Of those, bound.
    pub first_kept: usize,
    /// Of those, with a whole source line.
    pub whole_kept: usize,
    /// Contexts refused as too small and asked for again.
    pub refused: usize,
    /// Contexts larger than the budget.
    pub over: usize,
    /// Contexts that no provider accepts, or that are not the conversation.
    pub invalid: usize,
    /// Largest served context, system prompt apart.
    pub peak: i64,
    /// Largest full context, system prompt apart.
    pub full_peak: i64,
    /// Sum over steps of (`n_in` + 2 `n_out`) `n_out` / 2.
    pub dep: f64,
    /// The same for full contexts.
    pub full_dep: f64,
    /// Input tokens, an unchanged prefix at 0.1.
    pub billed: f64,
    /// The same for full contexts.
    pub full_billed: f64,
    /// Tokens of previous contexts that stand as an unchanged prefix.
    pub pre: i64,
    /// Tokens of previous contexts.
    pub pre_of: i64,
    /// Values lost.
    pub lost: Vec<Lost>,
    /// Contexts counted by `invalid`.
    pub invalid_contexts: Vec<InvalidContext>,
}

/// What serves the contexts of a replay and hears what they lost.
pub trait ContextServer {
    /// Why it cannot serve.
    type Error;

    /// Takes the messages that it was not handed yet and serves a context of at most `budget` tokens.
    ///
    /// # Errors
    /// Ends the replay.
    fn serve(&mut self, new: &[Value], budget: i64) -> Result<ServedContext, Self::Error>;

    /// Hears of a value that the context served last has lost.
    fn lost(&mut self, lost: &Lost);
}

/// A server that asks no questions.
struct ByFunction<F>(F);

impl<E, F: FnMut(&[Value], i64) -> Result<ServedContext, E>> ContextServer for ByFunction<F> {
    type Error = E;

    fn serve(&mut self, new: &[Value], budget: i64) -> Result<ServedContext, E> {
        (self.0)(new, budget)
    }

    fn lost(&mut self, _: &Lost) {}
}

/// Replays a trajectory at the budget that a rule gives it.
///
/// # Errors
/// As [`replay_at`].
pub fn replay<E>(
    recorded: &Recorded,
    rule: Replay,
    cache: &mut MessageCache,
    serve: impl FnMut(&[Value], i64) -> Result<ServedContext, E>,
) -> Result<TrajectoryScore, E> {
    replay_with(recorded, ReplayBudget::Rule(rule), cache, &mut ByFunction(serve))
}

/// Replays a trajectory at a budget (tokens, system prompt included): for each assistant message, hands the
/// messages before it that were not handed over yet and the budget to `serve`, and checks the context that it
/// returns.
///
/// # Errors
/// The first error of `serve`.
pub fn replay_at<E>(
    recorded: &Recorded,
    budget: i64,
    cache: &mut MessageCache,
    serve: impl FnMut(&[Value], i64) -> Result<ServedContext, E>,
) -> Result<TrajectoryScore, E> {
    replay_with(recorded, ReplayBudget::Tokens(budget), cache, &mut ByFunction(serve))
}

/// The budget of a replay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ReplayBudget {
    /// What a rule gives the trajectory.
    Rule(Replay),
    /// Tokens, system prompt included.
    Tokens(i64),
}

impl ReplayBudget {
    /// Returns the budget of a trajectory in tokens, system prompt included.
    #[must_use]
    pub fn tokens(self, recorded: &Recorded) -> i64 {
        self.of(recorded).0
    }

    /// Returns the budget of a trajectory in tokens, system prompt included, and whether the floor set it.
    fn of(self, recorded: &Recorded) -> (i64, bool) {
        match self {
            Self::Tokens(tokens) => (tokens, false),
            Self::Rule(Replay { fraction, floor }) => {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    reason = "token counts are far below 2^52"
                )]
                let share = (fraction * recorded.full_peak() as f64) as i64;
                let floor = i64::from(floor);
                (recorded.system_tokens + share.max(floor), share < floor)
            }
        }
    }
}

/// Replays a trajectory through a server that hears what its contexts lose.
///
/// # Errors
/// The first error of the server.
pub fn replay_with<S: ContextServer>(
    recorded: &Recorded,
    budget: ReplayBudget,
    cache: &mut MessageCache,
    server: &mut S,
) -> Result<TrajectoryScore, S::Error> {
    let (budget, floored) = budget.of(recorded);
    let full_peak = recorded.full_peak();
    let mut score = TrajectoryScore { budget, floored, full_peak, ..TrajectoryScore::default() };
    let mut sent = 0;
    let mut served = Served::default();
    let mut full_before = 0;
    for step in &recorded.steps {
        let context = server.serve(&recorded.messages[sent..step.at], score.budget)?;
        sent = step.at;
        score.steps += 1;
        score.refused += usize::from(context.refused);
        if let Some(why) = invalid(&context.messages, &recorded.messages, recorded.head) {
            score.invalid += 1;
            score.invalid_contexts.push(InvalidContext { step: step.at, why });
        }
        let previous = served.tokens;
        let same = served.replace(context.messages, |message| match recorded.known.get(message) {
            Some(facts) => Arc::clone(facts),
            None => cache.facts(message),
        });
        let length = i64::try_from(served.messages.len()).unwrap_or(i64::MAX);
        score.over += usize::from(!context.refused && served.tokens - length > score.budget);
        score.pre += same;
        score.pre_of += previous;
        score.add_costs(step, &served, same, recorded.system_tokens, full_before);
        full_before = step.tokens_before;
        for needed in &step.needed {
            if let Some(lost) = score.add_value(step.at, needed, &served) {
                server.lost(&lost);
                score.lost.push(lost);
            }
        }
    }
    Ok(score)
}

impl TrajectoryScore {
    #[allow(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
    fn add_costs(&mut self, step: &Step, served: &Served, same: i64, system: i64, full_before: i64) {
        let tokens_in = served.tokens - system;
        let out = step.tokens_out;
        self.peak = self.peak.max(tokens_in);
        self.dep += ((tokens_in + 2 * out) * out) as f64 / 2.0;
        self.full_dep += ((step.tokens_before - system + 2 * out) * out) as f64 / 2.0;
        self.billed += 0.1 * same as f64 + (served.tokens - same) as f64;
        self.full_billed += 0.1 * full_before as f64 + (step.tokens_before - full_before) as f64;
    }

    /// Counts a needed value; returns it if it is lost under some measure.
    fn add_value(&mut self, step: usize, needed: &Needed, served: &Served) -> Option<Lost> {
        let flat = served.flat.as_bytes();
        let hit = contains(flat, &needed.value);
        let bound = hit && is_bound(&needed.value, &needed.words, flat, served.plain.as_bytes());
        let bare = served.bare.as_bytes();
        let whole = needed.first && hit && needed.lines.iter().any(|line| contains(bare, line));
        self.need += 1;
        self.kept += usize::from(hit);
        self.bound += usize::from(bound);
        self.far += usize::from(needed.far);
        self.far_kept += usize::from(needed.far && hit);
        self.first += usize::from(needed.first);
        self.first_kept += usize::from(needed.first && bound);
        self.whole_kept += usize::from(whole);
        let checks = [
            (Measure::Grounding, !hit),
            (Measure::Far, needed.far && !hit),
            (Measure::Bound, !bound),
            (Measure::First, needed.first && !bound),
            (Measure::Whole, needed.first && !whole),
        ];
        let under: Vec<_> = checks.into_iter().filter(|(_, lost)| *lost).map(|(measure, _)| measure).collect();
        (!under.is_empty()).then(|| Lost { step, value: needed.value.clone(), under })
    }
}

/// The context served last, with its texts joined as the measures read them.
#[derive(Default)]
struct Served {
    messages: Vec<Value>,
    facts: Vec<Arc<Facts>>,
    flat: String,
    plain: String,
    bare: String,
    tokens: i64,
}

impl Served {
    /// Takes the next context, keeps the texts of the prefix that it shares with this one, and returns that prefix's tokens.
    fn replace(&mut self, messages: Vec<Value>, mut facts_of: impl FnMut(&Value) -> Arc<Facts>) -> i64 {
        let same = self.messages.iter().zip(&messages).take_while(|(a, b)| a == b).count();
        self.facts.truncate(same);
        let breaks = same.saturating_sub(1);
        let bytes = self.facts.iter().map(|f| f.flat.len()).sum::<usize>() + breaks;
        self.flat.truncate(bytes);
        self.plain.truncate(bytes);
        self.bare.truncate(self.facts.iter().map(|f| f.bare.len()).sum());
        self.tokens = self.facts.iter().map(|f| f.tokens).sum();
        let shared = self.tokens;
        for message in &messages[same..] {
            let facts = facts_of(message);
            if !self.facts.is_empty() {
                self.flat.push('\n');
                self.plain.push('\n');
            }
            self.flat.push_str(&facts.flat);
            self.plain.push_str(&facts.plain);
            self.bare.push_str(&facts.bare);
            self.tokens += facts.tokens;
            self.facts.push(facts);
        }
        self.messages = messages;
        shared
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
