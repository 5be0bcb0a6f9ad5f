//! Native JSON without its long texts, which originals hold already; put together again byte for byte.
//!
//! A slice of at least [`MIN_CUT`] bytes is cut out when it is an original as it stands (a JSON object or
//! array) or a string whose escapes are exactly those that one of two encoders would write for an original.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The fewest bytes that are worth a reference.
pub(super) const MIN_CUT: usize = 512;

/// How an original stands in the native JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Style {
    /// As it is.
    Raw,
    /// Inside a string with the fewest escapes, as `serde_json` and `JSON.stringify` write it.
    Json,
    /// Inside a string with everything but ASCII escaped, as Python's `json.dumps` writes it.
    Ascii,
}

/// A reference: byte offset in the shortened JSON, style, ordinal of the message's original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cut(usize, Style, usize);

/// Returns the native JSON without the slices that the originals hold, and the references in their place.
///
/// Linear in the text for sane inputs; any text is accepted, JSON or not.
pub(super) fn externalise<'a>(
    native: &str,
    originals: impl Iterator<Item = &'a str>,
) -> (String, Vec<Cut>) {
    if native.len() < MIN_CUT {
        return (native.to_owned(), Vec::new());
    }
    let known = Known::new(originals);
    let found = find_slices(native, &known);
    let mut short = String::with_capacity(native.len());
    let mut cuts = Vec::with_capacity(found.len());
    let mut copied = 0;
    for slice in found {
        let Some(before) = native.get(copied..slice.range.start) else {
            return (native.to_owned(), Vec::new());
        };
        short.push_str(before);
        cuts.push(Cut(short.len(), slice.style, slice.ordinal));
        copied = slice.range.end;
    }
    short.push_str(native.get(copied..).unwrap_or_default());
    (short, cuts)
}

/// Returns the native JSON, or `None` when a reference leads nowhere.
pub(super) fn reassemble<T: AsRef<str>>(
    short: &str,
    cuts: &[Cut],
    originals: &[T],
) -> Option<String> {
    let mut native = String::with_capacity(short.len());
    let mut copied = 0;
    for &Cut(at, style, ordinal) in cuts {
        native.push_str(short.get(copied..at)?);
        let text = originals.get(ordinal)?.as_ref();
        match style {
            Style::Raw => native.push_str(text),
            Style::Json => native.push_str(inner(&json_string(text)?)?),
            Style::Ascii => push_ascii(&mut native, text),
        }
        copied = at;
    }
    native.push_str(short.get(copied..)?);
    Some(native)
}

/// The originals of a message, by text and by length.
struct Known<'a> {
    by_text: HashMap<&'a str, usize>,
    lengths: HashSet<usize>,
}

impl<'a> Known<'a> {
    fn new(originals: impl Iterator<Item = &'a str>) -> Self {
        let by_text: HashMap<&str, usize> = originals
            .enumerate()
            .map(|(ordinal, text)| (text, ordinal))
            .collect();
        let lengths = by_text.keys().map(|text| text.len()).collect();
        Self { by_text, lengths }
    }

    fn raw(&self, slice: &str) -> Option<usize> {
        if !self.lengths.contains(&slice.len()) {
            return None;
        }
        self.by_text.get(slice).copied()
    }

    fn string(&self, quoted: &str) -> Option<(Style, usize)> {
        let text: String = serde_json::from_str(quoted).ok()?;
        let ordinal = *self.by_text.get(text.as_str())?;
        if json_string(&text)? == quoted {
            return Some((Style::Json, ordinal));
        }
        let mut ascii = String::with_capacity(quoted.len());
        push_ascii(&mut ascii, &text);
        (inner(quoted)? == ascii).then_some((Style::Ascii, ordinal))
    }
}

struct Slice {
    range: Range<usize>,
    style: Style,
    ordinal: usize,
}

fn find_slices(native: &str, known: &Known) -> Vec<Slice> {
    let bytes = native.as_bytes();
    let mut found: Vec<Slice> = Vec::new();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => open.push(at),
            b'}' | b']' => {
                let range = open.pop().unwrap_or(at)..at + 1;
                let slice = native
                    .get(range.clone())
                    .filter(|slice| slice.len() >= MIN_CUT);
                if let Some(ordinal) = slice.and_then(|slice| known.raw(slice)) {
                    let inside = found
                        .iter()
                        .rev()
                        .take_while(|slice| slice.range.start >= range.start)
                        .count();
                    found.truncate(found.len() - inside);
                    found.push(Slice {
                        range,
                        style: Style::Raw,
                        ordinal,
                    });
                }
            }
            b'"' => {
                let end = string_end(bytes, at);
                let quoted = native
                    .get(at..end)
                    .filter(|quoted| quoted.len() >= MIN_CUT + 2);
                if let Some((style, ordinal)) = quoted.and_then(|quoted| known.string(quoted)) {
                    found.push(Slice {
                        range: at + 1..end - 1,
                        style,
                        ordinal,
                    });
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Returns the offset after the closing quote, or the end of the text.
fn string_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn json_string(text: &str) -> Option<String> {
    serde_json::to_string(text).ok()
}

fn inner(quoted: &str) -> Option<&str> {
    quoted.strip_prefix('"')?.strip_suffix('"')
}

fn push_ascii(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    write!(out, "\\u{unit:04x}").unwrap_or_default();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
