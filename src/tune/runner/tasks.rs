//! Tasks from a file, one a line.

use std::collections::BTreeSet;
use std::io::{BufRead, Read as _};

use serde_json::Value;

/// The most tasks of one file.
const MOST_TASKS: usize = 10_000;
/// The most bytes of a task's text: what an argument of a program can hold, with room.
const MOST_TASK_BYTES: usize = 100_000;
/// The most bytes of a line.
const MOST_LINE_BYTES: u64 = 1 << 20;
/// The most bytes of a task's name.
const MOST_ID_BYTES: usize = 128;
/// Characters of the hash that names a task without a name.
const HASH_CHARS: usize = 12;

/// Something for an agent to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name; the same on every run.
    pub id: String,
    /// What the agent is told.
    pub text: String,
}

/// Why a file is no list of tasks.
#[derive(Debug, thiserror::Error)]
pub enum TasksError {
    /// It cannot be read.
    #[error("line {line}: {source}")]
    Read {
        /// The line, from 1.
        line: usize,
        /// Why.
        source: std::io::Error,
    },
    /// A line is no task.
    #[error("line {line}: {reason}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// There are more than may be.
    #[error("there are more than {MOST_TASKS} tasks")]
    Many,
    /// There is none.
    #[error("there is no task")]
    None,
}

impl Task {
    /// Reads tasks, one a line: an object with `task` and, if it has a name, `id`, a JSON string, or plain text. Blank
    /// lines are passed over. An object without `task` is told to the agent as it stands.
    ///
    /// # Errors
    ///
    /// [`TasksError`] with the first line that is no task, or names one that was there before.
    pub fn read(mut lines: impl BufRead) -> Result<Vec<Self>, TasksError> {
        let mut tasks: Vec<Self> = Vec::new();
        let mut ids = BTreeSet::new();
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let failed = |source| TasksError::Read { line, source };
            let read = lines.by_ref().take(MOST_LINE_BYTES).read_until(b'\n', &mut bytes).map_err(failed)?;
            if read == 0 {
                break;
            }
            let at = |reason: String| TasksError::Line { line, reason };
            if read as u64 == MOST_LINE_BYTES {
                return Err(at(format!("it has more than {MOST_LINE_BYTES} bytes")));
            }
            let text = std::str::from_utf8(&bytes).map_err(|error| at(error.to_string()))?.trim();
            if text.is_empty() {
                continue;
            }
            let task = Self::of(text).map_err(at)?;
            if !ids.insert(task.id.clone()) {
                return Err(at(format!("the task {} stands twice", task.id)));
            }
            if tasks.len() == MOST_TASKS {
                return Err(TasksError::Many);
            }
            tasks.push(task);
        }
        if tasks.is_empty() { Err(TasksError::None) } else { Ok(tasks) }
    }

    fn of(line: &str) -> Result<Self, String> {
        let (id, text) = match serde_json::from_str(line) {
            Ok(Value::Object(members)) => {
                let id = match members.get("id") {
                    None | Some(Value::Null) => None,
                    Some(Value::String(id)) => Some(id.clone()),
                    Some(Value::Number(id)) => Some(id.to_string()),
                    Some(_) => return Err("`id` is neither text nor a number".to_owned()),
                };
                let text = match members.get("task") {
                    None | Some(Value::Null) => line.to_owned(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                (id, text)
            }
            Ok(Value::String(text)) => (None, text),
            Ok(_) => (None, line.to_owned()),
            Err(error) if line.starts_with('{') => return Err(error.to_string()),
            Err(_) => (None, line.to_owned()),
        };
        if text.contains('\0') || text.len() > MOST_TASK_BYTES {
            return Err(format!("its text holds a zero byte, or more than {MOST_TASK_BYTES} bytes"));
        }
        let id = id.unwrap_or_else(|| blake3::hash(text.as_bytes()).to_hex().chars().take(HASH_CHARS).collect());
        if id.trim().is_empty() || id.len() > MOST_ID_BYTES || id.contains(char::is_control) {
            return Err(format!("its `id` must be 1 to {MOST_ID_BYTES} bytes in one line"));
        }
        Ok(Self { id, text })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn lines_of_every_form_are_tasks() {
        let text = "{\"id\": \"a\", \"task\": \"Do it.\"}\n\n{\"id\": 7, \"goal\": 1}\nPlain words.\r\n\"quoted\"\n12";
        let tasks = Task::read(text.as_bytes()).unwrap();
        let told: Vec<&str> = tasks.iter().map(|task| task.text.as_str()).collect();
        assert_eq!(told, ["Do it.", "{\"id\": 7, \"goal\": 1}", "Plain words.", "quoted", "12"]);
        let ids: Vec<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!((ids[0], ids[1], ids[2].len()), ("a", "7", HASH_CHARS));
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let said = |text: &str| Task::read(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(said(" \n"), "there is no task");
        assert!(said("ok\n{\"id\": 1").starts_with("line 2: "));
        assert!(said("same\nsame").starts_with("line 2: the task "));
        assert!(said("{\"id\": [], \"task\": \"x\"}").contains("`id`"));
        assert!(said(&"x".repeat(200_000)).contains("100000 bytes"));
        assert!(said(&"x".repeat(1 << 20)).contains("more than 1048576 bytes"));
    }
}
