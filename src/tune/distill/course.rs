//! The training of a head, one epoch after the other. What it stands at can be written down after each, and taken up again.

use serde::{Deserialize, Serialize};

#[cfg(feature = "local-models")]
use recap_core::context::{FEATURE_SET, FEATURES, Familiar, Head, Layer};
#[cfg(feature = "local-models")]
use recap_model::ModelError;
#[cfg(feature = "local-models")]
use recap_model::head::{Examples, Plan, Trained, Training};

use super::samples::Samples;
use crate::store::StoreError;

/// Examples below which nothing is learned.
const LEAST_EXAMPLES: usize = 200;

/// How a head is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// What weights and orders are drawn from.
    pub seed: u64,
    /// How often all examples are gone through, 1 to 200.
    pub epochs: u32,
    /// Units of the hidden layer, 1 to 256.
    pub hidden: usize,
    /// Examples of a step.
    pub batch: usize,
    /// Of the first step.
    pub learning_rate: f64,
}

/// What an epoch came to: mean losses in nats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lap {
    /// Its number, from 1.
    pub epoch: u32,
    /// On what it was trained on, while it was.
    pub train: f64,
    /// On what was held out, after it; absent where nothing was.
    pub held_out: Option<f64>,
}

/// Why a training stops.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There is too little to learn from.
    #[error("{found} examples are too few to learn from; {LEAST_EXAMPLES} is the least")]
    TooFew {
        /// How many there are.
        found: usize,
    },
    /// It is not wanted any more.
    #[error("the training was given up")]
    Cancelled,
    /// What it stands at cannot be written down.
    #[error(transparent)]
    Keep(#[from] KeepError),
    /// The numbers cannot be computed.
    #[error("the training failed: {0}")]
    Compute(String),
    /// This build has no models.
    #[error("this build cannot train: it lacks the feature `local-models`")]
    NoModels,
}

/// Why what a training stands at cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The store failed.
    #[error("the training's state cannot be stored: {0}")]
    Store(#[from] StoreError),
    /// It cannot be written.
    #[error("the training's state cannot be written: {0}")]
    Write(String),
}

/// Who hears how far a training is.
pub trait Watcher {
    /// Keeps what a training stands at after an epoch. Tells whether it is still wanted.
    ///
    /// # Errors
    ///
    /// Says why it cannot be kept.
    fn keep(&mut self, laps: &[Lap], checkpoint: Vec<u8>) -> Result<bool, KeepError>;

    /// Tells whether the training is still wanted; asked before each step.
    fn is_wanted(&self) -> bool {
        true
    }
}

/// What stands before the weights of a checkpoint.
#[cfg(feature = "local-models")]
#[derive(Serialize, Deserialize)]
struct Standing {
    /// The hash of course and examples.
    of: String,
    laps: Vec<Lap>,
}

