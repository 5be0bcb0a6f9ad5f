//! `AdamW` (Loshchilov and Hutter, 2019) whose moments can be written down.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, Var};

const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// One weight with its moments.
pub(super) struct Weight {
    pub var: Var,
    pub moments: [Tensor; 2],
}

impl Weight {
    pub fn new(var: Var) -> Result<Self> {
        let zeros = var.zeros_like()?;
        Ok(Self { var, moments: [zeros.clone(), zeros] })
    }

    /// Makes step `step`, from 1.
    pub fn step(&mut self, gradients: &GradStore, step: u32, learning_rate: f64, decay: f64) -> Result<()> {
        let Some(gradient) = gradients.get(&self.var) else { return Ok(()) };
        let gradient = gradient.detach();
        let [first, second] = &self.moments;
        let first = ((first * BETA[0])? + (&gradient * (1.0 - BETA[0]))?)?.detach();
        let second = ((second * BETA[1])? + (gradient.sqr()? * (1.0 - BETA[1]))?)?.detach();
        let power = f64::from(step);
        let mean = (&first / (1.0 - BETA[0].powf(power)))?;
        let spread = ((&second / (1.0 - BETA[1].powf(power)))?.sqrt()? + EPSILON)?;
        let kept = (self.var.as_tensor() * (1.0 - learning_rate * decay))?;
        self.var.set(&(kept - ((mean / spread)? * learning_rate)?)?.detach())?;
        self.moments = [first, second];
        Ok(())
    }
}
