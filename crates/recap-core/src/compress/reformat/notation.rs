//! Writes data in the record notation: JSON without the quotes, commas and repeated keys that carry
//! nothing.
//!
//! ```text
//! value   = word | "json string" | << TAG LF verbatim lines LF TAG LF | { entries } | [ values ]
//! entry   = key ":" value, the colon left out before { and [
//! table   = ( columns ) rows      within [ ], and within { } with each row labelled "key: "
//! column  = key | key ":" value shared by all rows | key { columns }
//! row     = the values of the columns that are not shared, in order
//! ```
//!
//! Things stand apart by a space or a line feed. A word that reads as a number, `true`, `false` or `null`
//! is one; every other word is a string, and a string that would read otherwise is quoted.

use std::collections::HashSet;

use super::data::{Data, Entries, push_quoted};
use super::noise;
use super::scan::is_number;
use super::table::{self, Row};

/// A line is broken before the next entry once it is this long, in bytes.
const LINE_BYTES: usize = 120;
/// A string that JSON escapes would lengthen by this many bytes stands verbatim between tags.
const BLOCK_SAVES: usize = 8;

/// Returns a value in the record notation.
pub(super) fn write(data: &Data<'_>) -> String {
    let mut writer = Writer::default();
    writer.value(data);
    writer.out
}

/// Text being written, and where its last line starts.
#[derive(Default)]
pub(super) struct Writer {
    out: String,
    line_start: usize,
}

impl Writer {
    fn value(&mut self, data: &Data<'_>) {
        match data {
            Data::List(items) => self.list(items),
            Data::Record(entries) => self.record(entries),
            Data::Text(text) if is_block(text) => self.block(text),
            scalar => self.out.push_str(&inline(scalar)),
        }
    }

    fn line_feed(&mut self) {
        if !self.out.ends_with('\n') {
            self.out.push('\n');
        }
        self.line_start = self.out.len();
    }

    fn gap(&mut self) {
        if self.out.len() - self.line_start > LINE_BYTES {
            self.line_feed();
        } else if !self.out.ends_with(['\n', '{', '[']) {
            self.out.push(' ');
        }
    }

    fn block(&mut self, text: &str) {
        let tag = free_tag(text);
        self.out.push_str("<<");
        self.out.push_str(&tag);
        self.out.push('\n');
        self.out.push_str(text);
        self.out.push('\n');
        self.out.push_str(&tag);
        self.out.push('\n');
        self.line_start = self.out.len();
    }

    fn record(&mut self, entries: &Entries<'_>) {
        self.out.push('{');
        if entries.iter().all(|(_, value)| matches!(value, Data::Record(_))) {
            let rows: Vec<Row<'_, '_>> = entries.iter().map(|(key, value)| Row { label: Some(key), value }).collect();
            if table::pays(&rows) {
                self.rows(&rows);
                self.out.push('}');
                return;
            }
        }
        for (key, value) in entries {
            self.gap();
            self.entry(key, value);
        }
        self.out.push('}');
    }

    fn entry(&mut self, key: &str, value: &Data<'_>) {
        push_key(&mut self.out, key);
        if !matches!(value, Data::List(_) | Data::Record(_)) {
            self.out.push(':');
        }
        self.value(value);
    }

    fn list(&mut self, items: &[Data<'_>]) {
        self.out.push('[');
        let containers = items.iter().all(|item| matches!(item, Data::List(_) | Data::Record(_)));
        if containers && items.len() > 1 {
            let rows: Vec<Row<'_, '_>> = items.iter().map(|value| Row { label: None, value }).collect();
            self.rows(&rows);
        } else {
            for item in items {
                self.gap();
                self.value(item);
            }
        }
        self.out.push(']');
    }

    /// Writes rows one to a line, like ones under short headed groups.
    fn rows(&mut self, rows: &[Row<'_, '_>]) {
        let mut at = 0;
        while let Some(rest) = rows.get(at..).filter(|rest| !rest.is_empty()) {
            self.line_feed();
            if let Some(group) = table::group(rest) {
                self.out.push_str(&group.text);
                at += group.rows;
            } else if let Some(row) = rest.first() {
                match row.label {
                    Some(key) => self.entry(key, row.value),
                    None => self.value(row.value),
                }
                at += 1;
            }
        }
    }
}

/// Returns a scalar, or a container without anything in it, as one word or quoted string.
pub(super) fn inline(data: &Data<'_>) -> String {
    match data {
        Data::Text(text) if is_bare(text) => text.to_string(),
        Data::Text(text) => {
            let mut out = String::with_capacity(text.len() + 2);
            push_quoted(&mut out, text);
            out
        }
        other => {
            let mut out = String::new();
            other.write_json(&mut out);
            out
        }
    }
}

/// Appends a key, quoted where it would not read as one.
pub(super) fn push_key(out: &mut String, key: &str) {
    let plain = !key.is_empty()
        && !key
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, ':' | '{' | '}' | '[' | ']' | '(' | ')' | '"'));
    if plain {
        out.push_str(key);
    } else {
        push_quoted(out, key);
    }
}

/// Tells whether a string stands verbatim between tags.
pub(super) fn is_block(text: &str) -> bool {
    let escapes = text.bytes().filter(|b| matches!(b, b'"' | b'\\' | b'\n')).count();
    let writable = |c: char| c == '\n' || c == '\t' || !c.is_control();
    escapes >= BLOCK_SAVES && text.chars().all(writable) && noise::is_clean(&format!("\n{text}\n"))
}

/// Tells whether a string can stand as a word.
fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['"', '{', '[', '(', '<'])
        && !text.ends_with(['{', '['])
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || matches!(c, '}' | ']' | ')'))
        && !matches!(text, "true" | "false" | "null")
        && !is_number(text)
}

/// Returns a tag that is no line of the text.
fn free_tag(text: &str) -> String {
    let taken: HashSet<&str> = text.split('\n').filter(|line| line.starts_with("END")).collect();
    let mut tags = (2..).map(|n| format!("END{n}"));
    let mut tag = "END".to_owned();
    while taken.contains(tag.as_str()) {
        tag = tags.next().unwrap_or_default();
    }
    tag
}
