//! A perceptron in training.

use std::collections::HashMap;

use candle_core::{D, Device, Tensor, Var};

use super::examples::{Examples, Order};
use super::optimizer::Weight;
use crate::ModelError;

/// How a head is trained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// What weights and orders are drawn from.
    pub seed: u64,
    /// Numbers of an example.
    pub inputs: usize,
    /// Units of the hidden layer.
    pub hidden: usize,
    /// How often all examples are gone through.
    pub epochs: u32,
    /// Examples of a step.
    pub batch: usize,
    /// Of the first step; it falls to 0 as a half cosine.
    pub learning_rate: f64,
    /// Share of a weight that goes with each step, by the learning rate.
    pub decay: f64,
}

impl Plan {
    /// Returns the defaults for examples of this many numbers.
    #[must_use]
    pub fn new(seed: u64, inputs: usize) -> Self {
        Self { seed, inputs, hidden: 32, epochs: 6, batch: 2_048, learning_rate: 3e-3, decay: 1e-2 }
    }
}

/// The layers of a trained head, from the input to the one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// For each layer its weights `[outputs][inputs]` and its bias `[outputs]`.
    pub layers: Vec<(Vec<Vec<f32>>, Vec<f32>)>,
}

impl Trained {
    /// Takes the weights away that nothing was learned of: those of numbers that were the same in all examples. What such a
    /// number added goes to the bias, so scores of the examples stay as they are.
    pub fn forget(&mut self, constants: &[Option<f32>]) {
        let Some((rows, bias)) = self.layers.first_mut() else { return };
        for (row, bias) in rows.iter_mut().zip(bias) {
            for (weight, constant) in row.iter_mut().zip(constants) {
                if let Some(constant) = constant {
                    *bias += *weight * constant;
                    *weight = 0.0;
                }
            }
        }
    }
}

/// A training that stands between two epochs.
pub struct Training {
    plan: Plan,
    epoch: u32,
    step: u32,
    /// Weights and bias of the hidden layer, then of the output.
    weights: Vec<Weight>,
}

/// The names of the weights in a checkpoint.
const NAMES: [&str; 4] = ["hidden.weight", "hidden.bias", "output.weight", "output.bias"];

impl Training {
    /// Begins.
    ///
    /// # Errors
    ///
    /// [`ModelError::Compute`]
    pub fn new(plan: Plan) -> Result<Self, ModelError> {
        let mut order = Order::new(plan.seed);
        let shapes = [(plan.hidden, plan.inputs), (plan.hidden, 0), (1, plan.hidden), (1, 0)];
        let weights = shapes.map(|(outputs, inputs)| -> Result<Weight, ModelError> {
            let tensor = if inputs == 0 {
                Tensor::zeros(outputs, candle_core::DType::F32, &Device::Cpu)?
            } else {
                // the bound of He et al. 2015 for a uniform draw
                #[expect(clippy::cast_precision_loss, reason = "layers are small")]
                let bound = (6.0 / inputs as f32).sqrt();
                let drawn: Vec<f32> = (0..outputs * inputs).map(|_| bound * order.next_signed()).collect();
                Tensor::from_vec(drawn, (outputs, inputs), &Device::Cpu)?
            };
            Ok(Weight::new(Var::from_tensor(&tensor)?)?)
        });
        Ok(Self { plan, epoch: 0, step: 0, weights: weights.into_iter().collect::<Result<_, _>>()? })
    }

    /// Takes up a training where [`Training::checkpoint`] wrote it down.
    ///
    /// # Errors
    ///
    /// [`ModelError::Compute`] for bytes that are no checkpoint of this plan.
    pub fn resume(plan: Plan, epoch: u32, checkpoint: &[u8]) -> Result<Self, ModelError> {
        let mut tensors = candle_core::safetensors::load_buffer(checkpoint, &Device::Cpu)?;
        let mut training = Self::new(plan)?;
        let mut take = |name: &str, like: &Tensor| -> Result<Tensor, ModelError> {
            let tensor = tensors.remove(name).ok_or_else(|| foreign(&format!("it has no `{name}`")))?;
            if tensor.dims() != like.dims() {
                return Err(foreign(&format!("`{name}` has another shape")));
            }
            Ok(tensor)
        };
        for (name, weight) in NAMES.iter().zip(&mut training.weights) {
            let tensor = take(name, weight.var.as_tensor())?;
            weight.var.set(&tensor)?;
            let like = weight.var.as_tensor().clone();
            weight.moments = [take(&format!("{name}.first"), &like)?, take(&format!("{name}.second"), &like)?];
        }
        let step = take("step", &Tensor::zeros(1, candle_core::DType::U32, &Device::Cpu)?)?;
        training.step = step.to_vec1::<u32>()?.first().copied().unwrap_or(0);
        training.epoch = epoch;
        Ok(training)
    }

