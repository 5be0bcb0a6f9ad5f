use std::cell::Cell;

use serde_json::{Value, json};

use super::{QWEN, SMOLLM, ids, model, path, reference, reply};
use crate::ModelError;
use crate::causal::generate::BLOCK;
use crate::causal::{ChatModel, Finish, Generation, LoadOptions, Precision, Prompt};

/// The likeliest token's log-probability may differ by this much: llama.cpp multiplies the weights as they are stored
/// (`Q4_1`, `Q5_0`), here they became `Q8_0`, and both round activations to 8 bits in their own way.
const CLOSE: f32 = 0.3;

fn replies_are_those_of_llama_cpp(model: &mut ChatModel, name: &str) {
    for case in reference(name)["replies"].as_array().unwrap() {
        let prompt = Prompt { system: case["system"].as_str().unwrap(), user: case["user"].as_str().unwrap() };
        assert_eq!(model.template.tokens(&prompt, &mut model.vocabulary).unwrap(), ids(&case["prompt"]));
        let generation = Generation { max_tokens: 24, ..Generation::default() };
        let generated = reply(model, prompt, &generation);
        assert_eq!(generated.text, case["text"], "{name}");
        assert_eq!(generated.tokens, ids(&case["ids"]).len());
        assert_eq!(generated.prompt_tokens, ids(&case["prompt"]).len());
        assert_eq!(generated.finish, Finish::Stop);
        log_probabilities_are_close(model, case);
    }
}

fn log_probabilities_are_close(model: &mut ChatModel, case: &Value) {
    let expected: Vec<f32> = serde_json::from_value(case["logprobs"].clone()).unwrap();
    let (prompt, tokens) = (ids(&case["prompt"]), ids(&case["ids"]));
    model.reusable.clear();
    model.decoder.truncate(0);
    let states = model.decoder.forward(&[prompt.as_slice(), &tokens[..tokens.len() - 1]].concat()).unwrap();
    let rows = model.decoder.logits(&states).unwrap().to_vec2::<f32>().unwrap();
    for ((row, token), expected) in rows[prompt.len() - 1..].iter().zip(&tokens).zip(expected) {
        let most = row.iter().copied().fold(f32::MIN, f32::max);
        let sum: f32 = row.iter().map(|logit| (logit - most).exp()).sum();
        let found = row[*token as usize] - most - sum.ln();
        assert!((found - expected).abs() < CLOSE, "{token}: {found} here, {expected} there");
    }
}

#[test]
fn smollm_replies_are_those_of_llama_cpp() {
    let Some(mut model) = model(SMOLLM) else { return };
    replies_are_those_of_llama_cpp(&mut model, SMOLLM);
}

#[test]
fn qwen_replies_are_those_of_llama_cpp() {
    let Some(mut model) = model(QWEN) else { return };
    replies_are_those_of_llama_cpp(&mut model, QWEN);
}

#[test]
fn floats_reply_the_same() {
    let Some(path) = path(SMOLLM) else { return };
    let options = LoadOptions { precision: Precision::Float, ..LoadOptions::default() };
    let mut model = ChatModel::load(&path, &options).unwrap();
    let case = &reference(SMOLLM)["replies"][0];
    let prompt = Prompt { system: case["system"].as_str().unwrap(), user: case["user"].as_str().unwrap() };
    let generation = Generation { max_tokens: 8, ..Generation::default() };
    assert_eq!(reply(&mut model, prompt, &generation).text, case["text"]);
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": { "type": "string", "maxLength": 20 },
            "inhabitants": { "type": "integer", "minimum": 0, "maximum": 99_999_999 },
            "capital": { "type": "boolean" },
        },
        "required": ["city", "inhabitants", "capital"],
        "additionalProperties": false,
    })
}

/// Whether a reply satisfies [`schema`].
fn satisfies(reply: &str) -> bool {
    let Ok(Value::Object(reply)) = serde_json::from_str(reply) else { return false };
    reply.len() == 3
        && reply["city"].as_str().is_some_and(|city| city.chars().count() <= 20)
        && reply["inhabitants"].as_u64().is_some_and(|count| count <= 99_999_999)
        && reply["capital"].is_boolean()
}

#[test]
fn a_reply_keeps_to_its_schema_even_at_random() {
    let Some(mut model) = model(SMOLLM) else { return };
    let prompt = Prompt { system: "You answer in JSON.", user: "Tell me about Paris." };
    for (temperature, seed) in [(0.0, 0), (1.0, 1), (3.0, 2), (50.0, 3)] {
        let generation = Generation { max_tokens: 120, temperature, seed, schema: Some(schema()) };
        let generated = reply(&mut model, prompt, &generation);
        assert_eq!(generated.finish, Finish::Stop, "{}", generated.text);
        assert!(satisfies(&generated.text), "{}", generated.text);
    }
}

