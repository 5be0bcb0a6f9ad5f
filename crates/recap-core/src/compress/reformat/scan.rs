//! A cursor over text, and the words that JSON and the record notation share.

use std::borrow::Cow;

/// A cursor over text that never leaves a character boundary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    /// Returns a cursor at the start of a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// Returns what is left.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// Returns the next character without taking it.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes a character if it is the next one.
    pub(super) fn eat(&mut self, c: char) -> bool {
        self.rest.strip_prefix(c).map(|rest| self.rest = rest).is_some()
    }

    /// Takes a word if the rest starts with it.
    pub(super) fn eat_str(&mut self, word: &str) -> bool {
        self.rest.strip_prefix(word).map(|rest| self.rest = rest).is_some()
    }

    /// Takes JSON whitespace (RFC 8259 §2).
    pub(super) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes characters while they satisfy a condition.
    pub(super) fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        self.take_bytes(end)
    }

    /// Takes a number of bytes, or nothing if they would end within a character.
    pub(super) fn take_bytes(&mut self, end: usize) -> &'a str {
        match self.rest.split_at_checked(end) {
            Some((taken, rest)) => {
                self.rest = rest;
                taken
            }
            None => "",
        }
    }

    /// Takes the next line without its line feed.
    pub(super) fn line(&mut self) -> &'a str {
        let line = self.take_while(|c| c != '\n');
        self.eat('\n');
        line
    }

    /// Takes a JSON string and decodes it.
    pub(super) fn quoted(&mut self) -> Option<Cow<'a, str>> {
        let after = self.rest.strip_prefix('"')?;
        let mut escaped = false;
        let mut plain = true;
        let (end, _) = after.char_indices().find(|&(_, c)| {
            if escaped {
                escaped = false;
                return false;
            }
            escaped = c == '\\';
            plain &= !escaped && c >= ' ';
            c == '"'
        })?;
        let body = after.get(..end)?;
        let whole = self.take_bytes(end + 2);
        if plain {
            return Some(Cow::Borrowed(body));
        }
        serde_json::from_str::<String>(whole).ok().map(Cow::Owned)
    }
}

/// Tells whether a word is a JSON number (RFC 8259 §6).
pub(super) fn is_number(word: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}
