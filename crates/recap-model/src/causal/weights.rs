//! Weights as they are kept in memory.

use std::sync::Arc;

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device, Tensor};

use super::gguf::Gguf;
use crate::ModelError;

/// How precisely weights are kept in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// Quantised weights stay quantised. The kinds for which candle has only scalar kernels (`Q4_1`, `Q5_0`, `Q5_1`, `Q8_1`)
    /// become `Q8_0`, which is several times faster and loses next to nothing; `Q8_0`, `Q4_0` and the K-quants are kept;
    /// weights stored as floats become `f32`.
    #[default]
    Quantized,
    /// All weights become `f32`: four to eight times the memory, about half the speed of generation, and two to three times
    /// the speed of reading. For scoring.
    Float,
}

/// Reads the matrix `name` of `rows` × `columns` as it will be multiplied with.
pub(super) fn matrix(
    file: &mut Gguf,
    precision: Precision,
    name: &str,
    [rows, columns]: [usize; 2],
) -> Result<QMatMul, ModelError> {
    let stored = file.tensor(name, &[rows, columns])?;
    Ok(QMatMul::from_arc(kept(Arc::new(stored), precision)?)?)
}

/// Reads the vector `name`.
pub(super) fn vector(file: &mut Gguf, name: &str, length: usize) -> Result<Tensor, ModelError> {
    let stored = file.tensor(name, &[length])?;
    let device = stored.device();
    Ok(stored.dequantize(&device)?)
}

/// Reads the vector `name` if there is one.
pub(super) fn vector_if_any(file: &mut Gguf, name: &str, length: usize) -> Result<Option<Tensor>, ModelError> {
    if file.has(name) { vector(file, name, length).map(Some) } else { Ok(None) }
}

/// Returns the weights in the form that they are multiplied in.
pub(super) fn kept(stored: Arc<QTensor>, precision: Precision) -> Result<Arc<QTensor>, ModelError> {
    let wanted = match (precision, stored.dtype()) {
        (Precision::Float, GgmlDType::F32) => return Ok(stored),
        (Precision::Float, _) => GgmlDType::F32,
        (Precision::Quantized, GgmlDType::Q4_1 | GgmlDType::Q5_0 | GgmlDType::Q5_1 | GgmlDType::Q8_1) => {
            GgmlDType::Q8_0
        }
        (Precision::Quantized, _) => return Ok(stored),
    };
    let device: Device = stored.device();
    Ok(Arc::new(QTensor::quantize(&stored.dequantize(&device)?, wanted)?))
}
