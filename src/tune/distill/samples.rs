//! What a head is trained on: the values that recorded runs held when their epochs began, and whether a later action used
//! them.

use recap_core::context::{Features, Told, TrainingPlan, profile};
use recap_core::tuning::{Side, Split, examples, later_values};
use serde::Serialize;

use super::rehearsed::rehearsed;
use crate::tune::{Budget, RecordedRun, ReplayError, Server};

/// The most examples of one side, about 240 MB of numbers; of more, these many are drawn.
const MOST_EXAMPLES: usize = 1 << 20;

/// The most plans of one side whose looks are kept, about 7 MB; of more, these many are drawn.
const MOST_PLANS: usize = 1 << 15;

/// The budgets that runs are served at.
pub const BUDGETS: [Budget; 2] =
    [Budget::Share { fraction: 0.46, floor: 1_500 }, Budget::Share { fraction: 0.25, floor: 1_500 }];

/// Examples of one side of a split.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The numbers of each.
    pub rows: Vec<Features>,
    /// What a head should answer, 0 to 1.
    pub targets: Vec<f32>,
    /// The plans that they are of.
    pub plans: Vec<TrainingPlan>,
    /// How many plans were found.
    found_plans: u64,
    tally: Tally,
    most: usize,
    draw: u64,
}

/// How much there is on one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Runs that examples are of.
    pub runs: u64,
    /// Epochs that they are of: those that cover values.
    pub epochs: u64,
    /// Examples.
    pub examples: u64,
    /// Of those that were found, how many bear a teacher's word.
    pub taught: u64,
    /// Examples that were found and are too many.
    pub passed_over: u64,
}

/// How much there is on both sides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// What a head is trained on.
    pub train: Tally,
    /// What it never sees.
    pub held_out: Tally,
    /// Runs that could not be served.
    pub unserved: u64,
}

/// Examples of both sides of a split by task.
#[derive(Debug, Clone)]
pub struct Collector {
    split: Split,
    train: Samples,
    held_out: Samples,
    unserved: u64,
}

/// What one run gives.
#[derive(Default)]
struct Found {
    /// The profiles of its plans.
    plans: Vec<Features>,
    examples: Vec<recap_core::tuning::Example>,
}

impl Collector {
    /// Begins.
    #[must_use]
    pub fn new(split: Split) -> Self {
        let side = |seed: u64| Samples::new(MOST_EXAMPLES, split.seed ^ seed);
        Self { split, train: side(1), held_out: side(2), unserved: 0 }
    }

    /// Takes a run's examples at every budget. `told` is what a teacher wrote of it, oldest first.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] where a context cannot be served: the run is counted, and nothing of it is taken.
    pub fn take(&mut self, run: &RecordedRun, server: &Server<'_>, told: &[Told]) -> Result<(), ReplayError> {
        let found = found(run, server, told).inspect_err(|_| self.unserved += 1)?;
        let to = match self.split.side(&run.task) {
            Side::Train => &mut self.train,
            Side::HeldOut => &mut self.held_out,
        };
        to.tally.runs += 1;
        to.tally.epochs += found.plans.len() as u64;
        let task = number_of(&run.task);
        for profile in found.plans {
            to.push_plan(TrainingPlan { task, profile });
        }
        for example in found.examples {
            to.tally.taught += u64::from(example.taught.is_some());
            to.push(example.features, example.target());
        }
        Ok(())
    }

    /// Returns how much was taken.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { train: self.train.tally, held_out: self.held_out.tally, unserved: self.unserved }
    }

    /// Returns what a head is trained on, and what it never sees.
    #[must_use]
    pub fn into_sides(self) -> (Samples, Samples) {
        (self.train, self.held_out)
    }
}

fn found(run: &RecordedRun, server: &Server<'_>, told: &[Told]) -> Result<Found, ReplayError> {
    let mut found = Found::default();
    for budget in BUDGETS {
        rehearsed(run, server, budget, &mut |rehearsal, handed, epoch| {
            let seen = rehearsal.session().seen_values(&epoch.line);
            let plan = profile(seen.iter().map(|value| &value.features));
            let taught = words_on(told, epoch.covered);
            let taught = taught.as_ref().map(|(until, words)| (*until, words.as_str()));
            // no epoch has so many later values that they cannot be looked for
            if let Ok(examples) = examples(seen, &later_values(&run.recorded, handed), taught) {
                found.plans.extend(plan);
                found.examples.extend(examples);
            }
        })?;
    }
    Ok(found)
}

impl Samples {
    /// Begins with none. Of more than `most`, each is kept with the same chance; the seed says which.
    #[must_use]
    pub fn new(most: usize, seed: u64) -> Self {
        let (rows, targets, plans) = (Vec::new(), Vec::new(), Vec::new());
        Self { rows, targets, plans, found_plans: 0, tally: Tally::default(), most, draw: seed }
    }

