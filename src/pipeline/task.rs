//! The name of a run's task: the one rule by which runs stand on one side of every split.

use recap_core::trajectory::OriginalHash;
use serde_json::Value;

use crate::store::TrajectoryRow;

/// Bytes of a name that is kept as it is; a longer one is known by its hash.
const NAME_BYTES: usize = 200;
/// Messages among which the first words are looked for.
pub const OPENING: usize = 16;

/// What a run's recorder says of its task.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskTold<'a> {
    /// Words about the run; `task_id` and `task` name the task.
    pub metadata: Option<&'a Value>,
    /// The task itself.
    pub task: Option<&'a str>,
}

impl<'a> From<&'a TrajectoryRow> for TaskTold<'a> {
    fn from(row: &'a TrajectoryRow) -> Self {
        Self { metadata: row.metadata.as_ref(), task: row.task.as_deref() }
    }
}

impl TaskTold<'_> {
    /// Returns the task's name: `metadata.task_id`, else `metadata.task`, each a text or a number, else the task, else the
    /// hash of the first words that are not the system's. `None` where nothing was told and nothing said. `messages` is
    /// the JSON of the run's messages in any provider's form; the first [`OPENING`] of them are looked at.
    #[must_use]
    pub fn name<'m>(&self, messages: impl IntoIterator<Item = &'m str>) -> Option<String> {
        let named = |member: &str| text_of(self.metadata?.get(member)?);
        let told = named("task_id").or_else(|| named("task")).or_else(|| self.task.and_then(filled));
        told.map(short).or_else(|| first_words(messages).map(|words| OriginalHash::of(&words).handle()))
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => filled(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text.to_owned())
}

fn short(name: String) -> String {
    if name.len() <= NAME_BYTES { name } else { OriginalHash::of(&name).handle() }
}

fn first_words<'m>(messages: impl IntoIterator<Item = &'m str>) -> Option<String> {
    messages.into_iter().take(OPENING).find_map(|message| {
        let message: Value = serde_json::from_str(message).ok()?;
        let is_system = matches!(message["role"].as_str(), Some("system" | "developer"));
        if is_system { None } else { words_of(&message["content"]) }
    })
}

/// The words of a message, one blank between two: providers part texts in different ways.
fn words_of(content: &Value) -> Option<String> {
    let parts = content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    let words = content.as_str().into_iter().chain(parts).flat_map(str::split_whitespace);
    let words = words.collect::<Vec<_>>().join(" ");
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn name(metadata: &Value, task: Option<&str>) -> Option<String> {
        TaskTold { metadata: Some(metadata), task }.name([])
    }

    #[test]
    fn tasks_have_the_names_that_they_were_told() {
        assert_eq!(name(&json!({ "task_id": 7, "task": "other" }), Some("book")), Some("7".to_owned()));
        assert_eq!(name(&json!({ "task_id": "", "task": "other" }), Some("book")), Some("other".to_owned()));
        assert_eq!(name(&json!({ "task": 3 }), Some("book")), Some("3".to_owned()));
        assert_eq!(name(&json!({ "task_id": null, "task": {} }), Some("book")), Some("book".to_owned()));
        assert_eq!(name(&json!({}), Some(" ")), None);
        let long = "book ".repeat(100);
        assert!(name(&json!({}), Some(&long)).unwrap().starts_with("b3:"));
        assert!(name(&json!({ "task_id": long }), None).unwrap().starts_with("b3:"));
    }

    #[test]
    fn a_task_that_nobody_names_is_known_by_its_first_words() {
        let system = json!({ "role": "system", "content": "Be careful." }).to_string();
        let of = |content: Value| {
            let said = json!({ "role": "user", "content": content }).to_string();
            TaskTold::default().name([system.as_str(), &said])
        };
        let named = of(json!("Book a flight\nto Rome."));
        assert!(named.as_ref().unwrap().starts_with("b3:"));
        let parts = json!([{ "type": "text", "text": "Book a flight" }, { "type": "text", "text": "to Rome." }]);
        assert_eq!(of(parts), named);
        assert_ne!(of(json!("Book a train.")), named);
        assert_eq!(of(json!([])), None);
        assert_eq!(TaskTold::default().name([system.as_str()]), None);
    }
}
