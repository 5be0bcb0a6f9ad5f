//! JSON as Python's `json` module reads and prints it, and scalars as `str()` prints them: the measures
//! are defined on those texts, so `1.0` stays `1.0` and integers keep all their digits.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Number, Value};

/// Nesting beyond which a text does not count as JSON.
const MAX_DEPTH: usize = 900;
/// Digits beyond which Python refuses an integer.
const MAX_INT_DIGITS: usize = 4300;

/// Returns the scalars of a JSON text (strings, numbers), trimmed, or `None` if it is not JSON.
///
/// Booleans and nulls do not count. Of a repeated key the last value counts. A lone surrogate becomes U+FFFD.
pub(super) fn scalars_of_text(text: &str) -> Option<Vec<String>> {
    let mut reader = Reader { bytes: text.as_bytes(), text, at: 0 };
    reader.space();
    let tree = reader.value(0)?;
    reader.space();
    (reader.at == reader.bytes.len()).then(|| {
        let mut out = Vec::new();
        tree.collect(&mut out);
        out
    })
}

/// Returns the scalars of a parsed value, by the same rules.
pub(super) fn scalars_of_value(value: &Value) -> Vec<String> {
    fn walk(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.values().for_each(|v| walk(v, out)),
            Value::Array(items) => items.iter().for_each(|v| walk(v, out)),
            Value::Null | Value::Bool(_) => {}
            Value::String(s) => out.push(strip(s).to_owned()),
            Value::Number(n) => out.push(number(n)),
        }
    }
    let mut out = Vec::new();
    walk(value, &mut out);
    out
}

/// Returns a text without the white space at its ends, as Python defines it.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Tells whether Python takes a character for white space.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Returns a value as `json.dumps` prints it: ASCII only, `", "` and `": "` between parts.
pub(super) fn dumps(value: &Value) -> String {
    fn walk(value: &Value, out: &mut String) {
        match value {
            Value::Null => out.push_str("null"),
            Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Value::Number(n) => out.push_str(&number(n)),
            Value::String(s) => quote(s, out),
            Value::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    walk(item, out);
                }
                out.push(']');
            }
            Value::Object(map) => {
                out.push('{');
                for (i, (key, item)) in map.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    quote(key, out);
                    out.push_str(": ");
                    walk(item, out);
                }
                out.push('}');
            }
        }
    }
    let mut out = String::new();
    walk(value, &mut out);
    out
}

/// Returns a value as `str()` prints it; lists and objects in their JSON form.
pub(super) fn display(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => "None".to_owned(),
        Value::Bool(b) => if *b { "True" } else { "False" }.to_owned(),
        Value::Number(n) => number(n),
        Value::Array(_) | Value::Object(_) => dumps(value),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
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
    out.push('"');
}

fn number(n: &Number) -> String {
    match n.as_f64() {
        Some(x) if n.is_f64() => float(x),
        _ => n.to_string(),
    }
}

/// Returns a float as `repr` prints it: the shortest digits that read back, an exponent below 1e-4 and from 1e16.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "nan".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{x:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if x != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let plain = format!("{x}");
    if plain.contains('.') { plain } else { plain + ".0" }
}

/// What a JSON text holds, reduced to what counts.
enum Tree {
    Nothing,
    Scalar(String),
    Many(Vec<Tree>),
}

impl Tree {
    fn collect(self, out: &mut Vec<String>) {
        match self {
            Tree::Nothing => {}
            Tree::Scalar(s) => out.push(s),
            Tree::Many(items) => items.into_iter().for_each(|t| t.collect(out)),
        }
    }
}

