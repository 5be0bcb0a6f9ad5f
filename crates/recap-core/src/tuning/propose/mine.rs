//! What lost values have in common that idle lines have not, counted by task.

use std::collections::{BTreeMap, BTreeSet};

use regex::{Regex, RegexBuilder};

use super::evidence::{Evidence, IdleLine};
use super::pattern;
use crate::tuning::audit::{Cause, Loss};
use crate::tuning::replay::Measure;

/// Tasks that a kind must be found in.
pub(super) const LEAST_TASKS: usize = 3;
/// How much more often than among idle lines a kind must be among lost ones.
const LEAST_LIFT: f64 = 1.5;
/// The same for lines that are kept whatever else is worth.
const FORCED_LIFT: f64 = 6.0;
/// Kinds that are tried, and that one list gets at most.
const MOST_TRIED: usize = 200;
const MOST_CHOSEN: usize = 8;
/// Lines of each sort that a kind is tried on at most, evenly over all.
const MOST_LINES: usize = 4_000;
/// Names that one list gets at most.
const MOST_NAMES: usize = 12;
/// Tokens that the idle lines of a kind must cost.
const LEAST_IDLE_TOKENS: u32 = 60;
/// Memory of one compiled expression, in bytes.
const REGEX_BYTES: usize = 1 << 18;

/// What favoured lines are worth, where no gain was told: as much as an error.
const USUAL_WORTH: f32 = 0.22;
const LEAST_WORTH: f32 = 0.05;
const HIGHEST_WORTH: f32 = 2.0;
/// The power of tokens by which gains are divided.
const DENSITY: f32 = 0.84;

/// A kind of lines and what it stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LineKind {
    /// The expression, without slashes.
    pub(super) expression: String,
    /// Lost values that it covers and that no kind before it does; of idle lines their number.
    pub(super) covers: usize,
    /// What a line of it would have needed beside its values.
    pub(super) worth: f32,
}

/// How lines are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// They are worth more.
    Favoured,
    /// They come before everything else.
    Forced,
}

/// Losses of one kind of guideline, and idle lines, ready to be counted.
pub(super) struct Mine<'a> {
    evidence: &'a Evidence,
    losses: Vec<(&'a str, &'a Loss)>,
    idle: Vec<&'a IdleLine>,
    /// Lost values in lower case.
    values: BTreeSet<String>,
}

impl<'a> Mine<'a> {
    /// Takes the losses that count, of a guideline whose label in receipts holds `label`.
    pub(super) fn new(evidence: &'a Evidence, label: &str) -> Self {
        let counts = |loss: &Loss| {
            let under = loss.under.contains(&Measure::Grounding) || loss.under.contains(&Measure::Bound);
            under && loss.guideline.as_deref().is_none_or(|guideline| guideline.contains(label))
        };
        let losses = evidence.losses.iter().filter(|(_, loss)| counts(loss));
        Self {
            evidence,
            losses: losses.map(|(case, loss)| (evidence.task(case), loss)).collect(),
            idle: evidence.idle.iter().collect(),
            values: evidence.losses.iter().map(|(_, loss)| loss.value.to_lowercase()).collect(),
        }
    }

    /// Returns the losses that count, each with its task.
    pub(super) fn losses(&self) -> &[(&'a str, &'a Loss)] {
        &self.losses
    }

    /// Returns what the losses of at least three tasks have in common by some name, the most lost first, with their
    /// number.
    pub(super) fn common<K: Ord + Clone>(&self, name: impl Fn(&Loss) -> Option<K>) -> Vec<(K, usize)> {
        let mut found: BTreeMap<K, (BTreeSet<&str>, usize)> = BTreeMap::new();
        for (task, loss) in &self.losses {
            if let Some(name) = name(loss) {
                let (tasks, count) = found.entry(name).or_default();
                tasks.insert(task);
                *count += 1;
            }
        }
        let held = found.into_iter().filter(|(_, (tasks, _))| tasks.len() >= LEAST_TASKS);
        let mut held: Vec<(K, usize)> = held.map(|(name, (_, count))| (name, count)).collect();
        held.sort_by(|(a, more), (b, less)| less.cmp(more).then_with(|| a.cmp(b)));
        held
    }

