//! A trained head: how likely a later action uses a value, from the numbers of [`features`](super::features).
//!
//! A perceptron with rectified linear units, small enough to be asked for every value while an epoch is planned: no read
//! waits for it, and the same file gives the same numbers on every machine. It reads features relative to the other values
//! of the same plan, so that what it learned of one kind of agent says something of others.

use serde::{Deserialize, Serialize};

use super::familiar::Familiar;
use super::features::{FEATURES, Features};
use crate::trajectory::OriginalHash;

/// The set of features that this code computes: a head for another one is refused.
pub const FEATURE_SET: &str = "values/1";

/// The most bytes of a head's file, stored or read: 4 MiB.
pub const MOST_HEAD_BYTES: usize = 4 << 20;
/// The most units of a layer, and the most layers.
const MOST_UNITS: usize = 1_024;
const MOST_LAYERS: usize = 4;
/// Features are held within this many standard deviations of their plan's mean.
const MOST_DEVIATIONS: f32 = 3.0;
/// Added to standard deviations, so that a feature that hardly differs says hardly anything.
const LEAST_DEVIATION: f32 = 0.05;

/// A trained head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The features that it reads, see [`FEATURE_SET`].
    pub features: String,
    /// From the input to the one output.
    pub layers: Vec<Layer>,
    /// The plans that it was trained on: it is not asked about others. Absent, as after a training on too few tasks, it is asked
    /// about all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub familiar: Option<Familiar>,
}

/// A linear layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// `[outputs][inputs]`.
    pub weights: Vec<Vec<f32>>,
    /// `[outputs]`.
    pub bias: Vec<f32>,
}

/// A head with its name, ready to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ActiveHead {
    /// The head.
    pub head: Head,
    /// The address of its file.
    pub hash: OriginalHash,
}

impl ActiveHead {
    /// Reads a head's file.
    ///
    /// # Errors
    /// [`HeadError`]
    pub fn parse(text: &str) -> Result<Self, HeadError> {
        Ok(Self { head: Head::parse(text.as_bytes())?, hash: OriginalHash::of(text) })
    }

    /// Returns what results call it, as in `extract:head@b3:0123abcd` (law 12).
    #[must_use]
    pub fn name(&self) -> String {
        format!("extract:head@{}", self.hash.handle())
    }
}

/// Why a text is no head.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// It is larger than a head may be.
    #[error("a head has more than {MOST_HEAD_BYTES} bytes")]
    Large,
    /// It is no JSON of the form.
    #[error("not a head: {0}")]
    Json(#[from] serde_json::Error),
    /// It was trained on other features.
    #[error("it reads the features `{found}`, this program computes `{FEATURE_SET}`")]
    Features {
        /// What it reads.
        found: String,
    },
    /// Sizes do not fit together, or a number is not finite.
    #[error("{0}")]
    Shape(&'static str),
}

impl Head {
    /// Reads a head as [`Head::to_bytes`] writes it, and checks it.
    ///
    /// # Errors
    /// [`HeadError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, HeadError> {
        if bytes.len() > MOST_HEAD_BYTES {
            return Err(HeadError::Large);
        }
        let head: Self = serde_json::from_slice(bytes)?;
        head.check()?;
        Ok(head)
    }

    /// Checks sizes and numbers.
    ///
    /// # Errors
    /// [`HeadError`]
    pub fn check(&self) -> Result<(), HeadError> {
        if self.features != FEATURE_SET {
            return Err(HeadError::Features { found: self.features.clone() });
        }
        if self.layers.is_empty() || self.layers.len() > MOST_LAYERS {
            return Err(HeadError::Shape("it must have 1 to 4 layers"));
        }
        let mut inputs = FEATURES;
        for layer in &self.layers {
            let fits = layer.weights.iter().all(|row| row.len() == inputs) && layer.weights.len() == layer.bias.len();
            if !fits || layer.bias.is_empty() || layer.bias.len() > MOST_UNITS {
                return Err(HeadError::Shape("a layer does not fit the one before it"));
            }
            inputs = layer.bias.len();
        }
        if inputs != 1 {
            return Err(HeadError::Shape("the last layer must have one output"));
        }
        let weights = self.layers.iter().flat_map(|layer| layer.weights.iter().flatten().chain(&layer.bias));
        if weights.copied().any(|number: f32| !number.is_finite()) {
            return Err(HeadError::Shape("a number is not finite"));
        }
        if !self.familiar.as_ref().is_none_or(Familiar::is_sound) {
            return Err(HeadError::Shape("what it says of its training plans cannot be"));
        }
        Ok(())
    }

    /// Returns the head's file.
    ///
    /// # Errors
    /// [`HeadError::Json`], for none that [`Head::check`] passes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, HeadError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Tells whether it has a word on a plan with this [`profile`](super::profile).
    #[must_use]
    pub fn knows(&self, profile: &Features) -> bool {
        self.familiar.as_ref().is_none_or(|familiar| familiar.knows(profile))
    }

    /// Returns how likely a later action uses a value, 0 to 1, from its features relative to those of its plan.
    #[must_use]
    pub fn score(&self, features: &Features) -> f32 {
        let mut values = features.to_vec();
        for (at, layer) in self.layers.iter().enumerate() {
            if at > 0 {
                for value in &mut values {
                    *value = value.max(0.0);
                }
            }
            let rows = layer.weights.iter().zip(&layer.bias);
            values = rows.map(|(row, bias)| row.iter().zip(&values).map(|(w, x)| w * x).sum::<f32>() + bias).collect();
        }
        let logit = values.first().copied().unwrap_or(0.0);
        1.0 / (1.0 + (-logit).exp())
    }
}

