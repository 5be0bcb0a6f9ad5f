//! What models are asked about, in words: the pairs of an audit and of whole runs, and what runs could spare.

use recap_core::context::LookBack;
use recap_core::tuning::analyse::{Contrast, Spare};
use recap_core::tuning::{Loss, Measure};
use serde_json::Value;

use super::served::serve_at;
use crate::tune::recorded::RecordedRun;
use crate::tune::replay::{Budget, Models, ReplayError, Server};

/// Most characters of an action that are told.
const ACTION_CHARS: usize = 2_000;

/// Returns the pair of a run whose contexts lost values that its actions needed: the first action that lost a value, or what
/// tells its meaning, with what the full context held of it and the compressed context that was served instead. `None`
/// where nothing was lost. What models make on the way is noted in `models`.
///
/// # Errors
///
/// [`ReplayError`] where that context cannot be served.
pub fn contrast_of_losses(
    server: &Server<'_>,
    run: &RecordedRun,
    losses: &[Loss],
    budget: Budget,
    models: &mut Models,
) -> Result<Option<Contrast>, ReplayError> {
    let is_lost = |loss: &&Loss| loss.under.contains(&Measure::Bound);
    let Some(step) = losses.iter().filter(is_lost).map(|loss| loss.step).min() else { return Ok(None) };
    let losses: Vec<&Loss> = losses.iter().filter(is_lost).filter(|loss| loss.step == step).collect();
    let served = serve_at(server, run, (budget, step), models)?;
    let messages = run.recorded.messages();
    let ended = match run.success {
        Some(true) => "the recorded run succeeded with the full context",
        Some(false) => "the recorded run failed with the full context",
        None => "the recorded run had the full context",
    };
    let contrast = Contrast {
        case: run.id.clone(),
        task: task_of(messages).to_owned(),
        compressed: served.iter().map(words_of).collect::<Vec<_>>().join("\n"),
        action: messages.get(step).map(words_of).unwrap_or_default().chars().take(ACTION_CHARS).collect(),
        outcome: format!("{ended}; with the compressed one this action lacks what it needs"),
        ..Contrast::default()
    };
    Ok(Some(contrast.with_losses(&losses)))
}

/// Returns the pair of two whole runs of one task, one with full contexts and one with compressed ones.
#[must_use]
pub fn contrast_of_runs(case: String, full: &LookBack, compressed: &LookBack, outcome: String) -> Contrast {
    Contrast {
        case,
        task: full.task.clone(),
        full: full.text.clone(),
        compressed: compressed.text.clone(),
        outcome,
        last_turn: compressed.last_turn,
        ..Contrast::default()
    }
}

/// Returns what a run could spare: the compressed context of its last action, lines of it that hold no value which that
/// action used, and those values. `None` for a run without an action. What models make on the way is noted in `models`.
///
/// # Errors
///
/// [`ReplayError`] where that context cannot be served.
pub fn spare_of_run(
    server: &Server<'_>,
    run: &RecordedRun,
    budget: Budget,
    models: &mut Models,
) -> Result<Option<Spare>, ReplayError> {
    let is_action = |message: &Value| role_of(message) == "assistant";
    let Some(step) = run.recorded.messages().iter().rposition(is_action) else { return Ok(None) };
    let served = serve_at(server, run, (budget, step), models)?;
    let outcome = match run.success {
        Some(true) => "the recorded run succeeded",
        Some(false) => "the recorded run failed",
        None => "",
    };
    let messages = run.recorded.messages();
    let later = messages.iter().skip(step).filter(|message| role_of(message) == "assistant");
    let mut used: Vec<String> = later.flat_map(recap_core::tuning::used_values).collect();
    used.sort_unstable();
    used.dedup();
    let compressed = served.iter().map(words_of).collect::<Vec<_>>().join("\n");
    let holds = |line: &str| used.iter().any(|value| line.contains(value.as_str()));
    let idle = compressed.lines().filter(|line| !line.trim().is_empty() && !holds(line)).map(str::to_owned).collect();
    let task = task_of(messages).to_owned();
    Ok(Some(Spare { case: run.id.clone(), task, compressed, idle, used, outcome: outcome.to_owned() }))
}

/// The first words of a person.
fn task_of(messages: &[Value]) -> &str {
    messages.iter().find(|message| role_of(message) == "user").map_or("", |message| content_of(message))
}

fn role_of(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

/// A message's first text.
fn content_of(message: &Value) -> &str {
    match message.get("content") {
        Some(Value::String(text)) => text,
        Some(Value::Array(parts)) => {
            parts.iter().find_map(|part| part.get("text").and_then(Value::as_str)).unwrap_or_default()
        }
        _ => "",
    }
}

/// A message in `OpenAI`'s form, as a model reads it that compares.
fn words_of(message: &Value) -> String {
    let mut lines = Vec::new();
    match message.get("content") {
        Some(Value::String(text)) if !text.trim().is_empty() => lines.push(format!("{}: {text}", role_of(message))),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            lines.extend(texts.map(|text| format!("{}: {text}", role_of(message))));
        }
        _ => {}
    }
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| call.pointer(&format!("/function/{name}")).and_then(Value::as_str).unwrap_or_default();
        lines.push(format!("called {} {}", text("name"), text("arguments")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_told_with_their_calls() {
        let call = json!({ "function": { "name": "pay", "arguments": "{\"id\": 7}" } });
        let message = json!({ "role": "assistant", "content": "I pay.", "tool_calls": [call] });
        assert_eq!(words_of(&message), "assistant: I pay.\ncalled pay {\"id\": 7}");
        let parts = json!({ "role": "user", "content": [{ "type": "text", "text": "Pay it." }] });
        assert_eq!((words_of(&parts), task_of(std::slice::from_ref(&parts))), ("user: Pay it.".to_owned(), "Pay it."));
        assert_eq!(words_of(&json!({ "role": "assistant", "content": null })), "");
    }
}