#[test]
fn qwen_fills_in_a_schema() {
    let Some(mut model) = model(QWEN) else { return };
    let prompt = Prompt { system: "You answer in JSON.", user: "Which city is the capital of France?" };
    let generation = Generation { max_tokens: 60, schema: Some(schema()), ..Generation::default() };
    let generated = reply(&mut model, prompt, &generation);
    assert!(satisfies(&generated.text), "{}", generated.text);
    assert!(generated.text.contains("Paris"), "{}", generated.text);
}

#[test]
fn a_reply_that_is_cut_says_so() {
    let Some(mut model) = model(SMOLLM) else { return };
    let prompt = Prompt { system: "You answer in JSON.", user: "Tell me about Paris." };
    let generation = Generation { max_tokens: 4, schema: Some(schema()), ..Generation::default() };
    let generated = reply(&mut model, prompt, &generation);
    assert_eq!((generated.tokens, generated.finish), (4, Finish::Length));
    assert!(generated.text.starts_with("{\"city\""), "{}", generated.text);
}

#[test]
fn what_is_no_schema_is_refused() {
    let Some(mut model) = model(SMOLLM) else { return };
    let prompt = Prompt { system: "", user: "Hi" };
    for schema in [json!(true), json!("object"), json!({ "type": "no such type" }), json!({ "$ref": "#/nowhere" })] {
        let generation = Generation { max_tokens: 4, schema: Some(schema.clone()), ..Generation::default() };
        let refused = model.generate(&prompt, &generation, &|| true);
        assert!(matches!(refused, Err(ModelError::Schema { .. })), "{schema}: {refused:?}");
    }
}

#[test]
fn nobody_waits_and_it_stops_at_the_next_token() {
    let Some(mut model) = model(SMOLLM) else { return };
    let prompt = Prompt { system: "", user: "Count to one hundred." };
    let generation = Generation { max_tokens: 100, ..Generation::default() };
    let asked = Cell::new(0);
    let wanted = || asked.replace(asked.get() + 1) < 4;
    let generated = model.generate(&prompt, &generation, &wanted).unwrap();
    // Asked once before the prompt's only block, then before each token.
    assert_eq!((generated.tokens, generated.finish), (3, Finish::Cancelled));
    let generated = model.generate(&prompt, &generation, &|| false).unwrap();
    assert_eq!((generated.tokens, generated.finish), (0, Finish::Cancelled));
}

#[test]
fn replies_do_not_depend_on_what_was_read_before() {
    let Some(mut model) = model(SMOLLM) else { return };
    let system = "You repeat what matters. ".repeat(40);
    let prompt = Prompt { system: &system, user: "The ttl is 3600 seconds." };
    let generation = Generation { max_tokens: 12, ..Generation::default() };
    model.reusable.clear();
    let cold = reply(&mut model, prompt, &generation);
    assert_eq!(cold.reused_tokens, 0);
    let other = reply(&mut model, Prompt { user: "Quite another text.", ..prompt }, &generation);
    assert_eq!(other.reused_tokens, cold.prompt_tokens / BLOCK * BLOCK, "the system text is long");
    assert_ne!(other.text, cold.text);
    let warm = reply(&mut model, prompt, &generation);
    assert!(warm.reused_tokens >= BLOCK);
    assert_eq!(warm.text, cold.text);
}

#[test]
fn the_same_seed_draws_the_same_reply() {
    let Some(mut model) = model(SMOLLM) else { return };
    let prompt = Prompt { system: "", user: "Tell a story." };
    let mut draw = |seed| {
        let generation = Generation { max_tokens: 12, temperature: 1.5, seed, schema: None };
        reply(&mut model, prompt, &generation).text
    };
    assert_eq!(draw(7), draw(7));
    assert_ne!(draw(7), draw(8));
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_with_both_numbers() {
    let Some(path) = path(SMOLLM) else { return };
    let mut model = ChatModel::load(&path, &LoadOptions { max_window: 64, ..LoadOptions::default() }).unwrap();
    assert_eq!(model.window(), 64);
    let long = "word ".repeat(100);
    let refused = model.generate(&Prompt { system: "", user: &long }, &Generation::default(), &|| true);
    assert!(matches!(refused, Err(ModelError::TooLong { tokens, window: 64 }) if tokens > 100), "{refused:?}");
    let generation = Generation { max_tokens: 1000, temperature: 2.0, seed: 1, schema: None };
    let generated =
        reply(&mut model, Prompt { system: "Go on for ever.", user: "word ".repeat(30).trim() }, &generation);
    assert_eq!(generated.finish, Finish::Length);
    assert_eq!(generated.prompt_tokens + generated.tokens, 64, "the window is full");
}
