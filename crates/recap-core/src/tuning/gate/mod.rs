//! The gate: whether a candidate may take a champion's place, by exact counts on the same held-out cases.
//!
//! Nothing passes for want of numbers: a case that the candidate has no score of counts as lost and the candidate is
//! refused; a tie keeps the champion.

mod comparison;
mod pairs;
mod stats;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::case::CaseScore;
use comparison::compared;
pub use comparison::{Compared, Comparison, compare};
use pairs::Pairs;
use stats::sign_test;

/// Tasks below which no interval convinces; those without a value that an action needed do not count for recall.
pub const LEAST_TASKS: usize = 5;
/// Missing cases that a verdict names.
const MOST_NAMED: usize = 20;

/// What a candidate is to be better at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// More tasks solved, or more of the values that actions need.
    Utility,
    /// Fewer tokens, with as much of the rest.
    Compression,
    /// Both at once.
    Both,
}

/// How sure a verdict must be, and what it overlooks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Margins {
    /// The chance of passing a candidate that is no better, by each of the two ways to be better; also what lies beyond each
    /// bound of an interval. Above 0, at most 0.2.
    pub level: f64,
    /// The share by which success and grounding may be lower where tokens are to be saved, 0 to 0.2.
    pub inferiority: f64,
    /// The share by which billed tokens may grow where utility is to be won, 0 to 1.
    pub token_growth: f64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { level: 0.05, inferiority: 0.01, token_growth: 0.05 }
    }
}

/// A margin is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("the margin `{name}` is {value}; it must be {range}")]
pub struct MarginError {
    /// The margin.
    pub name: &'static str,
    /// What it is.
    pub value: f64,
    /// What it may be.
    pub range: &'static str,
}

impl Margins {
    /// Checks that each margin is in its range.
    ///
    /// # Errors
    /// [`MarginError`] with the first that is not.
    pub fn check(&self) -> Result<(), MarginError> {
        let checks = [
            ("level", self.level, self.level > 0.0 && self.level <= 0.2, "above 0 and at most 0.2"),
            ("inferiority", self.inferiority, (0.0..=0.2).contains(&self.inferiority), "from 0 to 0.2"),
            ("token_growth", self.token_growth, (0.0..=1.0).contains(&self.token_growth), "from 0 to 1"),
        ];
        let wrong = checks.into_iter().find(|(_, _, fits, _)| !fits);
        wrong.map_or(Ok(()), |(name, value, _, range)| Err(MarginError { name, value, range }))
    }
}

/// How many tasks changed for better or worse: the exact sign test over tasks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignTest {
    /// Tasks on which the candidate is better.
    pub better: usize,
    /// Tasks on which it is worse. Ties are left out.
    pub worse: usize,
    /// The chance of so many better among them if neither side were.
    pub p: f64,
}

/// How success compares, on the tasks of which both sides were run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SuccessTest {
    /// Tasks with outcomes.
    pub tasks: usize,
    /// Tasks that the candidate solved more often.
    pub gained: usize,
    /// Tasks that the champion solved more often.
    pub lost: usize,
    /// The chance of so many gained among them if neither side were better.
    pub p_better: f64,
    /// The chance of so many lost among them if neither side were better.
    pub p_worse: f64,
    /// Shares of runs that succeed.
    pub rate: Compared,
}

/// What the gate says of a candidate, with its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verdict {
    /// What it was to be better at.
    pub objective: Objective,
    /// Whether it may take the champion's place.
    pub passes: bool,
    /// Why, in words.
    pub reason: String,
    /// How sure the verdict had to be.
    pub margins: Margins,
    /// The seed of the resamples.
    pub seed: u64,
    /// Cases compared.
    pub cases: usize,
    /// Tasks that they are of.
    pub tasks: usize,
    /// Success, where agents were run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<SuccessTest>,
    /// Shares of needed values that are present; null where no action needed one.
    pub grounding: Option<Compared>,
    /// Shares of needed values that stand near the words that gave them meaning; null likewise.
    pub bound: Option<Compared>,
    /// Tasks on which bound recall is higher, and lower.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound_by_task: Option<SignTest>,
    /// The share that is bound of values that are used for the first time; null where there is none.
    pub first: Option<Compared>,
    /// Billed tokens: sums, and the growth as a share; null where none were counted.
    pub billed: Option<Compared>,
    /// Tasks that take fewer billed tokens, and more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billed_by_task: Option<SignTest>,
    /// Cases that the candidate has no sound score of.
    pub missing: usize,
    /// The first of them.
    pub missing_cases: Vec<String>,
    /// Cases that the champion has no sound score of; they are not compared.
    pub unpaired: usize,
    /// Over-full, invalid or unserved contexts of the champion.
    pub champion_faults: usize,
    /// The same of the candidate.
    pub candidate_faults: usize,
}

