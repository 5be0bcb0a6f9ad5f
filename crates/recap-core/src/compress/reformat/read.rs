//! Reads the record notation back into data.

use std::borrow::Cow;

use super::MAX_DEPTH;
use super::data::{Data, Entries};
use super::scan::{Scanner, is_number};
use super::table::REACH;

const MAX_HEADER_BYTES: usize = 2 * REACH;

/// Reads the value at the scanner, or `None` if none stands there.
pub(super) fn read<'a>(scanner: &mut Scanner<'a>) -> Option<Data<'a>> {
    value(scanner, 0)
}

fn value<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Option<Data<'a>> {
    if depth > MAX_DEPTH {
        return None;
    }
    match scanner.peek()? {
        '{' => record(scanner, depth),
        '[' => list(scanner, depth),
        '"' => scanner.quoted().map(Data::Text),
        '<' => block(scanner),
        _ => word(scanner),
    }
}

fn word<'a>(scanner: &mut Scanner<'a>) -> Option<Data<'a>> {
    let word = scanner.take_while(|c| !c.is_whitespace() && !matches!(c, '}' | ']' | ')'));
    match word {
        "" => None,
        "null" => Some(Data::Null),
        "true" => Some(Data::Bool(true)),
        "false" => Some(Data::Bool(false)),
        number if is_number(number) => Some(Data::Number(number)),
        text => Some(Data::Text(Cow::Borrowed(text))),
    }
}

fn block<'a>(scanner: &mut Scanner<'a>) -> Option<Data<'a>> {
    if !scanner.eat_str("<<") {
        return None;
    }
    let tag = scanner.line();
    let body = scanner.rest();
    loop {
        let end = body.len() - scanner.rest().len();
        if scanner.rest().is_empty() {
            return None;
        }
        if scanner.line() == tag {
            return body.get(..end.checked_sub(1)?).map(|text| Data::Text(Cow::Borrowed(text)));
        }
    }
}

fn key<'a>(scanner: &mut Scanner<'a>) -> Option<Cow<'a, str>> {
    if scanner.peek() == Some('"') {
        return scanner.quoted();
    }
    let key = scanner.take_while(|c| !c.is_whitespace() && !matches!(c, ':' | '{' | '}' | '[' | ']' | '(' | ')' | '"'));
    (!key.is_empty()).then_some(Cow::Borrowed(key))
}

fn list<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Option<Data<'a>> {
    scanner.eat('[');
    let mut items = Vec::new();
    let mut columns = None;
    loop {
        scanner.skip_space();
        match (scanner.peek()?, &columns) {
            (']', _) => {
                scanner.eat(']');
                return Some(Data::List(items));
            }
            ('(', _) => columns = Some(header(scanner, depth)?),
            ('{' | '[', _) | (_, None) => items.push(value(scanner, depth + 1)?),
            (_, Some(columns)) => items.push(Data::Record(row(scanner, columns, depth)?)),
        }
    }
}

fn record<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Option<Data<'a>> {
    scanner.eat('{');
    let mut entries = Entries::new();
    let mut columns = None;
    loop {
        scanner.skip_space();
        match scanner.peek()? {
            '}' => {
                scanner.eat('}');
                return Some(Data::Record(entries));
            }
            '(' => columns = Some(header(scanner, depth)?),
            _ => {
                let key = key(scanner)?;
                let entry = match (scanner.eat(':'), &columns) {
                    (true, Some(columns)) => Data::Record(row(scanner, columns, depth)?),
                    _ => value(scanner, depth + 1)?,
                };
                entries.push((key, entry));
            }
        }
    }
}

/// A column of a table.
enum Column<'a> {
    Written(Cow<'a, str>),
    Shared(Cow<'a, str>, Data<'a>),
    Nested(Cow<'a, str>, Vec<Column<'a>>),
}

fn header<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Option<Vec<Column<'a>>> {
    scanner.eat('(');
    let start = scanner.rest().len();
    let columns = columns(scanner, ')', depth)?;
    // Longer headers, or rows without a written value, come from no writer and would blow up the data.
    (start - scanner.rest().len() <= MAX_HEADER_BYTES && columns.iter().any(Column::is_written)).then_some(columns)
}

impl Column<'_> {
    fn is_written(&self) -> bool {
        match self {
            Self::Written(_) => true,
            Self::Shared(..) => false,
            Self::Nested(_, columns) => columns.iter().any(Self::is_written),
        }
    }
}

fn columns<'a>(scanner: &mut Scanner<'a>, close: char, depth: usize) -> Option<Vec<Column<'a>>> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut columns = Vec::new();
    loop {
        scanner.skip_space();
        if scanner.eat(close) {
            return Some(columns);
        }
        let key = key(scanner)?;
        columns.push(if scanner.eat(':') {
            Column::Shared(key, value(scanner, depth + 1)?)
        } else if scanner.eat('{') {
            Column::Nested(key, self::columns(scanner, '}', depth + 1)?)
        } else {
            Column::Written(key)
        });
    }
}

fn row<'a>(scanner: &mut Scanner<'a>, columns: &[Column<'a>], depth: usize) -> Option<Entries<'a>> {
    let mut entries = Entries::new();
    for column in columns {
        entries.push(match column {
            Column::Written(key) => {
                scanner.skip_space();
                (key.clone(), value(scanner, depth + 1)?)
            }
            Column::Shared(key, shared) => (key.clone(), shared.clone()),
            Column::Nested(key, columns) => (key.clone(), Data::Record(row(scanner, columns, depth + 1)?)),
        });
    }
    Some(entries)
}
