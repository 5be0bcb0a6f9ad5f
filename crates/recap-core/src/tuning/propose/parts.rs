//! What the evidence asks for, part by part, and the candidates that are made of the parts.

use super::Change;
use super::evidence::Evidence;
use super::mine::{Hold, LineKind, Mine};
use super::pattern::member_of;
use super::weights::steps;
use crate::compress::{Guideline, GuidelineKind, WeightName};
use crate::tuning::audit::Cause;
use crate::tuning::gate::Objective;

/// What a cap or threshold is multiplied by, and from where on a cap is taken out instead.
const RAISE: u32 = 2;
const MOST_CAP: u32 = 4_096;
/// The highest threshold that is proposed, and the one that is raised where none is told.
const MOST_THRESHOLD: u32 = 65_536;
const USUAL_THRESHOLD: u32 = 4_096;

/// Changes by what they are of.
pub(super) struct Parts {
    /// Rules and bounds that drop needed values, names of members and headings to keep.
    structure: Vec<Change>,
    /// Kinds of lines to keep.
    lines: Vec<Change>,
    /// Kinds of lines and names to drop.
    idle: Vec<Change>,
    /// Steps of weights.
    weights: Vec<Change>,
    /// What it is all drawn from, in words.
    grounds: String,
}

/// A candidate to be: its note and its changes.
type Set = (String, Vec<Change>);

impl Parts {
    /// Reads the evidence for a guideline.
    pub(super) fn of(before: &Guideline, kind: GuidelineKind, evidence: &Evidence, objective: Objective) -> Self {
        let mine = Mine::new(evidence, &format!("/{}@", kind.name()));
        let mut parts = Self {
            structure: blamed(before, kind, &mine),
            lines: Vec::new(),
            idle: Vec::new(),
            weights: Vec::new(),
            grounds: format!("{} lost values and {} idle lines", mine.losses().len(), evidence.idle.len()),
        };
        match kind {
            GuidelineKind::History => {
                parts.lines = favoured(before, &mine.lost_lines(Hold::Favoured));
                parts.idle = added("drop", dropped(before, &mine.idle_lines()));
                parts.weights = weights(before, &mine, objective);
            }
            GuidelineKind::Observation => {
                parts.structure.extend(kept_names(before, &mine));
                parts.lines = added("keep", kept(before, &mine.lost_lines(Hold::Forced)));
                parts.idle = added("drop", dropped(before, &mine.idle_lines()));
                parts.idle.extend(dropped_names(before, &mine));
            }
            // models are told by words alone
            GuidelineKind::Reflect | GuidelineKind::Curate | GuidelineKind::Analyse | GuidelineKind::Propose => {}
        }
        parts
    }

    /// Leaves out patterns and names that may not be said. What is taken out of the guideline stands in it already.
    pub(super) fn leave_out(&mut self, is_told: impl Fn(&str) -> bool) {
        for changes in [&mut self.structure, &mut self.lines, &mut self.idle] {
            changes.retain(|change| match change {
                Change::Add { item, .. } | Change::Favour { pattern: item, .. } => !is_told(item),
                Change::Remove { .. } | Change::Set { .. } | Change::Unset { .. } => true,
            });
        }
    }

    /// Returns the candidates to be, of which at most `most` will be taken: each part by itself, all together, then single
    /// steps of weights.
    pub(super) fn sets(self, objective: Objective, most: usize) -> Vec<Set> {
        let Self { structure, lines, idle, weights, grounds } = self;
        let joint = one_each(&weights);
        let part =
            |name: &str, changes: &[Change]| (format!("{name}, from {grounds}: {}", told(changes)), changes.to_vec());
        let mut sets = vec![
            part("rules, bounds and names", &structure),
            part("kinds of lines that were lost", &lines),
            part("weights", &joint),
            part("kinds of lines that were kept for nothing", &idle),
        ];
        if objective == Objective::Compression {
            sets.reverse();
            sets.retain(|(_, changes)| *changes != structure && *changes != lines);
        }
        sets.retain(|(_, changes)| !changes.is_empty());
        let all: Vec<Change> = sets.iter().flat_map(|(_, changes)| changes.clone()).collect();
        sets.truncate(most.saturating_sub(1));
        if !all.is_empty() {
            sets.push(part("all together", &all));
        }
        sets.extend(weights.iter().map(|step| part("one weight", std::slice::from_ref(step))));
        sets
    }
}

/// What of the guideline itself dropped needed values.
fn blamed(before: &Guideline, kind: GuidelineKind, mine: &Mine<'_>) -> Vec<Change> {
    let rules = mine.common(|loss| match &loss.cause {
        Cause::Rule { field, pattern } => Some((field.clone(), pattern.clone())),
        _ => None,
    });
    let caps = mine.common(|loss| match &loss.cause {
        Cause::Cap { field } => Some(field.clone()),
        _ => None,
    });
    let untold = mine.common(|loss| (loss.cause == Cause::Untold).then_some(()));
    let rules = rules.into_iter().map(|(rule, _)| rule).filter(|(field, item)| stands(before, field, item));
    let rules = rules.map(|(field, item)| Change::Remove { field, item });
    let caps = caps.into_iter().filter_map(|(field, _)| raised(before, &field));
    let threshold = untold.first().and_then(|_| threshold(before, kind));
    rules.chain(caps).chain(threshold).collect()
}

/// Tells whether a rule that drops stands in the guideline.
fn stands(before: &Guideline, field: &str, item: &str) -> bool {
    let rules = &before.rules;
    match field {
        "drop" => rules.drop.iter().any(|pattern| String::from(pattern.clone()) == item),
        "keys.drop" => rules.keys.drop.iter().any(|name| String::from(name.clone()) == item),
        "sections.drop" => rules.sections.drop.iter().any(|name| String::from(name.clone()) == item),
        _ => false,
    }
}