/// Judges a candidate by its scores beside the champion's on the same cases, in any order. The same scores and seed give
/// the same verdict.
///
/// A case that only the champion has a sound score of is one that the candidate lost: no success, no value, all tokens;
/// and the candidate is refused. One that only the candidate has is passed over.
#[must_use]
pub fn judge(
    objective: Objective,
    champion: &[CaseScore],
    candidate: &[CaseScore],
    margins: &Margins,
    seed: u64,
) -> Verdict {
    let pairs = Pairs::of(champion, candidate);
    let found = Comparison::of(&pairs, margins, seed);
    let mut verdict = Verdict {
        objective,
        passes: false,
        reason: String::new(),
        margins: *margins,
        seed,
        cases: found.cases,
        tasks: found.tasks,
        success: success(&pairs, margins, seed),
        grounding: found.grounding,
        bound: found.bound,
        bound_by_task: Some(found.bound_by_task),
        first: found.first,
        billed: found.billed,
        billed_by_task: Some(found.billed_by_task),
        missing: found.missing,
        missing_cases: pairs.missing().iter().take(MOST_NAMED).cloned().collect(),
        unpaired: found.unpaired,
        champion_faults: found.champion_faults,
        candidate_faults: found.candidate_faults,
    };
    match verdict.refusal().map_or_else(|| verdict.win(), Err) {
        Ok(reason) => (verdict.passes, verdict.reason) = (true, reason),
        Err(reason) => verdict.reason = reason,
    }
    verdict
}

fn success(pairs: &Pairs, margins: &Margins, seed: u64) -> Option<SuccessTest> {
    let tasks = pairs.successes();
    if tasks.is_empty() {
        return None;
    }
    let gained = tasks.iter().filter(|task| task.candidate[0] > task.champion[0]).count();
    let lost = tasks.iter().filter(|task| task.candidate[0] < task.champion[0]).count();
    Some(SuccessTest {
        tasks: tasks.len(),
        gained,
        lost,
        p_better: sign_test(gained, lost),
        p_worse: sign_test(lost, gained),
        rate: compared(&tasks, margins, seed)?,
    })
}

impl SignTest {
    fn of([better, worse]: [usize; 2]) -> Self {
        Self { better, worse, p: sign_test(better, worse) }
    }

    /// Where less is better.
    fn turned(self) -> Self {
        Self::of([self.worse, self.better])
    }
}

impl fmt::Display for SignTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { better, worse, p } = self;
        write!(f, "{better} tasks better, {worse} worse, p = {p:.4}")
    }
}

impl Verdict {
    /// Why the candidate cannot pass whatever it won.
    fn refusal(&self) -> Option<String> {
        let m = &self.margins;
        if let Err(error) = m.check() {
            return Some(format!("refused: {error}"));
        }
        if self.cases == 0 {
            return Some("refused: there is no case to compare".to_owned());
        }
        if self.missing > 0 {
            let named = self.missing_cases.first().map_or("", String::as_str);
            return Some(format!("refused: {} of {} cases have no score, as `{named}`", self.missing, self.cases));
        }
        if self.candidate_faults > self.champion_faults {
            let [new, old] = [self.candidate_faults, self.champion_faults];
            return Some(format!(
                "refused: {new} contexts were over the budget, invalid or not served, the champion's {old}"
            ));
        }
        self.worsened().map(|what| format!("refused: {what} is surely lower"))
    }

