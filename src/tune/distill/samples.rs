//! What a head is trained on: the values that recorded runs held when their epochs began, and whether a later action used
//! them.

use recap_core::context::{Features, Told};
use recap_core::tuning::{Side, Split, examples, later_values};

use super::rehearsed::rehearsed;
use crate::tune::{Budget, RecordedRun, ReplayError, Server};

/// The most examples of one side; those of later runs are passed over.
const MOST_EXAMPLES: usize = 4_000_000;

/// The budgets that runs are served at.
pub const BUDGETS: [Budget; 2] =
    [Budget::Share { fraction: 0.46, floor: 1_500 }, Budget::Share { fraction: 0.25, floor: 1_500 }];

/// Examples of one side of a split.
#[derive(Debug, Clone, Default)]
pub struct Samples {
    /// The numbers of each.
    pub rows: Vec<Features>,
    /// What a head should answer, 0 to 1.
    pub targets: Vec<f32>,
    /// Runs that they are of.
    pub runs: u64,
    /// Epochs that they are of.
    pub epochs: u64,
    /// Examples with a teacher's word.
    pub taught: u64,
    /// Examples that were too many.
    pub passed_over: u64,
}

/// Examples of both sides of a split by task.
#[derive(Debug, Clone)]
pub struct Collector {
    split: Split,
    /// What a head is trained on.
    pub train: Samples,
    /// What it never sees.
    pub held_out: Samples,
}

impl Collector {
    /// Begins.
    #[must_use]
    pub fn new(split: Split) -> Self {
        Self { split, train: Samples::default(), held_out: Samples::default() }
    }

    /// Takes a run's examples at every budget. `told` is what a teacher wrote of it, oldest first.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] where a context cannot be served.
    pub fn take(&mut self, run: &RecordedRun, server: &Server<'_>, told: &[Told]) -> Result<(), ReplayError> {
        let to = match self.split.side(&run.task) {
            Side::Train => &mut self.train,
            Side::HeldOut => &mut self.held_out,
        };
        to.runs += 1;
        for budget in BUDGETS {
            rehearsed(run, server, budget, &mut |rehearsal, handed, epoch| {
                let seen = rehearsal.session().seen_values(&epoch.line);
                let taught = words_on(told, epoch.covered);
                let taught = taught.as_ref().map(|(until, words)| (*until, words.as_str()));
                // no epoch has so many later values that they cannot be looked for
                if let Ok(found) = examples(seen, &later_values(&run.recorded, handed), taught) {
                    to.epochs += 1;
                    for example in found {
                        to.push(example.features, example.target(), example.taught);
                    }
                }
            })?;
        }
        Ok(())
    }
}

impl Samples {
    fn push(&mut self, row: Features, target: f32, taught: Option<bool>) {
        if self.rows.len() >= MOST_EXAMPLES {
            self.passed_over += 1;
            return;
        }
        self.rows.push(row);
        self.targets.push(target);
        self.taught += u64::from(taught.is_some());
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
        hasher.finalize()
    }
}

/// What a teacher wrote of the turns that an epoch covers, and up to which of them.
fn words_on(told: &[Told], covered: u32) -> Option<(u32, String)> {
    let stands = |told: &&Told| told.turns[1] <= covered && told.by.failed.is_none() && !told.text.trim().is_empty();
    let of: Vec<&Told> = told.iter().take_while(stands).collect();
    let until = of.last()?.turns[1];
    Some((until, of.iter().map(|told| told.text.as_ref()).collect::<Vec<_>>().join("\n")))
}
