//! Tables: like records written as rows under a header of their keys, in groups so short that every value
//! stays near its key.

use std::borrow::Cow;

use super::data::{Data, Entries};
use super::notation::{inline, is_block, push_key};

/// The farthest that a value's end may stand from the start of its key, in bytes.
pub(super) const REACH: usize = 320;
/// The farthest that a value's end may stand from its header's end, in bytes: the header's words stay in sight.
const ROWS_BYTES: usize = 180;
/// Row counts that a group may have.
const GROUP_ROWS: [usize; 9] = [2, 3, 4, 6, 8, 12, 16, 24, 32];
/// A record with more leaves than this makes no row.
const MAX_COLUMNS: usize = 64;
/// A list of scalars longer than this is not put into a cell, in bytes.
const CELL_LIST_BYTES: usize = 60;

/// A value that may become a row.
pub(super) struct Row<'r, 'a> {
    /// The key that it stands under, in a record.
    pub(super) label: Option<&'r Cow<'a, str>>,
    /// The value.
    pub(super) value: &'r Data<'a>,
}

/// A written header with its rows.
pub(super) struct Group {
    /// The notation, without line feeds around it.
    pub(super) text: String,
    /// How many rows it took.
    pub(super) rows: usize,
}

/// Tells whether the first rows make a group.
pub(super) fn pays(rows: &[Row<'_, '_>]) -> bool {
    group(rows).is_some()
}

/// Returns the largest group at the start of the rows in which every value is within reach of its key, or
/// `None` if the first two make none that is shorter than the records themselves.
pub(super) fn group(rows: &[Row<'_, '_>]) -> Option<Group> {
    let first = record(rows.first()?)?;
    let mut best = None;
    let mut lines = vec![line(rows.first()?, first)?];
    for count in GROUP_ROWS {
        for row in rows.get(lines.len()..count).unwrap_or_default() {
            match record(row).filter(|entries| same_shape(first, entries)).and_then(|entries| line(row, entries)) {
                Some(line) => lines.push(line),
                None => break,
            }
        }
        let Some(taken) = lines.get(..count) else {
            break;
        };
        match lay_out(first, taken) {
            Some(text) => best = Some(Group { text, rows: count }),
            None => break,
        }
    }
    best
}

/// One row's label and cells, leaves of nested records in order.
struct Line {
    label: String,
    cells: Vec<String>,
}

fn record<'r, 'a>(row: &Row<'r, 'a>) -> Option<&'r Entries<'a>> {
    match row.value {
        Data::Record(entries) if !entries.is_empty() => Some(entries),
        _ => None,
    }
}

/// Returns the record inside a column, if the column has columns of its own.
fn inner<'r, 'a>(value: &'r Data<'a>) -> Option<&'r Entries<'a>> {
    match value {
        Data::Record(entries) if !entries.is_empty() => Some(entries),
        _ => None,
    }
}

fn same_shape(a: &Entries<'_>, b: &Entries<'_>) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|((key, value), (other_key, other))| {
            key == other_key
                && match (inner(value), inner(other)) {
                    (Some(value), Some(other)) => same_shape(value, other),
                    (None, None) => true,
                    _ => false,
                }
        })
}

fn line(row: &Row<'_, '_>, entries: &Entries<'_>) -> Option<Line> {
    let mut label = String::new();
    if let Some(key) = row.label {
        push_key(&mut label, key);
        label.push_str(": ");
    }
    let mut cells = Vec::new();
    push_cells(entries, &mut cells)?;
    // A first cell that opens a bracket would read as a record of its own.
    let opens = cells.first().is_none_or(|cell| cell.starts_with(['{', '[']));
    (row.label.is_some() || !opens).then_some(Line { label, cells })
}

fn push_cells(entries: &Entries<'_>, cells: &mut Vec<String>) -> Option<()> {
    for (_, value) in entries {
        if cells.len() >= MAX_COLUMNS {
            return None;
        }
        match (inner(value), value) {
            (Some(columns), _) => push_cells(columns, cells)?,
            (None, Data::List(items)) => cells.push(list_cell(items)?),
            (None, Data::Text(text)) if text.len() > ROWS_BYTES || is_block(text) => return None,
            (None, scalar) => cells.push(inline(scalar)),
        }
    }
    Some(())
}

fn list_cell(items: &[Data<'_>]) -> Option<String> {
    let mut out = String::from("[");
    for item in items {
        let block = matches!(item, Data::Text(text) if is_block(text));
        if item.is_container() || block || out.len() > CELL_LIST_BYTES {
            return None;
        }
        if out.len() > 1 {
            out.push(' ');
        }
        out.push_str(&inline(item));
    }
    out.push(']');
    Some(out)
}

/// A header under way: its text, and for each leaf where its key starts and whether rows write it.
struct Header<'l> {
    lines: &'l [Line],
    text: String,
    columns: Vec<(usize, bool)>,
    plain_bytes: usize,
}

/// Returns the group's text, or `None` if a value is out of reach of its key or nothing is saved.
fn lay_out(first: &Entries<'_>, lines: &[Line]) -> Option<String> {
    let mut header = Header { lines, text: String::from("("), columns: Vec::new(), plain_bytes: 0 };
    header.columns_of(first);
    let Header { mut text, columns, plain_bytes, .. } = header;
    text.push(')');
    let rows_at = text.len();
    for line in lines {
        text.push('\n');
        text.push_str(&line.label);
        for (index, (cell, &(key_at, written))) in line.cells.iter().zip(&columns).enumerate() {
            if !written {
                continue;
            }
            if index > 0 {
                text.push(' ');
            }
            text.push_str(cell);
            if text.len() - key_at > REACH || text.len() - rows_at > ROWS_BYTES {
                return None;
            }
        }
    }
    let cells: usize = lines.iter().flat_map(|line| &line.cells).map(|cell| cell.len() + 1).sum();
    (text.len() < plain_bytes * lines.len() + cells).then_some(text)
}

impl Header<'_> {
    fn columns_of(&mut self, entries: &Entries<'_>) {
        for (key, value) in entries {
            if !self.text.ends_with(['(', '{']) {
                self.text.push(' ');
            }
            let key_at = self.text.len();
            push_key(&mut self.text, key);
            self.plain_bytes += self.text.len() - key_at + 1;
            if let Some(columns) = inner(value) {
                self.text.push('{');
                self.columns_of(columns);
                self.text.push('}');
                continue;
            }
            let shared = self.shared_cell();
            if let Some(cell) = &shared {
                self.text.push(':');
                self.text.push_str(cell);
            }
            self.columns.push((key_at, shared.is_none()));
        }
    }

    /// Returns the cell that all rows have in the next column. The first column is always written.
    fn shared_cell(&self) -> Option<String> {
        let index = self.columns.len();
        let cell = self.lines.first()?.cells.get(index)?;
        let all = self.lines.iter().all(|line| line.cells.get(index) == Some(cell));
        (all && index > 0).then(|| cell.clone())
    }
}