    /// The measure that is worse beyond chance. How much of grounding may be given for tokens is a margin's to say.
    fn worsened(&self) -> Option<&'static str> {
        let level = self.margins.level;
        if self.success.is_some_and(|success| success.p_worse < level) {
            return Some("success");
        }
        let shares = [("grounding", self.grounding), ("bound recall", self.bound), ("first-use recall", self.first)];
        let utility = self.objective != Objective::Compression;
        let is_lower = |change: Compared| change.interval[1] < 0.0;
        shares.into_iter().find(|(_, change)| utility && change.is_some_and(is_lower)).map(|(name, _)| name)
    }

    /// What the candidate won, or why that is not enough.
    fn win(&self) -> Result<String, String> {
        match self.objective {
            Objective::Utility => {
                let won = self.utility()?;
                self.without_growth()?;
                Ok(format!("passes: {won}; billed tokens {}", signed(self.billed)))
            }
            Objective::Compression => {
                let won = self.saving()?;
                self.not_inferior()?;
                Ok(format!("passes: {won}; bound recall {}", signed(self.bound)))
            }
            Objective::Both => Ok(format!("passes: {}; {}", self.utility()?, self.saving()?)),
        }
    }

    fn utility(&self) -> Result<String, String> {
        if let Some(success) = self.success.filter(|success| success.p_better < self.margins.level) {
            let SuccessTest { gained, lost, p_better, .. } = success;
            return Ok(format!("more tasks solved: {gained} gained, {lost} lost, p = {p_better:.4}"));
        }
        let bound = enough("bound recall", self.bound)?;
        let said = tested(self.bound, self.bound_by_task);
        if bound.interval[0] > 0.0 && self.is_sure(self.bound_by_task) {
            return Ok(format!("bound recall {said}"));
        }
        Err(format!("refused: nothing is surely better, and a tie keeps the champion; bound recall {said}"))
    }

    fn without_growth(&self) -> Result<(), String> {
        let most = self.margins.token_growth;
        if enough("billed tokens", self.billed)?.interval[1] <= most {
            return Ok(());
        }
        Err(format!("refused: billed tokens {}, which may be more than {}", signed(self.billed), percent(most)))
    }

    fn saving(&self) -> Result<String, String> {
        let billed = enough("billed tokens", self.billed)?;
        let said = tested(self.billed, self.billed_by_task);
        if billed.interval[1] < 0.0 && self.is_sure(self.billed_by_task) {
            return Ok(format!("billed tokens {said}"));
        }
        Err(format!("refused: tokens are not surely saved, and a tie keeps the champion; billed {said}"))
    }

    /// Tells whether so many tasks changed for the better would be rare if neither side were better.
    fn is_sure(&self, test: Option<SignTest>) -> bool {
        test.is_some_and(|test| test.p < self.margins.level)
    }

    fn not_inferior(&self) -> Result<(), String> {
        let least = -self.margins.inferiority;
        let [grounding, bound] = [enough("grounding", self.grounding)?, enough("bound recall", self.bound)?];
        let success = self.success.map(|success| ("success", success.rate));
        let first = self.first.map(|first| ("first-use recall", first));
        let shares = [("grounding", grounding), ("bound recall", bound)].into_iter().chain(first);
        let worse = success.into_iter().chain(shares).find(|(_, change)| change.interval[0] < least);
        match worse {
            None => Ok(()),
            Some((name, change)) => {
                Err(format!("refused: {name} {}, which may be below {}", signed(Some(change)), percent(least)))
            }
        }
    }
}

/// Returns a measure that stands on enough tasks to be believed.
fn enough(name: &str, measure: Option<Compared>) -> Result<Compared, String> {
    let tasks = measure.map_or(0, |measure| measure.tasks);
    let few = || format!("refused: {name}: measured on {tasks} tasks, and {LEAST_TASKS} are the least to be sure");
    measure.filter(|_| tasks >= LEAST_TASKS).ok_or_else(few)
}

/// A change with its interval and the test over tasks.
fn tested(change: Option<Compared>, test: Option<SignTest>) -> String {
    test.map_or_else(|| signed(change), |test| format!("{}; {test}", signed(change)))
}

/// A change with its interval, or that there is none.
fn signed(change: Option<Compared>) -> String {
    change.map_or_else(|| "not measured".to_owned(), |change| change.to_string())
}

fn percent(share: f64) -> String {
    let share = (share * 1000.0).round() / 10.0 + 0.0;
    format!("{share:+.1} %")
}
