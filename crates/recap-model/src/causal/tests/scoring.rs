use super::{SMOLLM, model, path};
use crate::causal::{ChatModel, LoadOptions};

#[test]
fn tokens_tile_the_text_and_surprises_cost_bits() {
    let Some(mut model) = model(SMOLLM) else { return };
    let text = "The capital of France is Paris. The capital of France is Paris. The capital of France is 7q🦀zx.";
    let bits = model.self_information(text, &|| true).unwrap();
    let mut end = 0;
    for (range, bits) in &bits {
        assert!(range.start <= end && range.end >= end, "{range:?} leaves a gap behind {end}");
        assert!(bits.is_finite() && *bits >= 0.0, "{bits}");
        end = range.end;
    }
    assert_eq!(end, text.len());
    let (repeated, new) = (text.find(". The").unwrap() + 2, text.find("7q").unwrap());
    let mean = |from: usize, to: usize| {
        let inside: Vec<f32> =
            bits.iter().filter(|(range, _)| (from..to).contains(&range.start)).map(|(_, bits)| *bits).collect();
        inside.iter().sum::<f32>() / inside.iter().map(|_| 1.0).sum::<f32>()
    };
    assert!(mean(repeated, new - 28) < 1.0, "a repetition is expected");
    assert!(mean(new, text.len()) > 4.0, "noise is not");
}

#[test]
fn units_are_ranked_and_empty_ones_have_nothing() {
    let Some(mut model) = model(SMOLLM) else { return };
    let same = "INFO cache: refreshed 120 entries in 4 ms";
    let scores = model
        .unit_scores(&[same, same, same, "", "panicked at src/wal.rs:88: torn page 0x3fe1", same], &|| true)
        .unwrap();
    assert_eq!(scores.len(), 6);
    assert!(scores[3].abs() < f32::EPSILON);
    assert!(scores[4] > 2.0 * scores[2] && scores[4] > 2.0 * scores[5], "{scores:?}");
    assert!(matches!(model.unit_scores(&[same], &|| false), Err(crate::ModelError::Cancelled)));
    assert!(model.unit_scores(&[], &|| true).unwrap().is_empty());
}

#[test]
fn texts_beyond_the_window_are_scored_in_parts() {
    let Some(path) = path(SMOLLM) else { return };
    let mut model = ChatModel::load(&path, &LoadOptions { max_window: 32, ..LoadOptions::default() }).unwrap();
    let text = "one two three four five six seven eight nine ten ".repeat(6);
    let bits = model.self_information(&text, &|| true).unwrap();
    assert_eq!(bits.len(), model.count(&text).unwrap());
    assert!(bits.iter().all(|(_, bits)| bits.is_finite()));
    assert_eq!(bits.last().unwrap().0.end, text.len());
}