    /// Returns names, as JSON keys, that are more frequent among lost values than among idle lines.
    pub(super) fn lost_names(
        &self,
        lost: fn(&Loss) -> Option<&str>,
        idle: fn(&IdleLine) -> Option<&str>,
    ) -> Vec<String> {
        let common = self.common(|loss| lost(loss).and_then(pattern::glob_of));
        let share = |name: &str| {
            let same = self.idle.iter().filter_map(|line| idle(line)).filter(|other| is_name(name, other)).count();
            (same, self.idle.len())
        };
        let names = common
            .into_iter()
            .filter(|(name, count)| self.is_safe(name) && lift(*count, self.losses.len(), share(name)) >= LEAST_LIFT);
        names.map(|(name, _)| name).take(MOST_NAMES).collect()
    }

    /// Returns names of idle lines that no lost value stood under, the dearest first.
    pub(super) fn idle_names(
        &self,
        idle: fn(&IdleLine) -> Option<&str>,
        lost: fn(&Loss) -> Option<&str>,
    ) -> Vec<String> {
        let wanted: BTreeSet<String> =
            self.evidence.losses.iter().filter_map(|(_, loss)| lost(loss)).map(str::to_lowercase).collect();
        let names = self.dear(|line| idle(line).and_then(pattern::glob_of));
        let free = names
            .into_iter()
            .filter(|(name, _)| !wanted.iter().any(|other| is_name(name, other)) && self.is_safe(name));
        free.map(|(name, _)| name).take(MOST_NAMES).collect()
    }

    /// Returns kinds of lines that lost values stood in, each with what it covers beside those before it.
    pub(super) fn lost_lines(&self, hold: Hold) -> Vec<LineKind> {
        let lost: Vec<&Loss> =
            self.losses.iter().map(|(_, loss)| *loss).filter(|loss| is_of_lines(&loss.cause)).collect();
        let lost = evenly(&lost, MOST_LINES);
        let idle = evenly(&self.idle, MOST_LINES);
        let mut tried: Vec<(Regex, Vec<usize>, f64)> = self
            .kinds()
            .into_iter()
            .filter_map(|expression| {
                let regex = compiled(&expression)?;
                let covers: Vec<usize> = (0..lost.len())
                    .filter(|at| lost.get(*at).is_some_and(|loss| regex.is_match(&loss.place.text)))
                    .collect();
                let beside = idle.iter().filter(|line| regex.is_match(&line.place.text)).count();
                let lift = lift(covers.len(), lost.len(), (beside, idle.len()));
                let least = if hold == Hold::Forced { FORCED_LIFT } else { LEAST_LIFT };
                (idle.is_empty() && hold == Hold::Favoured || lift >= least).then_some((regex, covers, lift.min(8.0)))
            })
            .collect();
        let mut open: BTreeSet<usize> = (0..lost.len()).collect();
        let mut chosen = Vec::new();
        while chosen.len() < MOST_CHOSEN {
            let fresh = |covers: &[usize]| covers.iter().filter(|at| open.contains(at)).count();
            #[expect(clippy::cast_precision_loss, reason = "thousands of lines at most")]
            let gain = |(_, covers, lift): &(Regex, Vec<usize>, f64)| fresh(covers) as f64 * lift;
            let best = (0..tried.len()).max_by(|a, b| {
                let of = |at: usize| tried.get(at).map_or(0.0, gain);
                of(*a).total_cmp(&of(*b)).then_with(|| b.cmp(a))
            });
            let Some((regex, covers, _)) = best.map(|at| tried.swap_remove(at)) else { break };
            let covers: Vec<usize> = covers.into_iter().filter(|at| open.remove(at)).collect();
            if covers.len() < LEAST_TASKS {
                break;
            }
            let worth = worth_of(covers.iter().filter_map(|at| lost.get(*at).copied()));
            chosen.push(LineKind { expression: regex.as_str().to_owned(), covers: covers.len(), worth });
        }
        chosen
    }

    /// Returns kinds of lines that are idle and never lost, the dearest first.
    pub(super) fn idle_lines(&self) -> Vec<LineKind> {
        let lines: Vec<&str> = self.evidence.losses.iter().map(|(_, loss)| loss.place.text.as_str()).collect();
        let kinds = self.dear(|line| pattern::of_line(&line.place.text)).into_iter().take(MOST_TRIED);
        let never = kinds.filter(|(expression, _)| {
            self.is_safe(expression)
                && compiled(expression).is_some_and(|regex| !lines.iter().any(|line| regex.is_match(line)))
        });
        let kinds = never.map(|(expression, count)| LineKind { expression, covers: count, worth: 0.0 });
        kinds.take(MOST_CHOSEN).collect()
    }