impl Course {
    /// Returns the defaults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, epochs: 6, hidden: 32, batch: 2_048, learning_rate: 3e-3 }
    }

    /// Names the course with its examples: a checkpoint of another one is not taken up.
    #[cfg(feature = "local-models")]
    fn name(&self, train: &Samples) -> String {
        let course = serde_json::to_string(self).unwrap_or_default();
        let mut hasher = blake3::Hasher::new();
        hasher.update(course.as_bytes()).update(train.fingerprint().as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// Trains a head and returns its file with the curve. `from` is a checkpoint, if there is one: one of the same course on
    /// the same examples is taken up, any other is passed over. The same course, examples and program give the same file,
    /// however often it was broken off.
    ///
    /// # Errors
    ///
    /// [`TrainError`]
    pub fn train(
        &self,
        (train, held_out): (Samples, Samples),
        from: Option<&[u8]>,
        watcher: &mut dyn Watcher,
    ) -> Result<(Vec<u8>, Vec<Lap>), TrainError> {
        if train.rows.len() < LEAST_EXAMPLES {
            return Err(TrainError::TooFew { found: train.rows.len() });
        }
        self.run((train, held_out), from, watcher)
    }

    #[cfg(not(feature = "local-models"))]
    #[expect(clippy::unused_self, reason = "as with local models")]
    fn run(
        &self,
        _: (Samples, Samples),
        _: Option<&[u8]>,
        _: &mut dyn Watcher,
    ) -> Result<(Vec<u8>, Vec<Lap>), TrainError> {
        Err(TrainError::NoModels)
    }

    #[cfg(feature = "local-models")]
    fn run(
        &self,
        (train, held_out): (Samples, Samples),
        from: Option<&[u8]>,
        watcher: &mut dyn Watcher,
    ) -> Result<(Vec<u8>, Vec<Lap>), TrainError> {
        let name = self.name(&train);
        let familiar = Familiar::of(&train.plans);
        let (train, held_out) = (whole(train)?, whole(held_out)?);
        let (mut training, mut laps) = match from.and_then(|from| self.taken_up(&name, from)) {
            Some(standing) => standing,
            None => (Training::new(self.plan()).map_err(compute)?, Vec::new()),
        };
        while training.epoch() < self.epochs {
            let loss = match training.run_epoch(&train, &|| watcher.is_wanted()) {
                Err(ModelError::Cancelled) => return Err(TrainError::Cancelled),
                loss => loss.map_err(compute)?,
            };
            let held_out = (!held_out.is_empty()).then(|| training.loss(&held_out)).transpose().map_err(compute)?;
            laps.push(Lap { epoch: training.epoch(), train: loss, held_out });
            let weights = training.checkpoint().map_err(compute)?;
            let checkpoint = written(&Standing { of: name.clone(), laps: laps.clone() }, &weights)?;
            if !watcher.keep(&laps, checkpoint)? {
                return Err(TrainError::Cancelled);
            }
        }
        let mut trained = training.trained().map_err(compute)?;
        trained.forget(&train.constants());
        Ok((file(trained, familiar)?, laps))
    }

    #[cfg(feature = "local-models")]
    fn plan(&self) -> Plan {
        let Self { seed, epochs, hidden, batch, learning_rate } = *self;
        Plan { epochs, hidden, batch, learning_rate, ..Plan::new(seed, FEATURES) }
    }

    #[cfg(feature = "local-models")]
    fn taken_up(&self, name: &str, from: &[u8]) -> Option<(Training, Vec<Lap>)> {
        let (length, rest) = from.split_first_chunk::<4>()?;
        let (standing, weights) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let Standing { of, laps } = serde_json::from_slice(standing).ok()?;
        let epoch = laps.last().map_or(0, |lap| lap.epoch);
        let training = Training::resume(self.plan(), epoch, weights).ok().filter(|_| of == name)?;
        Some((training, laps))
    }
}

#[cfg(feature = "local-models")]
fn written(standing: &Standing, weights: &[u8]) -> Result<Vec<u8>, TrainError> {
    let head = serde_json::to_vec(standing).map_err(|error| KeepError::Write(error.to_string()))?;
    let length = u32::try_from(head.len()).map_err(|error| KeepError::Write(error.to_string()))?;
    Ok([&length.to_le_bytes(), head.as_slice(), weights].concat())
}

#[cfg(feature = "local-models")]
fn whole(samples: Samples) -> Result<Examples, TrainError> {
    let examples = Examples::whole(FEATURES, samples.rows.into_flattened(), samples.targets);
    examples.ok_or_else(|| compute("an example is no row of finite numbers"))
}

#[cfg(feature = "local-models")]
fn file(trained: Trained, familiar: Option<Familiar>) -> Result<Vec<u8>, TrainError> {
    let layers = trained.layers.into_iter().map(|(weights, bias)| Layer { weights, bias }).collect();
    let head = Head { features: FEATURE_SET.to_owned(), layers, familiar };
    head.check().and_then(|()| head.to_bytes()).map_err(compute)
}

#[cfg(feature = "local-models")]
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn compute(error: impl ToString) -> TrainError {
    TrainError::Compute(error.to_string())
}

#[cfg(all(test, feature = "local-models"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use recap_core::context::{LEAST_FAMILIAR_TASKS, TrainingPlan};

    use super::*;

    /// Keeps what a training stands at, and gives it up after some epochs.
    struct Shelf {
        kept: Option<Vec<u8>>,
        left: u32,
    }

    impl Watcher for Shelf {
        fn keep(&mut self, _: &[Lap], checkpoint: Vec<u8>) -> Result<bool, KeepError> {
            self.kept = Some(checkpoint);
            self.left -= 1;
            Ok(self.left > 0)
        }
    }

    fn samples(count: u16) -> Samples {
        let mut samples = Samples::default();
        for n in 0..count {
            let mut row = [0.0; FEATURES];
            row[0] = f32::from(n % 17) / 17.0 - 0.5;
            row[5] = f32::from(n % 5) - 2.0;
            samples.push(row, f32::from(u8::from(row[0] > 0.0)));
        }
        samples
    }

    fn course() -> Course {
        Course { epochs: 5, hidden: 8, batch: 64, learning_rate: 0.02, ..Course::new(3) }
    }

    #[test]
    fn a_training_that_was_killed_ends_as_one_that_was_not() {
        let sides = || (samples(600), samples(90));
        let mut whole = Shelf { kept: None, left: 99 };
        let (expected, curve) = course().train(sides(), None, &mut whole).unwrap();
        assert_eq!(curve.len(), 5);
        assert!(curve[4].held_out < curve[0].held_out, "{curve:?}");
        let mut killed = Shelf { kept: None, left: 2 };
        let gone = course().train(sides(), None, &mut killed);
        assert!(matches!(gone, Err(TrainError::Cancelled)));
        let mut rest = Shelf { kept: None, left: 99 };
        let (found, again) = course().train(sides(), killed.kept.as_deref(), &mut rest).unwrap();
        assert_eq!((found, again), (expected, curve));
        assert_eq!(rest.left, 96, "three epochs were left");
    }

    /// Wants nothing more after some steps.
    struct Hurried(std::cell::Cell<u32>);

    impl Watcher for Hurried {
        fn keep(&mut self, _: &[Lap], _: Vec<u8>) -> Result<bool, KeepError> {
            Ok(true)
        }

        fn is_wanted(&self) -> bool {
            self.0.set(self.0.get() - 1);
            self.0.get() > 0
        }
    }

    #[test]
    fn a_training_ends_within_an_epoch_where_it_is_not_wanted() {
        let mut hurried = Hurried(4.into());
        let ended = course().train((samples(600), Samples::default()), None, &mut hurried);
        assert!(matches!(ended, Err(TrainError::Cancelled)));
        assert_eq!(hurried.0.get(), 0, "it is not asked again");
    }

    #[test]
    fn a_checkpoint_of_another_course_is_passed_over() {
        let sides = || (samples(600), Samples::default());
        let mut first = Shelf { kept: None, left: 99 };
        let (expected, _) = course().train(sides(), None, &mut first).unwrap();
        let other = Course { seed: 4, ..course() };
        let mut second = Shelf { kept: None, left: 99 };
        let (found, laps) = other.train(sides(), first.kept.as_deref(), &mut second).unwrap();
        assert_eq!((second.left, laps[0].held_out), (94, None));
        assert_ne!(found, expected);
        let torn = first.kept.as_deref().and_then(|kept| kept.get(..9));
        let mut third = Shelf { kept: None, left: 99 };
        assert_eq!(course().train(sides(), torn, &mut third).unwrap().0, expected);
    }

    #[test]
    fn a_feature_that_never_differed_has_no_say() {
        let mut shelf = Shelf { kept: None, left: 99 };
        let (found, _) = course().train((samples(600), Samples::default()), None, &mut shelf).unwrap();
        let head = Head::parse(&found).unwrap();
        let weights = |at: usize| head.layers[0].weights.iter().map(move |row| row[at]);
        assert!((0..FEATURES).all(|at| weights(at).any(|weight| weight != 0.0) == [0, 5].contains(&at)));
    }

    /// Plans of so many tasks.
    fn with_plans(mut samples: Samples, tasks: u64) -> Samples {
        for task in 0..tasks {
            samples.push_plan(TrainingPlan { task, profile: [0.5; FEATURES] });
        }
        samples
    }

    #[test]
    fn a_head_bears_what_was_usual_in_its_training() {
        let head = |plans: u64| {
            let mut shelf = Shelf { kept: None, left: 99 };
            let mut train = with_plans(samples(600), plans);
            train.push_plan(TrainingPlan { task: 99, profile: [f32::NAN; FEATURES] });
            let (file, _) = course().train((train, Samples::default()), None, &mut shelf).unwrap();
            Head::parse(&file).unwrap()
        };
        let knowing = head(LEAST_FAMILIAR_TASKS as u64);
        assert!(knowing.knows(&[0.5; FEATURES]) && !knowing.knows(&[0.9; FEATURES]));
        assert_eq!(head(LEAST_FAMILIAR_TASKS as u64 - 1).familiar, None);
    }

    #[test]
    fn too_few_examples_teach_nothing() {
        let mut shelf = Shelf { kept: None, left: 9 };
        let few = course().train((samples(20), Samples::default()), None, &mut shelf);
        assert!(matches!(few, Err(TrainError::TooFew { found: 20 })));
    }
}
