//! The weights of an encoder in an ONNX file, without running its graph.
//!
//! Read are files that the transformers exporter wrote, as they are or after onnxruntime's dynamic quantisation: a
//! weight `w` is then stored as `w_quantized`, `w_scale` and `w_zero_point`.

mod message;
mod numbers;
mod shape;

use std::collections::HashMap;

use bytes::Bytes;
use candle_core::{Device, Tensor};
use candle_transformers::models::bert::Config;
use prost::Message;

use message::{DataType, GraphProto, ModelProto, TensorProto};
use numbers::Numbers;

/// The weights that an ONNX file holds, under the names that transformers gives them.
#[derive(Debug)]
pub(super) struct OnnxWeights {
    graph: GraphProto,
    weights: HashMap<String, Numbers>,
}

impl OnnxWeights {
    /// Reads an ONNX file's bytes; 8-bit weights become the numbers that they stand for.
    pub(super) fn read(file: Bytes) -> Result<Self, String> {
        let model = ModelProto::decode(file).map_err(|error| format!("no ONNX model: {error}"))?;
        let graph = model.graph.ok_or("an ONNX model without a graph")?;
        let weights = weights(&graph)?;
        Ok(Self { graph, weights })
    }

    /// Returns the model's sizes as the weights and the graph show them.
    ///
    /// What they do not show is as in the published BERT: GELU by the error function, layer norms with 1e-12. A model
    /// that differs needs its `config.json`.
    pub(super) fn config(&self) -> Result<Config, String> {
        shape::config(&self.graph, |name| self.weights.get(name).map(|numbers| numbers.shape.as_slice()))
    }

    /// Returns the weights as tensors.
    pub(super) fn tensors(self, device: &Device) -> candle_core::Result<HashMap<String, Tensor>> {
        let tensor = |(name, numbers): (String, Numbers)| {
            let tensor = Tensor::from_vec(numbers.values, numbers.shape, device)?;
            Ok((name, tensor))
        };
        self.weights.into_iter().map(tensor).collect()
    }
}

fn weights(graph: &GraphProto) -> Result<HashMap<String, Numbers>, String> {
    let stored: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
    let factors = factors(graph);
    let mut weights = HashMap::new();
    for tensor in &graph.initializer {
        let Some((base, numbers)) = weight(tensor, &stored)? else { continue };
        if let Some(name) = factors.get(base) {
            weights.insert(name.clone(), numbers.transposed().map_err(|why| format!("{base}: {why}"))?);
        } else if is_parameter(base) {
            weights.insert(base.to_owned(), numbers);
        }
    }
    Ok(weights)
}

/// Returns a stored tensor's name and what it stands for; `None` if it is no weight of its own.
fn weight<'t>(
    tensor: &'t TensorProto,
    stored: &HashMap<&str, &TensorProto>,
) -> Result<Option<(&'t str, Numbers)>, String> {
    let name = tensor.name.as_str();
    let Some(base) = name.strip_suffix("_quantized") else {
        let part_of = name.strip_suffix("_scale").or_else(|| name.strip_suffix("_zero_point"));
        let is_part = part_of.is_some_and(|base| stored.contains_key(format!("{base}_quantized").as_str()));
        let is_weight = !is_part && tensor.data_type == i32::from(DataType::Float);
        return if is_weight { Ok(Some((name, Numbers::read(tensor)?))) } else { Ok(None) };
    };
    let part = |suffix: &str| {
        let name = format!("{base}{suffix}");
        let tensor = stored.get(name.as_str()).ok_or_else(|| format!("{name} is missing"))?;
        Numbers::read(tensor)
    };
    let (scale, zero) = (part("_scale")?, part("_zero_point")?);
    let numbers = Numbers::read(tensor)?.dequantised(&scale, &zero).map_err(|why| format!("{base}: {why}"))?;
    Ok(Some((base, numbers)))
}

/// Returns the names of the weights that the graph multiplies with, by the names under which they are stored.
///
/// The exporter names such a weight after its layer or, where it was transposed, `onnx::MatMul_1662`; then the node that
/// uses it has the layer's path: `/bert/encoder/layer.0/attention/self/query/MatMul`.
fn factors(graph: &GraphProto) -> HashMap<&str, String> {
    let products = graph.node.iter().filter(|node| ["MatMul", "MatMulInteger"].contains(&node.op_type.as_str()));
    let named = products.filter_map(|node| {
        let stored = node.input.get(1)?;
        let base = stored.strip_suffix("_quantized").unwrap_or(stored);
        if is_parameter(base) {
            return Some((base, base.to_owned()));
        }
        let (path, _) = node.name.trim_start_matches('/').rsplit_once('/')?;
        Some((base, format!("{}.weight", path.replace('/', "."))))
    });
    named.collect()
}

