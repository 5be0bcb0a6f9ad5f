//! Whether a value stands in a served text, and whether what surrounded it in the original still does.
//!
//! Texts are compared as bytes; spans are counted in characters.

use memchr::memmem;

use super::text::bare;
use crate::trajectory::EMPTY_WORDS;

/// Characters on each side in which words count as near.
const SPAN: usize = 100;
/// Words that a value is known by, at most.
const MOST_WORDS: usize = 6;
/// How many of them must stand near a served value, if there are so many.
const WANTED_WORDS: usize = 2;
/// Characters on each side of a served value in which they must stand.
const SERVED_SPAN: usize = 200;
/// Characters on each side of a value that its source line is clipped to.
const LINE_SPAN: usize = 24;
/// Occurrences whose lines count, from the last.
const MOST_LINES: usize = 20;

/// Tells whether `needle` occurs in `text`.
pub(super) fn contains(text: &[u8], needle: &str) -> bool {
    memmem::find(text, needle.as_bytes()).is_some()
}

/// Returns the words nearest to the last occurrence of a value in the text, nearest first; empty if there is none.
///
/// `plain` is the text without values, as [`super::text::plain`] makes it.
pub(super) fn near_words(text: &[u8], plain: &[u8], value: &str) -> Vec<String> {
    let Some(at) = memmem::rfind(text, value.as_bytes()) else {
        return Vec::new();
    };
    let end = at + value.len();
    let left = &plain[back(plain, at, SPAN)..at];
    let right = &plain[end..forward(plain, end, SPAN)];
    let mut found: Vec<(usize, &[u8])> = words(left).map(|(_, end, word)| (chars(&left[end..]), word)).collect();
    found.extend(words(right).map(|(start, _, word)| (chars(&right[..start]), word)));
    found.sort_unstable();
    let mut out: Vec<&[u8]> = Vec::new();
    for (_, word) in found {
        if out.len() < MOST_WORDS && !EMPTY_WORDS.iter().any(|empty| empty.as_bytes() == word) && !out.contains(&word) {
            out.push(word);
        }
    }
    out.into_iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// Tells whether some occurrence of a value in the served text stands near enough of its words.
pub(super) fn is_bound(value: &str, words: &[String], served: &[u8], served_plain: &[u8]) -> bool {
    let wanted = WANTED_WORDS.min(words.len());
    let finder = memmem::Finder::new(value.as_bytes());
    let mut from = 0;
    while let Some(found) = served.get(from..).and_then(|rest| finder.find(rest)) {
        let at = from + found;
        let end = at + value.len();
        let around = &served_plain[back(served_plain, at, SERVED_SPAN)..forward(served_plain, end, SERVED_SPAN)];
        if holds(around, words, wanted) {
            return true;
        }
        from = at + 1;
    }
    false
}

fn holds(around: &[u8], words: &[String], wanted: usize) -> bool {
    // Lower case turns two characters beyond ASCII into ASCII letters.
    let lowered;
    let around = if around.is_ascii() {
        around
    } else {
        lowered = String::from_utf8_lossy(around).to_lowercase();
        lowered.as_bytes()
    };
    words.iter().filter(|word| contains(around, word)).take(wanted).count() >= wanted
}

/// Returns the source lines of a value, clipped and bare, from its last occurrence backwards.
pub(super) fn bare_lines(text: &[u8], value: &str) -> Vec<String> {
    let finder = memmem::FinderRev::new(value.as_bytes());
    let mut lines = Vec::new();
    let mut until = text.len();
    for _ in 0..MOST_LINES {
        let Some(at) = finder.rfind(&text[..until]) else {
            break;
        };
        let start = memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
        let end = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline);
        let clip = start.max(back(text, at, LINE_SPAN))..end.min(forward(text, at + value.len(), LINE_SPAN));
        let line = bare(&String::from_utf8_lossy(&text[clip]));
        if !lines.contains(&line) {
            lines.push(line);
        }
        until = at;
    }
    lines
}

