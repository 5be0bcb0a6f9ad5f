//! Steps of a recap's weights, each along one coordinate, towards what the losses have in common.

use std::collections::BTreeSet;

use super::mine::{LEAST_TASKS, Mine};
use crate::compress::{Weigh, WeightName};
use crate::context::Weights;
use crate::trajectory::{FactKind, facts};
use crate::tuning::audit::{Cause, Loss};
use crate::tuning::gate::Objective;
use crate::tuning::replay::Measure;

/// The share of losses from which on they speak for a step.
const LEAST_SHARE: f64 = 0.15;
/// Messages between a value and its use that are many.
const LONG_AGO: usize = 20;

/// One step: a weight and what it is multiplied by.
type Step = (WeightName, f32);

/// A sign that losses show, and the step it asks for.
type Sign = (fn(&Loss) -> bool, Step);

/// What losses can have in common. A power that is negative is a decay: less of it forgets later.
const SIGNS: [Sign; 7] = [
    (|loss| kind_of(loss) == Some(FactKind::Path), (WeightName::Path, 1.5)),
    (|loss| kind_of(loss) == Some(FactKind::Number), (WeightName::Number, 1.4)),
    (|loss| kind_of(loss) == Some(FactKind::Id), (WeightName::Id, 1.3)),
    (|loss| loss.cause == Cause::Apart, (WeightName::Presence, 0.6)),
    (|loss| loss.under.contains(&Measure::First), (WeightName::Said, 0.75)),
    (|loss| loss.step.saturating_sub(loss.place.message) >= LONG_AGO, (WeightName::Age, 0.7)),
    (|loss| loss.place.text.len() > 240, (WeightName::Density, 0.9)),
];
/// Steps that save tokens: keep a block longer, and say less beside its lines.
const SAVING: [Step; 3] = [(WeightName::Stay, 1.6), (WeightName::Headline, 0.6), (WeightName::Stay, 2.4)];

/// Returns the steps to try, those that most losses speak for first: each weight with its value before and after.
pub(super) fn steps(mine: &Mine<'_>, named: &Weigh, objective: Objective) -> Vec<(WeightName, f32, f32)> {
    let weights = Weights::default().under(named);
    let winning = winning(mine);
    let steps = match objective {
        Objective::Utility => winning,
        Objective::Compression => SAVING.to_vec(),
        Objective::Both => winning.into_iter().chain(SAVING).collect(),
    };
    let stepped = steps.into_iter().map(|(name, factor)| {
        let from = weights.get(name);
        let to = ((from * factor).clamp(*name.range().start(), *name.range().end()) * 1000.0).round() / 1000.0;
        (name, from, to)
    });
    stepped.filter(|(_, from, to)| (from - to).abs() > f32::EPSILON).collect()
}

fn winning(mine: &Mine<'_>) -> Vec<Step> {
    let steered: Vec<_> = mine
        .losses()
        .iter()
        .filter(|(_, loss)| matches!(loss.cause, Cause::Outweighed { .. } | Cause::Apart | Cause::Thinned))
        .collect();
    let mut found: Vec<(usize, Step)> = Vec::new();
    for (shows, step) in SIGNS {
        let of: Vec<_> = steered.iter().filter(|(_, loss)| shows(loss)).collect();
        let tasks: BTreeSet<&str> = of.iter().map(|(task, _)| *task).collect();
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let share = of.len() as f64 / steered.len().max(1) as f64;
        if tasks.len() >= LEAST_TASKS && share >= LEAST_SHARE {
            found.push((of.len(), step));
        }
    }
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    found.into_iter().map(|(_, step)| step).collect()
}

fn kind_of(loss: &Loss) -> Option<FactKind> {
    facts(&loss.value).first().map(|fact| fact.kind)
}
