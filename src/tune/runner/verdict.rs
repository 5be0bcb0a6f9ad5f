//! How a run of an agent ended, and what it says of itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Bytes of what an agent says of its run that are taken.
const MOST_FEEDBACK_CHARS: usize = 2_000;

/// How the agent's process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum End {
    /// By itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// By a signal of somebody else's.
    Killed,
    /// It was killed because it took too long.
    TimedOut,
    /// It was killed because the whole run was stopped.
    Cancelled,
}

/// What an agent says of its run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Said {
    /// Whether it succeeded.
    pub success: Option<bool>,
    /// On its own scale.
    pub score: Option<f64>,
    /// In words.
    pub feedback: Option<String>,
}

impl Said {
    /// Reads the last line that is a JSON object with `success` (true or false) or `score` (a number).
    pub(super) fn last_of(output: &str) -> Option<Self> {
        output.lines().rev().find_map(Self::of)
    }

    fn of(line: &str) -> Option<Self> {
        let line = line.trim();
        let Ok(Value::Object(members)) = serde_json::from_str(line) else { return None };
        let said = Self {
            success: members.get("success").and_then(Value::as_bool),
            score: members.get("score").and_then(Value::as_f64).filter(|score| score.is_finite()),
            feedback: members
                .get("feedback")
                .and_then(Value::as_str)
                .map(|text| text.chars().take(MOST_FEEDBACK_CHARS).collect()),
        };
        (said.success.is_some() || said.score.is_some()).then_some(said)
    }
}

/// Whether a run succeeded: what the agent says, else its exit code. One that did not end by itself did not.
pub(super) fn succeeded(end: End, said: Option<&Said>) -> bool {
    match end {
        End::Exited { code } => said.and_then(|said| said.success).unwrap_or(code == 0),
        End::Killed | End::TimedOut | End::Cancelled => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_last_line_with_a_score_counts_and_else_the_exit_code() {
        let output = "{\"success\": true}\nnoise {\n {\"success\": false, \"score\": 0.5, \"feedback\": \"late\"} \n{\"log\": 1}\n7\n";
        let said = Said::last_of(output).unwrap();
        assert_eq!(said, Said { success: Some(false), score: Some(0.5), feedback: Some("late".to_owned()) });
        let code = |code| End::Exited { code };
        assert!(!succeeded(code(0), Some(&said)));
        assert!(succeeded(code(3), Some(&Said { success: Some(true), ..Said::default() })));
        let scored = Said::last_of("{\"score\": 1}").unwrap();
        assert!(succeeded(code(0), Some(&scored)) && !succeeded(code(1), Some(&scored)));
        assert!(succeeded(code(0), None) && !succeeded(code(1), None));
        assert!(!succeeded(End::TimedOut, Some(&Said { success: Some(true), ..Said::default() })));
        assert_eq!(Said::last_of("{\"success\": \"yes\"}\n[1]\n"), None);
    }
}