    /// The kinds of lines that values of at least three tasks were lost from.
    fn kinds(&self) -> Vec<String> {
        let mut found: BTreeMap<String, (BTreeSet<&str>, usize)> = BTreeMap::new();
        for (task, loss) in self.losses.iter().filter(|(_, loss)| is_of_lines(&loss.cause)) {
            for expression in pattern::of_loss(&loss.place, &loss.value) {
                let (tasks, count) = found.entry(expression).or_default();
                tasks.insert(task);
                *count += 1;
            }
        }
        let held = found.into_iter().filter(|(kind, (tasks, _))| tasks.len() >= LEAST_TASKS && self.is_safe(kind));
        let mut held: Vec<(String, usize)> = held.map(|(kind, (_, count))| (kind, count)).collect();
        // of kinds that cover as much the longest says most
        let order = |(kind, count): &(String, usize)| (std::cmp::Reverse((*count, kind.len())), kind.clone());
        held.sort_by_cached_key(order);
        held.into_iter().map(|(kind, _)| kind).take(MOST_TRIED).collect()
    }

    /// What idle lines of at least three tasks have in common, the dearest first, with their number.
    fn dear(&self, name: impl Fn(&IdleLine) -> Option<String>) -> Vec<(String, usize)> {
        let mut found: BTreeMap<String, (BTreeSet<&str>, u32, usize)> = BTreeMap::new();
        for line in &self.idle {
            if let Some(name) = name(line) {
                let (tasks, tokens, count) = found.entry(name).or_default();
                tasks.insert(self.evidence.task(&line.case));
                *tokens += line.tokens;
                *count += 1;
            }
        }
        let held = found
            .into_iter()
            .filter(|(_, (tasks, tokens, _))| tasks.len() >= LEAST_TASKS && *tokens >= LEAST_IDLE_TOKENS);
        let mut held: Vec<(String, (u32, usize))> =
            held.map(|(name, (_, tokens, count))| (name, (tokens, count))).collect();
        held.sort_by(|(a, (more, _)), (b, (less, _))| less.cmp(more).then_with(|| a.cmp(b)));
        held.into_iter().map(|(name, (_, count))| (name, count)).collect()
    }

    /// Tells whether a text holds no value that was lost.
    fn is_safe(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        !self.values.iter().any(|value| text.contains(value.as_str()))
    }
}

/// Tells whether a value went with its line, so that another line could have stayed instead.
fn is_of_lines(cause: &Cause) -> bool {
    matches!(cause, Cause::Outweighed { .. } | Cause::Thinned | Cause::Elided | Cause::Apart)
}

/// How much more frequent something is among lost values than among idle lines, each with one more of both.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn lift(lost: usize, losses: usize, (idle, lines): (usize, usize)) -> f64 {
    let share = |part: usize, whole: usize| (part as f64 + 0.5) / (whole as f64 + 1.0);
    share(lost, losses) / share(idle, lines)
}

/// Tells whether a name is one that a pattern with `*` stands for.
fn is_name(glob: &str, name: &str) -> bool {
    pattern::glob_of(name).is_some_and(|other| other.eq_ignore_ascii_case(glob))
}

fn compiled(expression: &str) -> Option<Regex> {
    RegexBuilder::new(expression).size_limit(REGEX_BYTES).build().ok()
}

/// At most `most` of the items, evenly spread.
fn evenly<T: Copy>(items: &[T], most: usize) -> Vec<T> {
    let step = items.len().div_ceil(most).max(1);
    items.iter().step_by(step).copied().collect()
}

/// The median of what lines would have needed to be chosen.
fn worth_of<'a>(losses: impl Iterator<Item = &'a Loss>) -> f32 {
    let mut needed: Vec<f32> = losses
        .filter_map(|loss| match loss.cause {
            Cause::Outweighed { gain, least_chosen } => {
                let tokens = f32::from(u16::try_from(loss.place.text.len() / 4 + 1).unwrap_or(u16::MAX));
                Some((least_chosen - gain) * tokens.powf(DENSITY)).filter(|worth| worth.is_finite())
            }
            _ => None,
        })
        .collect();
    needed.sort_by(f32::total_cmp);
    let median = needed.get(needed.len() / 2).copied().unwrap_or(USUAL_WORTH);
    (median.clamp(LEAST_WORTH, HIGHEST_WORTH) * 100.0).round() / 100.0
}