    /// Takes an example; one with a number that is not finite teaches nothing (algorithm R, Vitter 1985).
    pub fn push(&mut self, row: Features, target: f32) {
        if !row.iter().chain([&target]).all(|number| number.is_finite()) {
            return;
        }
        if self.rows.len() < self.most {
            self.rows.push(row);
            self.targets.push(target);
            self.tally.examples += 1;
            return;
        }
        self.tally.passed_over += 1;
        let at = self.below(self.tally.examples + self.tally.passed_over);
        if let (Some(old), Some(answer)) = (self.rows.get_mut(at), self.targets.get_mut(at)) {
            (*old, *answer) = (row, target);
        }
    }

    /// Takes a plan; one with a number that is not finite says nothing of what is usual.
    pub fn push_plan(&mut self, plan: TrainingPlan) {
        if !plan.profile.iter().all(|number| number.is_finite()) {
            return;
        }
        self.found_plans += 1;
        if self.plans.len() < MOST_PLANS {
            self.plans.push(plan);
            return;
        }
        let at = self.below(self.found_plans);
        if let Some(old) = self.plans.get_mut(at) {
            *old = plan;
        }
    }

    /// Returns a number from 0 to `count` without `count` (`SplitMix64`, Steele et al. 2014).
    fn below(&mut self, count: u64) -> usize {
        self.draw = self.draw.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.draw;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        usize::try_from((u128::from(bits) * u128::from(count)) >> 64).unwrap_or(usize::MAX)
    }

    /// Returns a hash of all numbers.
    #[must_use]
    pub fn fingerprint(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for (row, target) in self.rows.iter().zip(&self.targets) {
            for number in row.iter().chain([target]) {
                hasher.update(&number.to_le_bytes());
            }
        }
        for plan in &self.plans {
            hasher.update(&plan.task.to_le_bytes());
            for number in &plan.profile {
                hasher.update(&number.to_le_bytes());
            }
        }
        hasher.finalize()
    }
}

impl Default for Samples {
    fn default() -> Self {
        Self::new(MOST_EXAMPLES, 0)
    }
}

/// A number for a task, the same on every machine.
fn number_of(task: &str) -> u64 {
    let hash = blake3::hash(task.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// What a teacher wrote of the turns that an epoch covers, and up to which of them.
fn words_on(told: &[Told], covered: u32) -> Option<(u32, String)> {
    let stands = |told: &&Told| told.turns[1] <= covered && told.by.failed.is_none() && !told.text.trim().is_empty();
    let of: Vec<&Told> = told.iter().take_while(stands).collect();
    let until = of.last()?.turns[1];
    Some((until, of.iter().map(|told| told.text.as_ref()).collect::<Vec<_>>().join("\n")))
}

#[cfg(test)]
mod tests {
    use recap_core::context::FEATURES;

    use super::*;

    fn drawn(seed: u64) -> Samples {
        let mut samples = Samples::new(1_000, seed);
        for n in 0..10_000_u16 {
            samples.push([f32::from(n); FEATURES], 0.0);
        }
        samples
    }

    #[test]
    fn of_too_many_examples_early_and_late_ones_are_kept_alike() {
        let samples = drawn(3);
        assert_eq!((samples.rows.len(), samples.targets.len()), (1_000, 1_000));
        assert_eq!((samples.tally.examples, samples.tally.passed_over), (1_000, 9_000));
        for tenth in 0..10_u16 {
            let range = f32::from(tenth * 1_000)..f32::from((tenth + 1) * 1_000);
            let kept = samples.rows.iter().filter(|row| range.contains(&row[0])).count();
            assert!((60..140).contains(&kept), "{tenth}: {kept}");
        }
        assert_eq!(samples.fingerprint(), drawn(3).fingerprint());
        assert_ne!(samples.fingerprint(), drawn(4).fingerprint());
    }

    #[test]
    fn what_is_no_number_teaches_nothing() {
        let mut samples = Samples::default();
        samples.push([f32::NAN; FEATURES], 0.0);
        samples.push([0.0; FEATURES], f32::INFINITY);
        assert!(samples.rows.is_empty());
        let mut profile = [0.0; FEATURES];
        samples.push_plan(TrainingPlan { task: 1, profile });
        profile[3] = f32::NAN;
        samples.push_plan(TrainingPlan { task: 2, profile });
        profile[3] = f32::INFINITY;
        samples.push_plan(TrainingPlan { task: 3, profile });
        assert_eq!(samples.plans.iter().map(|plan| plan.task).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn of_too_many_plans_early_and_late_ones_are_kept_alike() {
        let mut samples = Samples::default();
        for task in 0..2 * MOST_PLANS as u64 {
            samples.push_plan(TrainingPlan { task, profile: [0.0; FEATURES] });
        }
        assert_eq!(samples.plans.len(), MOST_PLANS);
        let early = samples.plans.iter().filter(|plan| plan.task < MOST_PLANS as u64).count();
        assert!((MOST_PLANS * 45 / 100..MOST_PLANS * 55 / 100).contains(&early), "{early}");
    }
}