/// A recursive-descent reader; every method returns `None` where the text is not JSON.
struct Reader<'a> {
    bytes: &'a [u8],
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, literal: &str) -> bool {
        let found = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(literal.as_bytes()));
        if found {
            self.at += literal.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Option<Tree> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => Some(Tree::Scalar(strip(&self.string()?).to_owned())),
            b'n' => self.eat("null").then_some(Tree::Nothing),
            b't' => self.eat("true").then_some(Tree::Nothing),
            b'f' => self.eat("false").then_some(Tree::Nothing),
            b'N' => self.eat("NaN").then(|| Tree::Scalar("nan".to_owned())),
            b'I' => self.eat("Infinity").then(|| Tree::Scalar("inf".to_owned())),
            _ if self.eat("-Infinity") => Some(Tree::Scalar("-inf".to_owned())),
            _ => self.number().map(Tree::Scalar),
        }
    }

    fn array(&mut self, depth: usize) -> Option<Tree> {
        self.at += 1;
        self.space();
        let mut items = Vec::new();
        if self.eat("]") {
            return Some(Tree::Many(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.eat("]") {
                return Some(Tree::Many(items));
            }
            if !self.eat(",") {
                return None;
            }
            self.space();
        }
    }

    fn object(&mut self, depth: usize) -> Option<Tree> {
        self.at += 1;
        self.space();
        let mut members = HashMap::new();
        if self.eat("}") {
            return Some(Tree::Nothing);
        }
        loop {
            if self.peek() != Some(b'"') {
                return None;
            }
            let key = self.string()?;
            self.space();
            if !self.eat(":") {
                return None;
            }
            self.space();
            members.insert(key, self.value(depth + 1)?);
            self.space();
            if self.eat("}") {
                return Some(Tree::Many(members.into_values().collect()));
            }
            if !self.eat(",") {
                return None;
            }
            self.space();
        }
    }

    fn string(&mut self) -> Option<String> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek()?, b'"' | b'\\' | 0..=0x1f) {
                self.at += 1;
            }
            out.push_str(self.text.get(start..self.at)?);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(out);
                }
                b'\\' => out.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let kind = *self.bytes.get(self.at + 1)?;
        self.at += 2;
        Some(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.hex()?;
                self.low_surrogate(unit).or_else(|| char::from_u32(unit)).unwrap_or('\u{fffd}')
            }
            _ => return None,
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.bytes.get(self.at..self.at + 4)?;
        let unit = digits.iter().try_fold(0, |n, b| Some(n * 16 + char::from(*b).to_digit(16)?))?;
        self.at += 4;
        Some(unit)
    }

    /// Reads the second half of a surrogate pair, if one follows.
    fn low_surrogate(&mut self, high: u32) -> Option<char> {
        let start = self.at;
        let joined = ((0xd800..0xdc00).contains(&high) && self.eat("\\u"))
            .then(|| self.hex())
            .flatten()
            .filter(|low| (0xdc00..0xe000).contains(low))
            .and_then(|low| char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)));
        if joined.is_none() {
            self.at = start;
        }
        joined
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        self.eat("-");
        let digits = if self.eat("0") { 1 } else { self.digits() };
        if digits == 0 {
            return None;
        }
        let whole = self.at;
        if self.eat(".") && self.digits() == 0 {
            self.at = whole;
        }
        let mantissa = self.at;
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                self.at = mantissa;
            }
        }
        let text = self.text.get(start..self.at)?;
        if self.at > whole {
            return text.parse().ok().map(float);
        }
        if digits > MAX_INT_DIGITS {
            return None;
        }
        Some(if text == "-0" { "0" } else { text }.to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn floats_print_as_python_prints_them() {
        let cases = [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (1.5e16, "1.5e+16"),
            (123_456_789.0, "123456789.0"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e-7, "1e-07"),
            (1e300, "1e+300"),
        ];
        for (x, text) in cases {
            assert_eq!(float(x), text);
        }
    }

    #[test]
    fn scalars_keep_digits_and_drop_truth_values() {
        let text = r#" {"a": [12345678901234567890123, 2.50, " x\u00e9\ud83d\ude00 ", true, null], "b": {"c": -0}, "a2": 1E5} "#;
        let mut got = scalars_of_text(text).unwrap();
        got.sort();
        assert_eq!(got, ["0", "100000.0", "12345678901234567890123", "2.5", "xé😀"]);
    }

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        assert_eq!(scalars_of_text(r#"{"a": "one", "a": "two"}"#).unwrap(), ["two"]);
    }

    #[test]
    fn what_python_refuses_is_no_json() {
        let bad = [
            "",
            "01",
            "1.",
            "-",
            "{\"a\":1,}",
            "[1,]",
            "\"a\nb\"",
            "'a'",
            "\u{feff}1",
            "\"\\x\"",
            "nul",
            "1 2",
            "{1:2}",
            "\"\\u12\"",
        ];
        for text in bad {
            assert!(scalars_of_text(text).is_none(), "{text:?}");
        }
        assert!(scalars_of_text(&"[".repeat(100_000)).is_none());
        assert!(scalars_of_text(&"1".repeat(4301)).is_none());
        assert_eq!(scalars_of_text("[NaN, -Infinity, \"\\ud800\"]").unwrap(), ["nan", "-inf", "\u{fffd}"]);
    }

    #[test]
    fn dumps_is_ascii_with_spaces() {
        assert_eq!(
            dumps(&json!({"a": [1, 2.0, "é😀\n"], "b": null})),
            r#"{"a": [1, 2.0, "\u00e9\ud83d\ude00\n"], "b": null}"#
        );
    }
}
