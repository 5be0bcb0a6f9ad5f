//! JSON documents among lines of text: each starts a line and ends one.

use super::data::Data;
use super::notation;
use super::read;
use super::scan::Scanner;

/// Returns the text with each JSON document in the record notation, or `None` if it holds none or if a
/// line that starts with `{` or `[` is not one.
pub(super) fn write(text: &str) -> Option<String> {
    replace(text, Data::read_json, notation::write)
}

/// Returns the text with each document in the record notation as minified JSON.
pub(super) fn restore(text: &str) -> Option<String> {
    replace(text, read::read, minified)
}

/// Returns the text with each JSON document minified.
#[cfg(test)]
pub(super) fn minify(text: &str) -> Option<String> {
    replace(text, Data::read_json, minified)
}

/// Returns JSON lines (two or more records, one a line) as one list in the record notation.
pub(super) fn write_lines(text: &str) -> Option<String> {
    let mut records = Vec::new();
    for line in text.trim_end_matches('\n').split('\n') {
        let mut scanner = Scanner::new(line);
        let record = Data::read_json(&mut scanner).filter(|data| matches!(data, Data::Record(_)))?;
        scanner.skip_space();
        if !scanner.rest().is_empty() {
            return None;
        }
        records.push(record);
    }
    (records.len() > 1).then(|| notation::write(&Data::List(records)))
}

/// Returns the JSON lines that [`write_lines`] wrote.
pub(super) fn restore_lines(text: &str) -> Option<String> {
    let mut scanner = Scanner::new(text);
    let Data::List(records) = read::read(&mut scanner)? else {
        return None;
    };
    scanner.rest().is_empty().then(|| records.iter().map(minified).collect::<Vec<_>>().join("\n"))
}

fn minified(data: &Data<'_>) -> String {
    let mut out = String::new();
    data.write_json(&mut out);
    out
}

fn replace<'a>(
    text: &'a str,
    read: impl Fn(&mut Scanner<'a>) -> Option<Data<'a>>,
    write: impl Fn(&Data<'a>) -> String,
) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut scanner = Scanner::new(text);
    let mut found = false;
    while let Some(first) = scanner.peek() {
        if matches!(first, '{' | '[') {
            out.push_str(&write(&read(&mut scanner)?));
            scanner.take_while(|c| matches!(c, ' ' | '\t' | '\r'));
            if !scanner.rest().is_empty() && !scanner.rest().starts_with('\n') {
                return None;
            }
            found = true;
        } else {
            out.push_str(scanner.take_while(|c| c != '\n'));
        }
        if scanner.eat('\n') {
            out.push('\n');
        }
    }
    found.then_some(out)
}
