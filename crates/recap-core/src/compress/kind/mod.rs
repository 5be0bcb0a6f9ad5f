//! What shape a text has, told from bounded windows of it.

mod line;
mod sample;

pub use line::{
    grep_prefix, is_frame, is_ls_row, is_markdown_row, is_separator, is_test_summary, is_tree_row, log_prefix,
    number_prefix, tag_name,
};
pub use sample::{Sample, unwrap};

use super::units::is_records;
use line::{code_points, csv_fields, html_tags, is_aligned_row, is_path, is_test_row, markdown_points};
use serde::{Deserialize, Serialize};

/// The shape of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One JSON value, or a literal that reads like one.
    Json,
    /// JSON data in the notation that `reformat` writes.
    Records,
    /// JSON values, one a line.
    Jsonl,
    /// Comma or tab separated values, aligned columns, or a Markdown table.
    Table,
    /// Lines with timestamps or levels.
    Log,
    /// What a test runner prints.
    TestOutput,
    /// Mostly stack frames.
    StackTrace,
    /// A unified diff.
    Diff,
    /// Source code, with or without line numbers.
    Code,
    /// What `ls`, `find` or `tree` print.
    Listing,
    /// Matches with file names or line numbers before them.
    Grep,
    /// HTML or XML-like markup.
    Html,
    /// Markdown with headings, lists or fences.
    Markdown,
    /// Words, and whatever nothing else fits.
    Prose,
}

/// The longest body that is parsed whole to tell whether it is JSON, in bytes.
const PARSED_BYTES: usize = 64 * 1024;

/// The longest label before JSON, in bytes.
const LABEL_BYTES: usize = 60;

/// Returns the kind of a text; [`Kind::Prose`] when nothing else fits.
///
/// Looks at windows of bounded size at the head, the middle and the tail, so its cost does not grow with
/// the text. Tags that only wrap a tool's output are looked through.
#[must_use]
pub fn classify(text: &str) -> Kind {
    let body = text.get(unwrap(text)).unwrap_or(text);
    if body.trim().is_empty() {
        return Kind::Prose;
    }
    if let Some(kind) = json_kind(body) {
        return kind;
    }
    if is_records(body) {
        return Kind::Records;
    }
    let sample = Sample::of(body);
    marked_kind(&sample)
        .or_else(|| numbered_kind(&sample))
        .or_else(|| row_kind(&sample))
        .unwrap_or_else(|| worded_kind(&sample))
}

/// Tells JSON and JSON lines by their borders, and by parsing where the body is short.
fn json_kind(body: &str) -> Option<Kind> {
    let body = body.trim();
    let head = body.get(..body.floor_char_boundary(LABEL_BYTES + 4))?;
    let start = head.find(['{', '[']).filter(|at| is_label(body, *at))?;
    let body = body.get(start..)?;
    let mut lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next()?;
    let second = lines.next();
    if second.is_some_and(|line| closes(first) && closes(line)) {
        return Some(Kind::Jsonl);
    }
    if !closes(body) {
        return None;
    }
    let parses = body.len() <= PARSED_BYTES && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
    (parses || reads_like_json(body)).then_some(Kind::Json)
}

/// Tells whether what stands before the first bracket is nothing, or one short label with a colon.
fn is_label(body: &str, at: usize) -> bool {
    let before = body.get(..at).unwrap_or_default().trim_end();
    before.is_empty() || (before.len() <= LABEL_BYTES && before.ends_with(':') && before.lines().count() <= 2)
}

/// Tells whether a text starts with a bracket, goes on as a JSON container would, and ends with its closing bracket.
fn closes(text: &str) -> bool {
    let mut chars = text.chars();
    let (open, last) = (chars.next(), chars.next_back());
    let inner = chars.as_str().trim_start().bytes().next();
    match (open, last) {
        (Some('{'), Some('}')) => inner.is_none_or(|byte| matches!(byte, b'"' | b'\'')),
        (Some('['), Some(']')) => {
            inner.is_none_or(|byte| matches!(byte, b'"' | b'\'' | b'{' | b'[' | b'-' | b'0'..=b'9'))
        }
        _ => false,
    }
}

/// Tells whether a bracketed text that does not parse (too long, or another language's literal) has JSON's inner look.
fn reads_like_json(body: &str) -> bool {
    let head = body.get(..body.floor_char_boundary(400)).unwrap_or(body);
    let keyed = ["\":", "\" :", "':"].iter().any(|mark| head.contains(mark));
    let listed = head.starts_with('[') && (head.contains("\",") || head.contains("',") || head.contains("],"));
    keyed || listed
}