/// Returns runs of three and more letters: start, end, word.
fn words(text: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let mut start = 0;
    text.chunk_by(|a, b| a.is_ascii_alphabetic() == b.is_ascii_alphabetic()).filter_map(move |run| {
        let at = start;
        start += run.len();
        (run.len() >= 3 && run.first().is_some_and(u8::is_ascii_alphabetic)).then_some((at, start, run))
    })
}

/// Tells whether a byte starts a character.
fn starts(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}

fn chars(text: &[u8]) -> usize {
    text.iter().filter(|byte| starts(**byte)).count()
}

/// Returns the offset `n` characters before `at`, or 0.
fn back(text: &[u8], at: usize, n: usize) -> usize {
    let starts = text[..at].iter().enumerate().rev().filter(|(_, byte)| starts(**byte));
    starts.map(|(i, _)| i).take(n).last().unwrap_or(at)
}

/// Returns the offset `n` characters after `at`, or the end.
fn forward(text: &[u8], at: usize, n: usize) -> usize {
    let mut starts = text[at..].iter().enumerate().filter(|(_, byte)| starts(**byte));
    starts.nth(n).map_or(text.len(), |(i, _)| at + i)
}

#[cfg(test)]
mod tests {
    use super::super::text::plain;
    use super::*;

    fn near(text: &str, value: &str) -> Vec<String> {
        near_words(text.as_bytes(), plain(text).as_bytes(), value)
    }

    fn bound(value: &str, words: &[&str], served: &str) -> bool {
        let words: Vec<_> = words.iter().map(|w| (*w).to_owned()).collect();
        is_bound(value, &words, served.as_bytes(), plain(served).as_bytes())
    }

    #[test]
    fn near_words_are_sorted_by_distance_without_values_and_stop_words() {
        let text = "Ticket AB123 old. The user of order_id #W99 was booked for Paris, order Paris";
        assert_eq!(near(text, "#W99"), ["booked", "user", "paris", "old", "order", "ticket"]);
        assert_eq!(near("AB123", "AB123"), Vec::<String>::new());
    }

    #[test]
    fn near_words_come_from_the_last_occurrence_within_the_span() {
        let far = format!("first AB123 {} second AB123 {}third", "é".repeat(120), " ".repeat(96));
        assert_eq!(near(&far, "AB123"), ["second", "thi"]);
    }

    #[test]
    fn spans_count_characters() {
        let text = "aé€b";
        assert_eq!((back(text.as_bytes(), 6, 2), back(text.as_bytes(), 6, 9), back(text.as_bytes(), 6, 0)), (1, 0, 6));
        assert_eq!(
            (forward(text.as_bytes(), 1, 2), forward(text.as_bytes(), 1, 9), forward(text.as_bytes(), 1, 0)),
            (6, 7, 1)
        );
    }

    #[test]
    fn a_bound_value_stands_near_two_of_its_words() {
        assert!(bound("AB123", &["order", "paris"], "ORDER AB123 to Paris"));
        assert!(!bound("AB123", &["order", "paris"], "order AB123"));
        assert!(bound("AB123", &["order"], "reorders AB123"));
        assert!(bound("AB123", &[], "AB123"));
        assert!(!bound("AB123", &[], "AB 123"));
        let apart = format!("AB123{}order paris AB123", " ".repeat(200));
        assert!(bound("AB123", &["order", "paris"], &apart));
        assert!(!bound("AB123", &["order", "paris"], &format!("AB123{}order paris", " ".repeat(191))));
        assert!(bound("AB123", &["order", "paris"], &format!("AB123{}order paris", "é".repeat(189))));
        assert!(bound("AB123", &["kind", "order"], "order AB123 \u{212a}ind"));
    }

    #[test]
    fn values_beside_a_value_lend_no_words() {
        assert!(!bound("AB123", &["order"], "order_id order.name AB123"));
    }

    #[test]
    fn lines_are_clipped_and_bare() {
        let text = format!("x: {{\"id\": \"AB123\"}},\n{}AB123{}\nAB123", "l".repeat(30), "é".repeat(30));
        let lines = bare_lines(text.as_bytes(), "AB123");
        assert_eq!(
            lines,
            ["AB123".to_owned(), format!("{}AB123{}", "l".repeat(24), "é".repeat(24)), "x:id:AB123".to_owned()]
        );
    }
}
