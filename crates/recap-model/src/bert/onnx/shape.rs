//! The sizes of a BERT whose folder has no `config.json`.

use std::collections::HashMap;

use candle_transformers::models::bert::Config;

use super::message::{GraphProto, NodeProto, TensorProto};
use super::numbers::integers;

/// More layers than any encoder has.
const MAX_LAYERS: usize = 1_024;

/// Returns the configuration of the BERT with this graph; `shape` looks up a weight's shape by its name.
pub(super) fn config<'w>(graph: &GraphProto, shape: impl Fn(&str) -> Option<&'w [usize]>) -> Result<Config, String> {
    let of = |name: &str| {
        let full = format!("bert.{name}");
        shape(&full)
            .or_else(|| shape(name))
            .ok_or_else(|| format!("no config.json, and no weight {name} to tell the sizes"))
    };
    let rows = |name: &str| of(name).map(|shape| shape.first().copied().unwrap_or(0));
    let hidden_size = of("embeddings.word_embeddings.weight")?.last().copied().unwrap_or(0);
    let layer = |index: usize| format!("encoder.layer.{index}.intermediate.dense.bias");
    Ok(Config {
        vocab_size: rows("embeddings.word_embeddings.weight")?,
        hidden_size,
        num_hidden_layers: (0..MAX_LAYERS).take_while(|&index| of(&layer(index)).is_ok()).count(),
        num_attention_heads: heads(graph, hidden_size)?,
        intermediate_size: rows(&layer(0))?,
        max_position_embeddings: rows("embeddings.position_embeddings.weight")?,
        type_vocab_size: rows("embeddings.token_type_embeddings.weight")?,
        ..Config::default()
    })
}

/// Returns the number of attention heads: the first layer reshapes to `[batch, sequence, heads, hidden / heads]`, with
/// constants for the last two.
fn heads(graph: &GraphProto, hidden_size: usize) -> Result<usize, String> {
    let constants: HashMap<&str, &TensorProto> = graph.node.iter().filter_map(constant).collect();
    let attention = graph.node.iter().filter(|node| node.name.contains("/layer.0/attention/self/"));
    let shapes = attention.filter(|node| ["Concat", "Reshape"].contains(&node.op_type.as_str()));
    let sizes = shapes.map(|node| {
        let known = node.input.iter().filter_map(|input| constants.get(input.as_str()));
        known.filter_map(|tensor| integers(tensor)).flatten().collect::<Vec<_>>()
    });
    let heads = sizes.filter_map(|sizes| match sizes[..] {
        [.., heads, size] if heads > 0 && size > 0 => Some((usize::try_from(heads).ok()?, usize::try_from(size).ok()?)),
        _ => None,
    });
    let mut fitting = heads.filter(|(heads, size)| heads.checked_mul(*size) == Some(hidden_size));
    let (heads, _) =
        fitting.next().ok_or("no config.json, and the graph does not show how many attention heads there are")?;
    Ok(heads)
}

fn constant(node: &NodeProto) -> Option<(&str, &TensorProto)> {
    let tensor = node.attribute.iter().find_map(|attribute| attribute.tensor.as_ref())?;
    (node.op_type == "Constant").then_some((node.output.first()?.as_str(), tensor))
}
