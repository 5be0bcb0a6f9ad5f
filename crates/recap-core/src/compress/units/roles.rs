//! Which lines report errors, which sum up, which only fill space.

use super::{Unit, UnitRole};
use crate::compress::kind::{is_separator, is_test_summary};

/// Beginnings and inner words that mark an error, in lower case.
const ERROR_STARTS: [&str; 15] = [
    "error",
    "fatal",
    "panic",
    "failed ",
    "failure",
    "fail:",
    "--- fail",
    "e   ",
    "assertionerror",
    "exception",
    "bash: ",
    "sh: ",
    "critical",
    "usage error",
    "not ok ",
];
const ERROR_WORDS: [&str; 25] = [
    "error:",
    " error ",
    "error[",
    "exception:",
    "panicked at",
    "traceback (most",
    "no such file",
    "not found",
    "permission denied",
    "cannot ",
    "can't ",
    "could not",
    "failed",
    "undefined",
    "segmentation fault",
    "denied",
    "unable to",
    "invalid ",
    "timed out",
    "refused",
    "must not",
    "is not allowed",
    "assertion",
    "mismatch",
    "[error]",
];
/// Beginnings that mark a summary, in lower case.
const SUMMARY_STARTS: [&str; 15] = [
    "total",
    "summary",
    "exit code",
    "exit status",
    "returncode",
    "<returncode",
    "finished",
    "done",
    "result:",
    "test result:",
    "tests:",
    "ran ",
    "build ",
    "compiled ",
    "successfully",
];
const SUMMARY_WORDS: [&str; 8] = [
    " files changed",
    " file changed",
    " matches",
    " results",
    " rows in set",
    " rows)",
    "0 errors",
    " warnings generated",
];

/// Returns the role that a line's words give it, seen alone.
#[must_use]
pub fn line_role(line: &str) -> UnitRole {
    if is_separator(line) {
        return UnitRole::Boilerplate;
    }
    let head = line.get(..line.floor_char_boundary(300)).unwrap_or(line);
    let lower = head.trim().to_ascii_lowercase();
    if is_summary(head, &lower) {
        UnitRole::Summary
    } else if is_error(&lower) {
        UnitRole::Error
    } else if is_progress(&lower) {
        UnitRole::Boilerplate
    } else {
        UnitRole::Plain
    }
}

fn is_summary(line: &str, lower: &str) -> bool {
    let starts = SUMMARY_STARTS.iter().any(|word| lower.starts_with(word));
    let words = SUMMARY_WORDS.iter().any(|word| lower.contains(word));
    is_test_summary(line) || ((starts || words) && lower.len() <= 160 && lower.bytes().any(|b| b.is_ascii_digit()))
}

fn is_error(lower: &str) -> bool {
    let clean = lower.contains("0 errors") || lower.contains("0 failed") || lower.contains("no errors");
    let named = lower
        .split_once(':')
        .is_some_and(|(name, _)| !name.contains(' ') && (name.ends_with("error") || name.ends_with("exception")));
    !clean
        && (named
            || ERROR_STARTS.iter().any(|word| lower.starts_with(word))
            || ERROR_WORDS.iter().any(|word| lower.contains(word)))
}

/// Tells download bars, dots and percentages.
fn is_progress(lower: &str) -> bool {
    let starts = [
        "downloading ",
        "collecting ",
        "requirement already",
        "installing ",
        "get:",
        "hit:",
        "unpacking ",
        "copyright",
        "licensed under",
    ];
    let bar = lower.contains("███") || lower.contains("####") || lower.contains("====>") || lower.contains("━━");
    bar || starts.iter().any(|word| lower.starts_with(word))
}

/// Marks plain units within two places of an error as details.
pub fn mark_neighbours(units: &mut [Unit]) {
    let errors: Vec<usize> =
        (0..units.len()).filter(|at| units.get(*at).is_some_and(|unit| unit.role == UnitRole::Error)).collect();
    for at in errors {
        let near = at.saturating_sub(2)..(at + 3).min(units.len());
        for unit in units.get_mut(near).unwrap_or_default() {
            if unit.role == UnitRole::Plain {
                unit.role = UnitRole::Detail;
            }
        }
    }
}
