//! Noise: bytes that draw on a terminal or pad a line and say nothing.
//!
//! Noise is: ANSI escape sequences (ECMA-48 §5.4, control strings, lone escapes), states of a progress
//! line that a carriage return overwrites with a later state, spaces, tabs and carriage returns at a
//! line's end, and all but one of three or more blank lines. A carriage return between things that are
//! not states of one progress line becomes a line feed.

use super::Step;
use super::scan::Scanner;

const BLANK_RUN: usize = 3;

/// Returns the text without one kind of noise, or `None` if it holds none.
type Pass = fn(&str) -> Option<String>;

/// Returns the text without noise and the steps that removed something, in order.
pub(super) fn strip(text: &str) -> (String, Vec<Step>) {
    let mut steps = Vec::new();
    let mut clean = text.to_owned();
    let passes: [(Step, Pass); 4] = [
        (Step::Ansi, strip_ansi),
        (Step::Redraws, collapse_redraws),
        (Step::TrailingSpace, trim_lines),
        (Step::BlankLines, fold_blank_lines),
    ];
    for (step, pass) in passes {
        if let Some(next) = pass(&clean) {
            clean = next;
            steps.push(step);
        }
    }
    (clean, steps)
}

/// Tells whether a text holds no noise.
pub(super) fn is_clean(text: &str) -> bool {
    !text.contains(['\u{1b}', '\r']) && trim_lines(text).is_none() && fold_blank_lines(text).is_none()
}

fn strip_ansi(text: &str) -> Option<String> {
    if !text.contains('\u{1b}') {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut scanner = Scanner::new(text);
    loop {
        out.push_str(scanner.take_while(|c| c != '\u{1b}'));
        if !scanner.eat('\u{1b}') {
            return Some(out);
        }
        skip_sequence(&mut scanner);
    }
}

/// Takes what follows an escape character: a control sequence, a control string or a short escape.
fn skip_sequence(scanner: &mut Scanner<'_>) {
    match scanner.peek() {
        Some('[') => {
            scanner.eat('[');
            scanner.take_while(|c| matches!(c, ' '..='?'));
            if scanner.peek().is_some_and(|c| matches!(c, '@'..='~')) {
                scanner.take_bytes(1);
            }
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            let mut ahead = *scanner;
            ahead.take_while(|c| !matches!(c, '\u{1b}' | '\u{7}' | '\n'));
            if ahead.eat('\u{7}') || ahead.eat_str("\u{1b}\\") {
                *scanner = ahead;
            }
        }
        Some(' '..='/') => {
            scanner.take_while(|c| matches!(c, ' '..='/'));
            if scanner.peek().is_some_and(|c| matches!(c, '0'..='~')) {
                scanner.take_bytes(1);
            }
        }
        Some('7' | '8' | '=' | '>' | 'D' | 'E' | 'H' | 'M' | 'c' | '\\') => {
            scanner.take_bytes(1);
        }
        _ => {}
    }
}

fn collapse_redraws(text: &str) -> Option<String> {
    if !text.contains('\r') {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let mut states = line.split('\r').filter(|state| !state.trim().is_empty());
        let Some(mut last) = states.next() else {
            continue;
        };
        for state in states {
            if !overwrites(last, state) {
                out.push_str(last);
                out.push('\n');
            }
            last = state;
        }
        out.push_str(last);
    }
    Some(out)
}

/// Tells whether two texts are states of one progress line: the earlier draws something (a figure, a bar,
/// a spinner) and both start with the same word, or with none.
fn overwrites(earlier: &str, later: &str) -> bool {
    let draws = earlier
        .chars()
        .any(|c| c.is_ascii_digit() || matches!(c, '#' | '=' | '|' | '/' | '-' | '\\' | '.') || !c.is_ascii());
    draws && first_word(earlier) == first_word(later)
}

fn first_word(text: &str) -> &str {
    let mut scanner = Scanner::new(text);
    scanner.take_while(|c| !c.is_alphabetic());
    scanner.take_while(char::is_alphabetic)
}

fn trim_lines(text: &str) -> Option<String> {
    let padded = |line: &str| line.ends_with([' ', '\t', '\r']);
    if !text.split('\n').any(padded) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        out.push_str(line.trim_end_matches([' ', '\t', '\r']));
    }
    Some(out)
}

fn fold_blank_lines(text: &str) -> Option<String> {
    if !text.contains(&"\n".repeat(BLANK_RUN + 1)) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut scanner = Scanner::new(text);
    while !scanner.rest().is_empty() {
        out.push_str(scanner.take_while(|c| c != '\n'));
        let feeds = scanner.take_while(|c| c == '\n');
        out.push_str(if feeds.len() > BLANK_RUN { "\n\n" } else { feeds });
    }
    Some(out)
}