fn raised(before: &Guideline, field: &str) -> Option<Change> {
    let caps = &before.rules.caps;
    let now = match field {
        "caps.line_bytes" => caps.line_bytes,
        "caps.list_items" => caps.list_items,
        "caps.table_rows" => caps.table_rows,
        "caps.observation_tokens" => caps.observation_tokens,
        _ => None,
    }?;
    let to = now.get().saturating_mul(RAISE);
    let field = field.to_owned();
    Some(if to > MOST_CAP {
        Change::Unset { field }
    } else {
        Change::Set { field, from: Some(now.get().into()), to: to.into() }
    })
}

/// A model wrote and left values out: it is to begin later.
fn threshold(before: &Guideline, kind: GuidelineKind) -> Option<Change> {
    let (field, now) = match kind {
        GuidelineKind::History => ("thresholds.t_hist", before.thresholds.t_hist),
        GuidelineKind::Observation => ("thresholds.t_obs", before.thresholds.t_obs),
        _ => return None,
    };
    let to = now.map_or(USUAL_THRESHOLD, std::num::NonZeroU32::get).saturating_mul(RAISE);
    let from = now.map(|now| now.get().into());
    (to <= MOST_THRESHOLD).then(|| Change::Set { field: field.to_owned(), from, to: to.into() })
}

fn written(kinds: &[LineKind]) -> impl Iterator<Item = (String, f32)> {
    kinds.iter().map(|kind| (format!("/{}/", kind.expression), kind.worth))
}

fn favoured(before: &Guideline, kinds: &[LineKind]) -> Vec<Change> {
    let known: Vec<String> = before.rules.favour.iter().map(|favour| favour.pattern.clone().into()).collect();
    let fresh = written(kinds).filter(|(pattern, _)| !known.contains(pattern));
    fresh.map(|(pattern, worth)| Change::Favour { pattern, worth }).collect()
}

fn kept(before: &Guideline, kinds: &[LineKind]) -> Vec<String> {
    let known: Vec<String> = before.rules.keep.iter().cloned().map(String::from).collect();
    written(kinds).map(|(pattern, _)| pattern).filter(|pattern| !known.contains(pattern)).collect()
}

fn dropped(before: &Guideline, kinds: &[LineKind]) -> Vec<String> {
    let known: Vec<String> = before.rules.drop.iter().cloned().map(String::from).collect();
    written(kinds).map(|(pattern, _)| pattern).filter(|pattern| !known.contains(pattern)).collect()
}

fn kept_names(before: &Guideline, mine: &Mine<'_>) -> Vec<Change> {
    let keys = mine.lost_names(|loss| loss.place.key.as_deref(), |line| member_of(&line.place.text));
    let sections = mine.lost_names(|loss| loss.place.heading.as_deref(), |line| line.place.heading.as_deref());
    let rules = &before.rules;
    let mut changes = added("keys.keep", fresh(keys, &rules.keys.keep));
    changes.extend(added("sections.keep", fresh(sections, &rules.sections.keep)));
    changes
}

fn dropped_names(before: &Guideline, mine: &Mine<'_>) -> Vec<Change> {
    let keys = mine.idle_names(|line| member_of(&line.place.text), |loss| loss.place.key.as_deref());
    let sections = mine.idle_names(|line| line.place.heading.as_deref(), |loss| loss.place.heading.as_deref());
    let rules = &before.rules;
    let mut changes = added("keys.drop", fresh(keys, &rules.keys.drop));
    changes.extend(added("sections.drop", fresh(sections, &rules.sections.drop)));
    changes
}

fn fresh(names: Vec<String>, known: &[crate::compress::rules::Glob]) -> Vec<String> {
    let known: Vec<String> = known.iter().cloned().map(|glob| String::from(glob).to_lowercase()).collect();
    names.into_iter().filter(|name| !known.contains(&name.to_lowercase())).collect()
}

fn added(field: &str, items: Vec<String>) -> Vec<Change> {
    items.into_iter().map(|item| Change::Add { field: field.to_owned(), item }).collect()
}

fn weights(before: &Guideline, mine: &Mine<'_>, objective: Objective) -> Vec<Change> {
    let steps = steps(mine, &before.weigh, objective);
    let change = |(name, from, to): (WeightName, f32, f32)| Change::Set {
        field: format!("weigh.{}", name.name()),
        from: Some(decimal(from)),
        to: decimal(to),
    };
    steps.into_iter().map(change).collect()
}

/// The number that a person would write.
fn decimal(value: f32) -> f64 {
    (f64::from(value) * 1000.0).round() / 1000.0
}

/// The first step of each weight.
fn one_each(steps: &[Change]) -> Vec<Change> {
    let mut found: Vec<Change> = Vec::new();
    let field_of = |change: &Change| match change {
        Change::Set { field, .. } => Some(field.clone()),
        _ => None,
    };
    for step in steps {
        if !found.iter().any(|known| field_of(known) == field_of(step)) {
            found.push(step.clone());
        }
    }
    found
}

/// Says changes in a line.
fn told(changes: &[Change]) -> String {
    let words = changes.iter().map(|change| match change {
        Change::Add { field, item } => format!("{field} + {item}"),
        Change::Favour { pattern, worth } => format!("favour {pattern} by {worth}"),
        Change::Remove { field, item } => format!("{field} - {item}"),
        Change::Set { field, from: Some(from), to } => format!("{field} {from} -> {to}"),
        Change::Set { field, from: None, to } => format!("{field} -> {to}"),
        Change::Unset { field } => format!("{field} unbounded"),
    });
    words.collect::<Vec<_>>().join("; ")
}
