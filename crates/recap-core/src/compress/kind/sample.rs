//! Bounded windows of a text, and the tags that only wrap it.

use std::ops::Range;

use super::line::{is_html_tag, tag_name};

/// The size of each window in bytes.
const WINDOW_BYTES: usize = 6 * 1024;
/// The most lines taken from each window.
const WINDOW_LINES: usize = 60;
/// The most wrapping tags looked through at either end.
const WRAPPERS: usize = 6;

/// The longest prompt or label line before an output, in bytes.
const LABEL_BYTES: usize = 400;

/// Non-blank lines from the head, the middle and the tail of a text.
pub struct Sample<'a> {
    /// The first window.
    pub head: &'a str,
    /// The lines of all windows in order; the first and last of a window may be cut.
    pub lines: Vec<&'a str>,
}

impl<'a> Sample<'a> {
    /// Returns the sample of a text.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let head = window(text, 0);
        let mut lines = Vec::new();
        take_lines(head, &mut lines);
        if text.len() > WINDOW_BYTES {
            let middle = (text.len() / 2).max(WINDOW_BYTES);
            take_lines(after_line_feed(window(text, middle)), &mut lines);
            let tail = text.len() - WINDOW_BYTES.min(text.len());
            if tail > middle {
                take_lines(after_line_feed(window(text, tail)), &mut lines);
            }
        }
        Self { head, lines }
    }

    /// Returns how many lines satisfy a test.
    pub fn count(&self, test: impl Fn(&str) -> bool) -> usize {
        self.lines.iter().filter(|line| test(line)).count()
    }

    /// Returns the share of lines that satisfy a test, 0 to 1.
    pub fn share(&self, test: impl Fn(&str) -> bool) -> f64 {
        let most = u32::try_from(self.lines.len()).unwrap_or(u32::MAX).max(1);
        let hits = u32::try_from(self.count(test)).unwrap_or(u32::MAX);
        f64::from(hits) / f64::from(most)
    }
}

/// Returns at most a window's bytes from a position on, cut between characters.
fn window(text: &str, from: usize) -> &str {
    let start = text.floor_char_boundary(from);
    let end = text.floor_char_boundary(start.saturating_add(WINDOW_BYTES));
    text.get(start..end).unwrap_or_default()
}

/// Returns what follows the first line feed; all of it if there is none.
fn after_line_feed(text: &str) -> &str {
    text.split_once('\n').map_or(text, |(_, rest)| rest)
}

fn take_lines<'a>(window: &'a str, lines: &mut Vec<&'a str>) {
    lines.extend(window.lines().map(str::trim_end).filter(|line| !line.is_empty()).take(WINDOW_LINES));
}

/// Returns the byte range of a text without the tags that only wrap a tool's output
/// (`<returncode>0</returncode>`, `<output>` … `</output>`) and without a label line before it.
#[must_use]
pub fn unwrap(text: &str) -> Range<usize> {
    let mut start = 0;
    for _ in 0..WRAPPERS {
        let Some(rest) = text.get(start..) else { break };
        let trimmed = rest.trim_start();
        let Some(len) = wrapper_len(trimmed) else {
            break;
        };
        start += rest.len() - trimmed.len() + len;
    }
    let mut end = text.len();
    for _ in 0..WRAPPERS {
        let Some(rest) = text.get(start..end) else {
            break;
        };
        let trimmed = rest.trim_end();
        let Some(len) = closing_len(trimmed) else {
            break;
        };
        end = start + trimmed.len() - len;
    }
    start..end.max(start)
}

/// Returns the length of a wrapping tag, or of a short element or label line, at the start of a text.
fn wrapper_len(text: &str) -> Option<usize> {
    if let Some(name) = tag_name(text).filter(|name| !is_html_tag(name)) {
        let open = text.find('>')? + 1;
        let close = format!("</{name}>");
        let short = text.get(open..text.floor_char_boundary(open + 60))?;
        let short = short.lines().next().unwrap_or_default();
        return Some(short.find(&close).map_or(open, |at| open + at + close.len()));
    }
    let head = text.get(..text.floor_char_boundary(LABEL_BYTES))?;
    let line = head.split_once('\n')?.0.trim_end();
    let label = line.len() <= 40 && line.ends_with(':') && line.starts_with(|c: char| c.is_ascii_uppercase());
    let prompt = line.starts_with("$ ") && !line.is_empty();
    (label || prompt).then_some(line.len())
}

/// Returns the length of a closing wrapper tag at the end of a text.
fn closing_len(text: &str) -> Option<usize> {
    let tail = text.ceil_char_boundary(text.len().saturating_sub(40));
    let at = tail + text.get(tail..)?.rfind("</")?;
    let inner = text.get(at + 2..)?.strip_suffix('>')?;
    let named =
        !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':'));
    (named && !is_html_tag(inner)).then_some(text.len() - at)
}
