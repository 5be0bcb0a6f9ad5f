//! JSON (and literals that read like it) in members and elements, each under its enclosing key.
//!
//! The scanner is tolerant: broken and cut texts are common in tool output, and spans must name the source.

use std::ops::Range;

use super::build::{Builder, lines_in};
use super::{UnitRole, line_role};

/// The longest container that stays one unit by default, in bytes.
pub const LEAF_BYTES: usize = 200;
/// The longest first member that is shown with its object's opening bracket, in bytes.
const NAMING_BYTES: usize = 120;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Open,
    Close,
    Scalar,
    Colon,
    Comma,
}

struct Token {
    what: What,
    start: usize,
    end: usize,
    /// For an opening bracket: the index of its closing token, or the number of tokens.
    pair: usize,
}

/// An open container that was cut into members.
struct Open {
    heading: Option<u32>,
    close: usize,
}

/// Cuts the JSON in a text; words around it become lines. Containers of at most `leaf_bytes` stay whole.
pub fn cut(builder: &mut Builder<'_>, leaf_bytes: usize) {
    let text = builder.text();
    let start = text.find(['{', '[']).unwrap_or(text.len());
    for (span, line) in lines_in(text, 0..start) {
        builder.push(span, line_role(line), None);
    }
    let tokens = scan(text, start);
    let mut stack: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token.what == What::Close {
            let heading = stack.pop_if(|open| open.close == at).and_then(|open| open.heading);
            let end = with_comma(&tokens, at);
            builder.push(span_of(&tokens, at, end), UnitRole::Boilerplate, heading);
            at = end + 1;
            continue;
        }
        at = member(builder, &tokens, at, &mut stack, leaf_bytes);
    }
}

/// Adds the member or element that starts at a token and returns the index of the next token to look at.
fn member(builder: &mut Builder<'_>, tokens: &[Token], at: usize, stack: &mut Vec<Open>, leaf_bytes: usize) -> usize {
    let parent = stack.last().and_then(|open| open.heading);
    let value = value_of(tokens, at);
    match tokens.get(value) {
        Some(token) if token.what == What::Open => {
            let close = token.pair;
            let whole = with_comma(tokens, close.min(tokens.len().saturating_sub(1)));
            let span = span_of(tokens, at, whole);
            if span.len() <= leaf_bytes {
                let role = role_of(builder.text(), span.clone());
                builder.push(span, role, parent);
                return whole + 1;
            }
            let head = naming_member(tokens, value, close).filter(|_| leaf_bytes > 0).unwrap_or(value);
            let heading = builder.push(span_of(tokens, at, head), UnitRole::Heading, parent);
            stack.push(Open { heading: heading.or(parent), close });
            head + 1
        }
        _ => {
            let last = with_comma(tokens, value.min(tokens.len().saturating_sub(1)));
            let span = span_of(tokens, at, last);
            let role = role_of(builder.text(), span.clone());
            builder.push(span, role, parent);
            last + 1
        }
    }
}

/// Returns the index of the value of the member at a token: behind `key :`, or the token itself.
fn value_of(tokens: &[Token], at: usize) -> usize {
    let keyed = tokens.get(at).is_some_and(|token| token.what == What::Scalar)
        && tokens.get(at + 1).is_some_and(|token| token.what == What::Colon)
        && tokens.get(at + 2).is_some_and(|token| matches!(token.what, What::Scalar | What::Open));
    if keyed { at + 2 } else { at }
}

/// Returns the last token of a short scalar first member, which names the object that it opens.
fn naming_member(tokens: &[Token], open: usize, close: usize) -> Option<usize> {
    let value = value_of(tokens, open + 1);
    let scalar = value == open + 3 && tokens.get(value).is_some_and(|token| token.what == What::Scalar);
    let last = with_comma(tokens, value);
    (scalar && last < close && span_of(tokens, open, last).len() <= NAMING_BYTES).then_some(last)
}

/// Returns the index of the comma behind a token, or the token itself.
fn with_comma(tokens: &[Token], at: usize) -> usize {
    if tokens.get(at + 1).is_some_and(|token| token.what == What::Comma) { at + 1 } else { at }
}

fn span_of(tokens: &[Token], first: usize, last: usize) -> Range<usize> {
    let start = tokens.get(first).map_or(0, |token| token.start);
    start..tokens.get(last).map_or(start, |token| token.end).max(start)
}

fn role_of(text: &str, span: Range<usize>) -> UnitRole {
    text.get(span).map_or(UnitRole::Plain, line_role)
}

/// Returns the tokens from a position on, brackets paired. Outside all brackets a line is one scalar.
fn scan(text: &str, from: usize) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens: Vec<Token> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        let (what, end) = match byte {
            b'{' | b'[' => (What::Open, at + 1),
            b'}' | b']' => (What::Close, at + 1),
            b':' if !open.is_empty() => (What::Colon, at + 1),
            b',' if !open.is_empty() => (What::Comma, at + 1),
            _ if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'"' | b'\'' if !open.is_empty() => (What::Scalar, string_end(bytes, at)),
            _ => (What::Scalar, scalar_end(bytes, at, open.is_empty())),
        };
        match what {
            What::Open => open.push(tokens.len()),
            What::Close => {
                let pair = tokens.len();
                if let Some(opening) = open.pop().and_then(|index| tokens.get_mut(index)) {
                    opening.pair = pair;
                }
            }
            _ => {}
        }
        tokens.push(Token { what, start: at, end, pair: usize::MAX });
        at = end;
    }
    let total = tokens.len();
    for index in open {
        if let Some(opening) = tokens.get_mut(index) {
            opening.pair = total;
        }
    }
    tokens
}

/// Returns where the string that starts at a quote ends, its closing quote included.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let quote = bytes.get(start).copied().unwrap_or(b'"');
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            byte if *byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Returns where a bare word ends: at a structural byte or line feed; outside all brackets at the line feed only.
fn scalar_end(bytes: &[u8], start: usize, outside: bool) -> usize {
    let ends = |byte: &u8| *byte == b'\n' || (!outside && matches!(byte, b',' | b':' | b']' | b'}' | b'[' | b'{'));
    let rest = bytes.get(start + 1..).unwrap_or_default();
    start + 1 + rest.iter().position(ends).unwrap_or(rest.len())
}
