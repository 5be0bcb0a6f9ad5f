//! The numbers of an ONNX tensor, and what quantised ones stand for.

use super::message::{DataType, TensorProto};

/// A tensor's numbers, row by row, with its shape.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

impl Numbers {
    /// Reads a tensor of floats or 8-bit integers; the integers as they are.
    pub(super) fn read(tensor: &TensorProto) -> Result<Self, String> {
        if tensor.data_location != 0 {
            return Err(format!("{}: its data stands in another file", tensor.name));
        }
        let shape = shape(tensor)?;
        let values = values(tensor)?;
        if values.len() != shape.iter().product::<usize>() {
            return Err(format!("{}: {} numbers for the shape {shape:?}", tensor.name, values.len()));
        }
        Ok(Self { shape, values })
    }

    /// Returns `(self − zero) · scale`: the numbers that these stand for (ONNX `DequantizeLinear`).
    ///
    /// Scale and zero point hold one number for all, or one for each slice of the last axis (a channel of a
    /// `[in, out]` matrix).
    pub(super) fn dequantised(mut self, scale: &Self, zero: &Self) -> Result<Self, String> {
        let channels = self.shape.last().copied().unwrap_or(1);
        if scale.values.len() != zero.values.len() || ![1, channels].contains(&scale.values.len()) {
            let (scales, zeros) = (scale.values.len(), zero.values.len());
            return Err(format!("{scales} scales and {zeros} zero points for {channels} channels"));
        }
        let pairs = scale.values.iter().zip(&zero.values).cycle();
        for (value, (scale, zero)) in self.values.iter_mut().zip(pairs) {
            *value = (*value - zero) * scale;
        }
        Ok(self)
    }

    /// Returns a matrix with rows and columns exchanged: ONNX multiplies with `[in, out]`, candle stores `[out, in]`.
    pub(super) fn transposed(self) -> Result<Self, String> {
        let [rows, columns] = self.shape[..] else {
            return Err(format!("a matrix was expected, its shape is {:?}", self.shape));
        };
        let column = |of: usize| self.values.iter().skip(of).step_by(columns.max(1)).copied();
        Ok(Self { shape: vec![columns, rows], values: (0..columns).flat_map(column).collect() })
    }
}

fn shape(tensor: &TensorProto) -> Result<Vec<usize>, String> {
    let dims = tensor.dims.iter().map(|&dim| usize::try_from(dim));
    dims.collect::<Result<_, _>>().map_err(|_| format!("{}: a negative dimension", tensor.name))
}

fn values(tensor: &TensorProto) -> Result<Vec<f32>, String> {
    let raw = &tensor.raw_data;
    let data_type = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
    Ok(match (data_type, raw.is_empty()) {
        (DataType::Float, false) => raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        (DataType::Float, true) => tensor.float_data.clone(),
        (DataType::Uint8, false) => raw.iter().map(|&byte| f32::from(byte)).collect(),
        (DataType::Int8, false) => raw.iter().map(|&byte| f32::from(byte.cast_signed())).collect(),
        (DataType::Uint8 | DataType::Int8, true) => tensor.int32_data.iter().map(|&number| small(number)).collect(),
        (DataType::Int64 | DataType::Undefined, _) => {
            return Err(format!("{}: numbers of type {} are not supported", tensor.name, tensor.data_type));
        }
    })
}

/// Returns an 8-bit number that was stored in 32.
fn small(number: i32) -> f32 {
    i16::try_from(number).map_or(f32::NAN, f32::from)
}

/// Returns the integers of a constant, if it is one of 64-bit integers.
pub(super) fn integers(tensor: &TensorProto) -> Option<Vec<i64>> {
    if tensor.data_type != i32::from(DataType::Int64) {
        return None;
    }
    if tensor.raw_data.is_empty() {
        return Some(tensor.int64_data.clone());
    }
    let (eights, _) = tensor.raw_data.as_chunks::<8>();
    Some(eights.iter().map(|eight| i64::from_le_bytes(*eight)).collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn int8(dims: &[i64], bytes: &[i8]) -> TensorProto {
        let raw_data = Bytes::from(bytes.iter().map(|byte| byte.cast_unsigned()).collect::<Vec<_>>());
        TensorProto { dims: dims.to_vec(), data_type: DataType::Int8.into(), raw_data, ..TensorProto::default() }
    }

    fn numbers(shape: &[usize], values: &[f32]) -> Numbers {
        Numbers { shape: shape.to_vec(), values: values.to_vec() }
    }

    #[test]
    fn one_scale_for_a_tensor() {
        let read = Numbers::read(&int8(&[2, 2], &[-128, 0, 1, 127])).unwrap();
        let meant = read.dequantised(&numbers(&[], &[0.5]), &numbers(&[], &[1.0])).unwrap();
        assert_eq!(meant, numbers(&[2, 2], &[-64.5, -0.5, 0.0, 63.0]));
    }

    #[test]
    fn one_scale_for_each_output() {
        let read = Numbers::read(&int8(&[2, 3], &[1, 2, 3, 4, 5, 6])).unwrap();
        let meant = read.dequantised(&numbers(&[3], &[1.0, 10.0, 100.0]), &numbers(&[3], &[0.0, 1.0, 0.0])).unwrap();
        assert_eq!(meant, numbers(&[2, 3], &[1.0, 10.0, 300.0, 4.0, 40.0, 600.0]));
        assert_eq!(meant.transposed().unwrap(), numbers(&[3, 2], &[1.0, 4.0, 10.0, 40.0, 300.0, 600.0]));
    }

    #[test]
    fn scales_that_fit_no_axis_are_refused() {
        let read = Numbers::read(&int8(&[2, 3], &[1; 6])).unwrap();
        assert!(read.dequantised(&numbers(&[2], &[1.0; 2]), &numbers(&[2], &[0.0; 2])).is_err());
    }

    #[test]
    fn unsigned_bytes_and_numbers_in_fields_are_read() {
        let stored = |data_type: DataType| TensorProto { data_type: data_type.into(), ..TensorProto::default() };
        let raw = TensorProto { dims: vec![2], raw_data: Bytes::from_static(&[0, 255]), ..stored(DataType::Uint8) };
        assert_eq!(Numbers::read(&raw).unwrap().values, [0.0, 255.0]);
        let field = TensorProto { int32_data: vec![-3], ..stored(DataType::Int8) };
        assert_eq!(Numbers::read(&field).unwrap(), numbers(&[], &[-3.0]));
        let floats =
            TensorProto { dims: vec![1], raw_data: 1.5_f32.to_le_bytes().to_vec().into(), ..stored(DataType::Float) };
        assert_eq!(Numbers::read(&floats).unwrap().values, [1.5]);
    }

    #[test]
    fn data_that_is_cut_short_or_elsewhere_is_refused() {
        let short = int8(&[2, 2], &[1, 2, 3]);
        assert!(Numbers::read(&short).unwrap_err().contains("3 numbers"));
        let elsewhere = TensorProto { data_location: 1, ..int8(&[1], &[1]) };
        assert!(Numbers::read(&elsewhere).unwrap_err().contains("another file"));
    }
}
