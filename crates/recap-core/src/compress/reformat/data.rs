//! JSON as data whose number texts and key order survive: read from JSON, written minified.

use std::borrow::Cow;
use std::collections::HashSet;

use super::MAX_DEPTH;
use super::scan::{Scanner, is_number};

/// A JSON value. Unlike `serde_json::Value` it keeps each number's text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number's text as it stood.
    Number(&'a str),
    /// A decoded string.
    Text(Cow<'a, str>),
    /// An array.
    List(Vec<Data<'a>>),
    /// An object's entries in order, keys unique.
    Record(Entries<'a>),
}

/// An object's entries in order.
pub(super) type Entries<'a> = Vec<(Cow<'a, str>, Data<'a>)>;

impl<'a> Data<'a> {
    /// Tells whether the value holds other values.
    pub(super) fn is_container(&self) -> bool {
        match self {
            Self::List(items) => !items.is_empty(),
            Self::Record(entries) => !entries.is_empty(),
            _ => false,
        }
    }

    /// Reads the JSON value at the scanner, or `None` if there is none, if an object repeats a key or if
    /// it nests deeper than [`MAX_DEPTH`].
    pub(super) fn read_json(scanner: &mut Scanner<'a>) -> Option<Self> {
        read_value(scanner, 0)
    }

    /// Appends the value as minified JSON.
    pub(super) fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => push_quoted(out, text),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write_json(out);
                }
                out.push(']');
            }
            Self::Record(entries) => {
                out.push('{');
                for (index, (key, value)) in entries.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    push_quoted(out, key);
                    out.push(':');
                    value.write_json(out);
                }
                out.push('}');
            }
        }
    }
}

/// Appends a JSON string with the fewest escapes (RFC 8259 §7): quotes, backslashes, control characters.
pub(super) fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                out.push_str("\\u00");
                out.extend(
                    [u32::from(c) >> 4, u32::from(c) & 15].into_iter().filter_map(|digit| char::from_digit(digit, 16)),
                );
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn read_value<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Option<Data<'a>> {
    scanner.skip_space();
    match scanner.peek()? {
        '{' => read_record(scanner, depth),
        '[' => read_list(scanner, depth),
        '"' => scanner.quoted().map(Data::Text),
        _ => read_word(scanner),
    }
}

fn read_word<'a>(scanner: &mut Scanner<'a>) -> Option<Data<'a>> {
    let word = scanner.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    match word {
        "null" => Some(Data::Null),
        "true" => Some(Data::Bool(true)),
        "false" => Some(Data::Bool(false)),
        number if is_number(number) => Some(Data::Number(number)),
        _ => None,
    }
}

fn read_list<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Option<Data<'a>> {
    if depth >= MAX_DEPTH || !scanner.eat('[') {
        return None;
    }
    let mut items = Vec::new();
    scanner.skip_space();
    if scanner.eat(']') {
        return Some(Data::List(items));
    }
    loop {
        items.push(read_value(scanner, depth + 1)?);
        scanner.skip_space();
        if scanner.eat(']') {
            return Some(Data::List(items));
        }
        if !scanner.eat(',') {
            return None;
        }
    }
}

fn read_record<'a>(scanner: &mut Scanner<'a>, depth: usize) -> Option<Data<'a>> {
    if depth >= MAX_DEPTH || !scanner.eat('{') {
        return None;
    }
    let mut entries = Vec::new();
    let mut seen = HashSet::new();
    scanner.skip_space();
    if scanner.eat('}') {
        return Some(Data::Record(entries));
    }
    loop {
        scanner.skip_space();
        let key = scanner.quoted()?;
        scanner.skip_space();
        if !scanner.eat(':') || !seen.insert(key.clone()) {
            return None;
        }
        entries.push((key, read_value(scanner, depth + 1)?));
        scanner.skip_space();
        if scanner.eat('}') {
            return Some(Data::Record(entries));
        }
        if !scanner.eat(',') {
            return None;
        }
    }
}