/// Makes the features of one plan's values relative to each other: less their mean, by their standard deviation.
#[expect(clippy::cast_precision_loss, reason = "values of one plan are far below 2^24")]
pub fn make_relative<'a>(features: impl Iterator<Item = &'a mut Features>) {
    let mut rows: Vec<&mut Features> = features.collect();
    let count = rows.len().max(1) as f32;
    for column in 0..FEATURES {
        let of = |row: &Features| row.get(column).copied().unwrap_or(0.0);
        let mean = rows.iter().map(|row| of(row)).sum::<f32>() / count;
        let variance = rows.iter().map(|row| (of(row) - mean).powi(2)).sum::<f32>() / count;
        let deviation = variance.sqrt() + LEAST_DEVIATION;
        for row in &mut rows {
            if let Some(number) = row.get_mut(column) {
                *number = ((*number - mean) / deviation).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]

    use super::super::familiar::TrainingPlan;
    use super::*;

    fn head(first: f32) -> Head {
        let mut weights = vec![0.0; FEATURES];
        weights[0] = first;
        let layers = vec![
            Layer { weights: vec![weights.clone(), weights.iter().map(|w| -w).collect()], bias: vec![0.0, 0.0] },
            Layer { weights: vec![vec![1.0, -1.0]], bias: vec![0.0] },
        ];
        Head { features: FEATURE_SET.to_owned(), layers, familiar: None }
    }

    #[test]
    fn scores_follow_the_layers() {
        let head = head(2.0);
        let mut features = [0.0; FEATURES];
        assert_eq!(head.score(&features), 0.5);
        features[0] = 1.0;
        assert!((head.score(&features) - 1.0 / (1.0 + (-2.0_f32).exp())).abs() < 1e-6);
    }

    #[test]
    fn features_are_relative_to_their_plan() {
        let mut rows = [[0.0; FEATURES]; 5];
        for (at, row) in rows.iter_mut().enumerate() {
            row[0] = if at == 4 { 1e6 } else { 0.0 };
            row[1] = 7.0;
        }
        make_relative(rows.iter_mut());
        assert!((rows[4][0] - 2.0).abs() < 1e-3 && (rows[0][0] + 0.5).abs() < 1e-3);
        assert!(rows.iter().all(|row| row[1] == 0.0));
        make_relative(std::iter::empty());
    }

    #[test]
    fn files_come_back_as_they_were_and_bad_ones_are_refused() {
        let good = head(0.1);
        assert_eq!(Head::parse(&good.to_bytes().unwrap()).unwrap(), good);
        let other = Head { features: "values/0".to_owned(), ..good.clone() };
        assert!(matches!(Head::parse(&other.to_bytes().unwrap()), Err(HeadError::Features { .. })));
        let mut apart = good.clone();
        apart.layers.remove(0);
        assert!(matches!(apart.check(), Err(HeadError::Shape(_))));
        let plans: Vec<_> = (0..30).map(|task| TrainingPlan { task, profile: [0.5; FEATURES] }).collect();
        let familiar = Familiar::of(&plans).unwrap();
        let knowing = Head { familiar: Some(familiar.clone()), ..good.clone() };
        assert_eq!(Head::parse(&knowing.to_bytes().unwrap()).unwrap(), knowing);
        assert!(knowing.knows(&[0.5; FEATURES]) && !knowing.knows(&[0.9; FEATURES]) && good.knows(&[0.9; FEATURES]));
        let short = Familiar { means: vec![0.0], ..familiar };
        assert!(matches!(Head { familiar: Some(short), ..good.clone() }.check(), Err(HeadError::Shape(_))));
        let mut wild = good;
        wild.layers[0].bias[0] = f32::NAN;
        assert!(matches!(wild.check(), Err(HeadError::Shape(_))));
        assert!(matches!(Head::parse(b"{"), Err(HeadError::Json(_))));
        assert!(matches!(Head::parse(&vec![b' '; MOST_HEAD_BYTES + 1]), Err(HeadError::Large)));
    }
}