fn is_parameter(name: &str) -> bool {
    matches!(name.rsplit_once('.'), Some((_, "weight" | "bias")))
}

#[cfg(test)]
mod tests {
    use super::message::NodeProto;
    use super::*;

    fn bytes(name: &str, dims: &[i64], values: &[u8]) -> TensorProto {
        TensorProto {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: DataType::Uint8.into(),
            raw_data: values.to_vec().into(),
            ..TensorProto::default()
        }
    }

    fn float(name: &str, value: f32) -> TensorProto {
        TensorProto {
            name: name.to_owned(),
            data_type: DataType::Float.into(),
            float_data: vec![value],
            ..TensorProto::default()
        }
    }

    fn zero(name: &str, value: i32) -> TensorProto {
        TensorProto {
            name: name.to_owned(),
            data_type: DataType::Uint8.into(),
            int32_data: vec![value],
            ..TensorProto::default()
        }
    }

    fn quantised(base: &str, dims: &[i64], values: &[u8]) -> Vec<TensorProto> {
        vec![
            bytes(&format!("{base}_quantized"), dims, values),
            float(&format!("{base}_scale"), 0.5),
            zero(&format!("{base}_zero_point"), 2),
        ]
    }

    fn product(path: &str, weight: &str) -> NodeProto {
        NodeProto {
            name: path.to_owned(),
            op_type: "MatMulInteger".to_owned(),
            input: vec!["x_quantized".to_owned(), format!("{weight}_quantized")],
            ..NodeProto::default()
        }
    }

    fn file(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> Bytes {
        ModelProto { graph: Some(GraphProto { node, initializer }) }.encode_to_vec().into()
    }

    #[test]
    fn weights_get_the_names_of_their_layers_and_candles_orientation() {
        let nodes = vec![
            product("/bert/layer.0/query/MatMul_quant", "onnx::MatMul_7"),
            product("/bert/pooler/dense/Gemm_MatMul_quant", "bert.pooler.dense.weight"),
        ];
        let mut stored = quantised("onnx::MatMul_7", &[2, 3], &[2, 4, 6, 8, 10, 12]);
        stored.extend(quantised("bert.pooler.dense.weight", &[1, 2], &[2, 4]));
        stored.extend(quantised("bert.embeddings.word_embeddings.weight", &[2, 1], &[0, 2]));
        stored.push(float("bert.pooler.dense.bias", 3.0));
        let read = OnnxWeights::read(file(nodes, stored)).unwrap().weights;
        let mut names: Vec<_> = read.keys().map(String::as_str).collect();
        names.sort_unstable();
        let expected = [
            "bert.embeddings.word_embeddings.weight",
            "bert.layer.0.query.weight",
            "bert.pooler.dense.bias",
            "bert.pooler.dense.weight",
        ];
        assert_eq!(names, expected);
        let of = |name: &str| (read[name].shape.clone(), read[name].values.clone());
        assert_eq!(of("bert.layer.0.query.weight"), (vec![3, 2], vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
        assert_eq!(of("bert.pooler.dense.weight"), (vec![2, 1], vec![0.0, 1.0]));
        // rows of an embedding are looked up, not multiplied with
        assert_eq!(of("bert.embeddings.word_embeddings.weight"), (vec![2, 1], vec![-1.0, 0.0]));
    }

    #[test]
    fn a_quantised_weight_without_its_scale_is_refused() {
        let error = OnnxWeights::read(file(vec![], vec![bytes("w_quantized", &[1], &[1])])).unwrap_err();
        assert_eq!(error, "w_scale is missing");
    }

    #[test]
    fn what_is_no_onnx_file_is_refused() {
        assert!(OnnxWeights::read(Bytes::from_static(b"\x3a\xff\xff")).unwrap_err().starts_with("no ONNX model"));
        assert_eq!(OnnxWeights::read(Bytes::new()).unwrap_err(), "an ONNX model without a graph");
    }
}