/// Tells the kinds that a few unmistakable lines give away.
fn marked_kind(sample: &Sample<'_>) -> Option<Kind> {
    let lines = &sample.lines;
    let hunks = sample.count(|line| line.starts_with("@@ -"));
    let files = sample.count(|line| line.starts_with("diff --git ") || line.starts_with("+++ "));
    let changed = sample.share(|line| line.starts_with(['+', '-', ' ', '@']));
    if (hunks > 0 || files > 0) && changed >= 0.6 {
        return Some(Kind::Diff);
    }
    let tags: usize = lines.iter().map(|line| html_tags(line)).sum();
    if sample.head.to_ascii_lowercase().contains("<html") || (tags >= 3 && tags * 3 >= lines.len()) {
        return Some(Kind::Html);
    }
    if sample.count(|line| line.starts_with("==") && line.contains(" test session starts ")) > 0 {
        return Some(Kind::TestOutput);
    }
    let tests = sample.share(is_test_row);
    if sample.count(is_test_summary) > 0 && tests > 0.0 || sample.count(is_test_summary) > 1 || tests >= 0.4 {
        return Some(Kind::TestOutput);
    }
    let framed = sample.share(is_frame);
    let traced = sample.count(|line| line.starts_with("Traceback (most recent call last)")) > 0;
    (framed >= 0.3 || (traced && framed >= 0.15)).then_some(Kind::StackTrace)
}

/// Tells numbered code from matches with line numbers.
fn numbered_kind(sample: &Sample<'_>) -> Option<Kind> {
    if sample.lines.len() < 2 {
        return None;
    }
    if sample.share(|line| grep_prefix(line).is_some()) >= 0.6 {
        return Some(Kind::Grep);
    }
    let numbers: Vec<u64> =
        sample.lines.iter().filter_map(|line| number_prefix(line).map(|(number, _)| number)).collect();
    if numbers.len() * 10 < sample.lines.len() * 6 {
        return None;
    }
    let steps = numbers.windows(2).filter(|pair| matches!(pair, [a, b] if *b > *a && *b - *a <= 3)).count();
    let rising = steps * 10 >= numbers.len().saturating_sub(1) * 7;
    let coloned = sample.share(|line| {
        number_prefix(line).is_some_and(|(_, at)| line.get(..at).is_some_and(|head| head.ends_with(':')))
    });
    match (rising, coloned >= 0.5) {
        (true, _) => Some(Kind::Code),
        (false, true) => Some(Kind::Grep),
        (false, false) => None,
    }
}

/// Tells the kinds whose lines look alike: logs, listings, tables.
fn row_kind(sample: &Sample<'_>) -> Option<Kind> {
    let lines = &sample.lines;
    if sample.share(|line| log_prefix(line).is_some()) >= 0.4 && lines.len() >= 2 {
        return Some(Kind::Log);
    }
    if sample.share(is_markdown_row) >= 0.6 && lines.len() >= 3 {
        return Some(Kind::Table);
    }
    let listed = sample.share(|line| {
        is_ls_row(line) || is_tree_row(line) || is_path(line) || line.starts_with("total ") || is_directory_line(line)
    });
    if listed >= 0.7 && (lines.len() >= 2 || sample.share(is_path) > 0.0) {
        return Some(Kind::Listing);
    }
    if lines.len() >= 5 && sample.share(is_name) >= 0.85 {
        return Some(Kind::Listing);
    }
    (is_delimited(sample) || is_aligned(sample)).then_some(Kind::Table)
}

/// Tells the line that names a folder in a recursive listing.
fn is_directory_line(line: &str) -> bool {
    line.strip_suffix(':').is_some_and(|name| !name.is_empty() && !name.contains(' ') && name.contains(['/', '.']))
}

/// Tells a line that is one bare name.
fn is_name(line: &str) -> bool {
    let bare = line.trim_end_matches('/');
    (3..=80).contains(&bare.len())
        && line.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_'))
        && bare.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// Tells whether most lines have the same number (two or more) of separated fields.
fn is_delimited(sample: &Sample<'_>) -> bool {
    if sample.lines.len() < 3 {
        return false;
    }
    [',', '\t', ';'].into_iter().any(|delimiter| {
        let want = sample.lines.first().map_or(0, |line| csv_fields(line, delimiter));
        let terse = sample.lines.first().is_some_and(|line| line.len() < 4000 && !line.ends_with(['{', '(', ';', ',']));
        want >= if delimiter == '\t' { 2 } else { 3 }
            && terse
            && sample.share(|line| csv_fields(line, delimiter) == want) >= 0.8
    })
}

/// Tells whether most lines have columns apart by runs of spaces.
fn is_aligned(sample: &Sample<'_>) -> bool {
    sample.lines.len() >= 3 && sample.share(is_aligned_row) >= 0.75
}

/// Tells code and Markdown from prose by the weight of their lines' marks.
fn worded_kind(sample: &Sample<'_>) -> Kind {
    let mut fenced = false;
    let (mut code, mut markdown, mut plain) = (0, 0, 0);
    for line in &sample.lines {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            markdown += 3;
        } else if !fenced {
            code += code_points(line);
            markdown += markdown_points(line);
            plain += 1;
        }
    }
    if code >= 2 && code * 9 >= plain * 4 && code >= markdown {
        Kind::Code
    } else if markdown >= 3 && markdown * 8 >= plain {
        Kind::Markdown
    } else {
        Kind::Prose
    }
}

#[cfg(test)]
mod tests;