    /// Writes down weights and moments, as safetensors.
    ///
    /// # Errors
    ///
    /// [`ModelError::Compute`]
    pub fn checkpoint(&self) -> Result<Vec<u8>, ModelError> {
        let mut tensors: HashMap<String, Tensor> = HashMap::new();
        for (name, weight) in NAMES.iter().zip(&self.weights) {
            let [first, second] = weight.moments.clone();
            tensors.insert((*name).to_owned(), weight.var.as_tensor().clone());
            tensors.insert(format!("{name}.first"), first);
            tensors.insert(format!("{name}.second"), second);
        }
        tensors.insert("step".to_owned(), Tensor::new(&[self.step], &Device::Cpu)?);
        Ok(safetensors::serialize(tensors, None).map_err(candle_core::Error::from)?)
    }

    /// Returns how many epochs are done.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Goes through all examples once more, in an order of the epoch's own. Returns the mean loss in nats.
    ///
    /// # Errors
    ///
    /// [`ModelError::Cancelled`] as soon as `wanted`, asked before each step, returns `false`; the training is then of no
    /// more use. [`ModelError::Compute`].
    pub fn run_epoch(&mut self, examples: &Examples, wanted: &dyn Fn() -> bool) -> Result<f64, ModelError> {
        let mut order = Order::new(self.plan.seed ^ (u64::from(self.epoch) + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let places = order.shuffled(examples.len());
        let steps = places.len().div_ceil(self.plan.batch.max(1)).max(1);
        let all = f64::from(self.plan.epochs.max(1)) * u32::try_from(steps).map_or(f64::MAX, f64::from);
        let mut sum = 0.0;
        for batch in places.chunks(self.plan.batch.max(1)) {
            if !wanted() {
                return Err(ModelError::Cancelled);
            }
            let [rows, targets, weights] = examples.batch(batch, &Device::Cpu)?;
            let loss = (cross_entropy(&self.logits(&rows)?, &targets)? * weights)?.mean_all()?;
            sum += f64::from(loss.to_scalar::<f32>()?) * u32::try_from(batch.len()).map_or(0.0, f64::from);
            let gradients = loss.backward()?;
            let done = f64::from(self.step) / all;
            let rate = self.plan.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
            self.step += 1;
            for weight in &mut self.weights {
                weight.step(&gradients, self.step, rate, self.plan.decay)?;
            }
        }
        self.epoch += 1;
        Ok(sum / u32::try_from(places.len().max(1)).map_or(f64::MAX, f64::from))
    }

    /// Returns the mean loss on examples, in nats.
    ///
    /// # Errors
    ///
    /// [`ModelError::Compute`]
    pub fn loss(&self, examples: &Examples) -> Result<f64, ModelError> {
        let places: Vec<u32> = (0..u32::try_from(examples.len()).unwrap_or(u32::MAX)).collect();
        let mut sum = 0.0;
        for batch in places.chunks(self.plan.batch.max(1)) {
            let [rows, targets, weights] = examples.batch(batch, &Device::Cpu)?;
            let loss = (cross_entropy(&self.logits(&rows)?, &targets)? * weights)?.sum_all()?;
            sum += f64::from(loss.to_scalar::<f32>()?);
        }
        Ok(sum / u32::try_from(places.len().max(1)).map_or(f64::MAX, f64::from))
    }

    /// Returns the layers as they are now.
    ///
    /// # Errors
    ///
    /// [`ModelError::Compute`]
    pub fn trained(&self) -> Result<Trained, ModelError> {
        let layers = self.weights.chunks(2).filter_map(|pair| match pair {
            [weight, bias] => Some((weight, bias)),
            _ => None,
        });
        let layers = layers.map(|(weight, bias)| Ok((weight.var.to_vec2()?, bias.var.to_vec1()?)));
        Ok(Trained { layers: layers.collect::<Result<_, ModelError>>()? })
    }

    /// Returns the logits `[batch]` of rows `[batch, inputs]`.
    fn logits(&self, rows: &Tensor) -> Result<Tensor, ModelError> {
        let [hidden, hidden_bias, output, output_bias] = self.weights.as_slice() else {
            return Err(foreign("it has no two layers"));
        };
        let inner = rows.matmul(&hidden.var.t()?)?.broadcast_add(hidden_bias.var.as_tensor())?.relu()?;
        Ok(inner.matmul(&output.var.t()?)?.broadcast_add(output_bias.var.as_tensor())?.squeeze(D::Minus1)?)
    }
}

/// Binary cross-entropy of logits, one for each example, without overflow.
fn cross_entropy(logits: &Tensor, targets: &Tensor) -> Result<Tensor, ModelError> {
    let softened = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    Ok(((logits.relu()? - (logits * targets)?)? + softened)?)
}

fn foreign(why: &str) -> ModelError {
    ModelError::Compute(candle_core::Error::Msg(format!("not a checkpoint of this training: {why}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests")]

    use super::*;

    /// Points of a ring around a disc: no straight line tells them apart.
    fn rings(count: usize) -> Examples {
        let mut order = Order::new(7);
        let mut examples = Examples::new(2);
        while examples.len() < count {
            let row = [order.next_signed(), order.next_signed()];
            let inside = row[0].hypot(row[1]) < 0.6;
            assert!(examples.push(&row, f32::from(u8::from(inside)), 1.0));
        }
        examples
    }

    fn plan() -> Plan {
        Plan { hidden: 16, epochs: 12, batch: 64, learning_rate: 0.02, ..Plan::new(3, 2) }
    }

    #[test]
    fn a_head_learns_what_no_line_tells_apart() {
        let examples = rings(1_500);
        let mut training = Training::new(plan()).unwrap();
        let before = training.loss(&examples).unwrap();
        for _ in 0..12 {
            training.run_epoch(&examples, &|| true).unwrap();
        }
        let after = training.loss(&examples).unwrap();
        assert!(before > 0.5 && after < 0.2, "{before} {after}");
    }

    #[test]
    fn a_training_that_was_taken_up_again_ends_as_one_that_was_not_broken_off() {
        let examples = rings(300);
        let mut whole = Training::new(plan()).unwrap();
        let mut broken = Training::new(plan()).unwrap();
        for epoch in 0..4 {
            whole.run_epoch(&examples, &|| true).unwrap();
            broken.run_epoch(&examples, &|| true).unwrap();
            let written = broken.checkpoint().unwrap();
            broken = Training::resume(plan(), epoch + 1, &written).unwrap();
        }
        assert_eq!(whole.trained().unwrap(), broken.trained().unwrap());
    }

    #[test]
    fn what_never_differed_has_no_weight() {
        let mut examples = Examples::new(3);
        for (row, target) in rings(300).iter() {
            assert!(examples.push(&[row[0], 0.5, row[1]], target, 1.0));
        }
        assert_eq!(examples.constants(), [None, Some(0.5), None]);
        let mut training = Training::new(Plan { inputs: 3, ..plan() }).unwrap();
        training.run_epoch(&examples, &|| true).unwrap();
        let whole = training.trained().unwrap();
        let mut trained = whole.clone();
        trained.forget(&examples.constants());
        let (rows, bias) = &trained.layers[0];
        assert!(rows.iter().all(|row| row[1] == 0.0 && row[0] != 0.0 && row[2] != 0.0));
        let moved = whole.layers[0].0[0][1].mul_add(0.5, whole.layers[0].1[0]);
        assert!((bias[0] - moved).abs() < 1e-6, "{bias:?}");
        assert_eq!(Examples::new(2).constants(), [None, None]);
    }

    #[test]
    fn bad_input_is_refused() {
        let mut examples = Examples::new(2);
        assert!(!examples.push(&[1.0], 1.0, 1.0) && !examples.push(&[1.0, f32::NAN], 1.0, 1.0));
        assert!(Examples::whole(2, vec![1.0; 3], vec![1.0]).is_none());
        assert!(Examples::whole(2, vec![1.0, f32::NAN], vec![1.0]).is_none());
        assert_eq!(Examples::whole(2, vec![1.0; 4], vec![1.0; 2]).unwrap().len(), 2);
        assert!(Training::resume(plan(), 1, b"nothing").is_err());
        let other = Training::new(Plan { hidden: 8, ..plan() }).unwrap().checkpoint().unwrap();
        assert!(Training::resume(plan(), 1, &other).is_err());
        let stopped = Training::new(plan()).unwrap().run_epoch(&rings(10), &|| false);
        assert!(matches!(stopped, Err(ModelError::Cancelled)));
    }
}
