//! Kinds of lines and names: a line or a name with its values taken for classes of characters.

use std::sync::LazyLock;

use regex::Regex;

use crate::tuning::audit::Place;

/// Characters of a line from which on it may be clipped, so that its first word need not open the original's line.
const CLIPPED_CHARS: usize = 380;
/// Letters that the words of a pattern have together, at least.
const LEAST_LETTERS: usize = 4;
/// What may stand between a word and the next one, or its value.
const GAP: &str = "[^A-Za-z0-9_]{1,6}";

/// Up to three words right before a value.
static BEFORE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"((?:\b[A-Za-z][A-Za-z_]*[^A-Za-z0-9_\n]{1,6}){1,3})$").ok());
/// The first two words of a line.
static FIRST: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[^A-Za-z0-9_]{0,8}([A-Za-z_]{2,})(?:[^A-Za-z0-9_]{1,6}([A-Za-z_]{2,})\b)?").ok());
/// A member at the start of a line: its name.
static MEMBER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^[\s{\[,]*["']?([A-Za-z_][A-Za-z0-9_.-]*)["']?\s*:"#).ok());

/// Returns expressions for lines like the one that a value was lost with. None holds a digit of the
/// line, or anything of the value but its shape.
pub(super) fn of_loss(place: &Place, value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let class = class_of(value);
    if let Some(key) = place.key.as_deref().and_then(name_pattern) {
        found.push(format!(r"(?i)\b{key}{GAP}{class}"));
    }
    let left = place.text.rfind(value).and_then(|at| place.text.get(..at)).unwrap_or_default();
    let words = BEFORE.as_ref().and_then(|before| before.captures(left)).and_then(|found| found.get(1));
    let words: Vec<&str> = words.map_or_else(Vec::new, |words| words_of(words.as_str()));
    for least in (0..words.len()).rev().filter(|_| !words.is_empty()) {
        let label = words.get(least..).unwrap_or_default();
        if label.iter().map(|word| word.len()).sum::<usize>() >= LEAST_LETTERS {
            found.push(format!(r"(?i)\b{}{GAP}{class}", label.join(GAP)));
        }
    }
    found.extend(of_line(&place.text));
    found.dedup();
    found
}

/// Returns the expression for lines that begin as this one does, if that tells anything.
pub(super) fn of_line(text: &str) -> Option<String> {
    if text.chars().count() >= CLIPPED_CHARS {
        return None;
    }
    let found = FIRST.as_ref()?.captures(text)?;
    let (first, second) = (found.get(1)?.as_str(), found.get(2).map(|word| word.as_str()));
    let letters = first.len() + second.map_or(0, str::len);
    let after = text.get(found.get(0)?.end()..)?;
    // part of a word that goes on with a digit is part of a value
    let is_cut = after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    match second {
        Some(second) if letters >= LEAST_LETTERS => Some(format!(r"^[^A-Za-z0-9_]{{0,8}}{first}{GAP}{second}\b")),
        None if first.len() > LEAST_LETTERS && !is_cut => Some(format!(r"^[^A-Za-z0-9_]{{0,8}}{first}\b")),
        _ => None,
    }
}

/// Returns the name of a member that opens a line.
pub(super) fn member_of(text: &str) -> Option<&str> {
    Some(MEMBER.as_ref()?.captures(text)?.get(1)?.as_str())
}

/// Returns a name with every run of digits taken for `*`, if enough of it is left.
pub(super) fn glob_of(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    for c in name.trim().chars() {
        match c {
            c if c.is_numeric() || c == '*' || c == '?' => {
                if !out.ends_with('*') {
                    out.push('*');
                }
            }
            c if c.is_control() => return None,
            c => out.push(c),
        }
    }
    let letters = out.chars().filter(|c| c.is_alphabetic()).count();
    // a name that mixes letters and digits at random is a value
    let runs = out.matches('*').count();
    (letters >= 2 && runs <= 1 && out.chars().count() <= 60).then_some(out)
}

/// A name as an expression, digits taken for `\d+`.
fn name_pattern(name: &str) -> Option<String> {
    let glob = glob_of(name)?;
    Some(glob.split('*').map(regex::escape).collect::<Vec<_>>().join(r"\d+"))
}

fn words_of(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_ascii_alphabetic() && c != '_').filter(|word| !word.is_empty()).collect()
}

/// Returns an expression for the beginning of values of the same shape.
fn class_of(value: &str) -> &'static str {
    let value = value.trim_matches(|c: char| !c.is_alphanumeric());
    let mut parts = value.split(|c: char| !c.is_alphanumeric() && c != '_');
    let (first, more) = (parts.next().unwrap_or_default(), parts.next().is_some());
    let is_number = first.bytes().all(|byte| byte.is_ascii_digit());
    match (first.is_ascii(), is_number, more) {
        (false, _, _) => r"\S",
        (_, true, false) => r"[0-9]+\b",
        (_, true, true) => r"[0-9]+[^A-Za-z0-9_\s]",
        (_, false, false) if first.bytes().any(|byte| byte.is_ascii_digit()) => "[A-Za-z0-9_]*[0-9]",
        (_, false, false) => "[A-Za-z_]",
        (_, false, true) => r"[A-Za-z0-9_]+[^A-Za-z0-9_\s]",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;
    use crate::compress::Kind;
    use crate::trajectory::OriginalHash;

    fn place(text: &str, key: Option<&str>) -> Place {
        Place {
            turn: 1,
            message: 2,
            original: OriginalHash::of(text),
            kind: Kind::Prose,
            line: 1,
            text: text.to_owned(),
            json_pointer: None,
            key: key.map(str::to_owned),
            heading: None,
        }
    }

    #[test]
    fn a_line_has_kinds_from_narrow_to_wide() {
        let found = of_loss(&place("Payment method: gift card id W4421 used", None), "W4421");
        insta::assert_snapshot!(found.join("\n"));
        let found = of_loss(&place(r#""order_id": "W1", "x": 2"#, Some("order_id")), "W1");
        insta::assert_snapshot!(found.join("\n"));
    }

    #[test]
    fn names_lose_their_numbers() {
        assert_eq!(glob_of("order_12_id").as_deref(), Some("order_*_id"));
        assert_eq!(glob_of("12"), None);
        assert_eq!(glob_of("a1b2c3d4"), None);
        assert_eq!(member_of(r#"  {"total_price": 3"#), Some("total_price"));
    }

    proptest! {
        #[test]
        fn a_kind_matches_the_line_it_is_of_and_holds_no_digit_of_it(
            words in proptest::collection::vec("[A-Za-z]{2,8}", 1..6), value in "[A-Z]{1,3}[0-9]{2,6}([-/._][a-z0-9]{2,4}){0,2}",
            gap in "(: |=| |\": \")",
        ) {
            let line = format!("{}{gap}{value} and more", words.join(" "));
            for pattern in of_loss(&place(&line, words.last().map(String::as_str)), &value) {
                prop_assert!(Regex::new(&pattern).unwrap().is_match(&line), "{pattern}: {line}");
                prop_assert!(!pattern.contains(&value));
            }
        }

        #[test]
        fn any_line_gives_expressions_that_compile(text in "\\PC{0,60}", value in "\\PC{1,8}", key in proptest::option::of("\\PC{0,12}")) {
            let line = format!("{text}{value}");
            for pattern in of_loss(&place(&line, key.as_deref()), &value) {
                prop_assert!(Regex::new(&pattern).is_ok(), "{pattern}");
            }
        }
    }
}
