//! The record notation that `reformat` writes for JSON: records are cut into members, tables into rows under
//! their header.

use std::ops::Range;

use super::UnitRole;
use super::build::Builder;

/// A run of short members is cut once it is this long, in bytes.
const MEMBERS_BYTES: usize = 64;

/// Cuts records and tables. A header's parent is the member that opens its table.
pub fn cut(builder: &mut Builder<'_>) {
    let mut opener = None;
    let mut header = None;
    for (span, line) in builder.lines() {
        if line.starts_with('(') && line.ends_with(')') {
            header = builder.push(span, UnitRole::Heading, opener);
            continue;
        }
        let row = if header.is_some() { row_end(line) } else { 0 };
        if row > 0 {
            builder.push(span.start..span.start + row, UnitRole::Plain, header);
        }
        if row < line.len() {
            header = None;
            for member in members(line, row) {
                opener = builder.push(span.start + member.start..span.start + member.end, UnitRole::Plain, None);
            }
        }
    }
}

/// Where a table's row ends in its line: at the bracket that closes the table and what closes with it, or the line's
/// end.
fn row_end(line: &str) -> usize {
    let mut depth = 0_i32;
    let mut quoted = false;
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'[' | b'{' | b'(' if !quoted => depth += 1,
            b']' | b'}' | b')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            let rest = line.get(at..).unwrap_or_default();
            let closing = rest.len() - rest.trim_start_matches([']', '}', ')']).len();
            return at + closing;
        }
    }
    line.len()
}

/// Cuts the members that stand in a line from `from` on.
fn members(line: &str, from: usize) -> Vec<Range<usize>> {
    let bytes = line.as_bytes();
    let mut found = Vec::new();
    let mut start = from;
    let (mut depth, mut quoted) = (0_i32, false);
    for (at, &byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth -= 1,
            b' ' if !quoted => {
                let closed = at > 0 && matches!(bytes.get(at - 1), Some(b']' | b'}'));
                let long = at - start >= MEMBERS_BYTES;
                if depth <= 0 && (closed || long) {
                    found.push(start..at);
                    (start, depth) = (at + 1, 0);
                }
            }
            _ => {}
        }
    }
    if start < line.len() {
        found.push(start..line.len());
    }
    found
}

/// Tells a text in the record notation: it opens as JSON does but for an unquoted name, and closes with a bracket.
#[must_use]
pub fn is_records(text: &str) -> bool {
    let text = text.trim();
    let inner = text.trim_start_matches(['{', '[', '(', '\n']);
    let opened = text.len() - inner.len();
    let name: usize = inner.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let joins = inner.get(name..).and_then(|rest| rest.chars().next());
    opened > 0
        && name > 0
        && !inner.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['}', ']', ')'])
        && (matches!(joins, Some(':' | '{' | '[' | '('))
            || text.lines().any(|line| line.starts_with('(') && line.ends_with(')')))
}
