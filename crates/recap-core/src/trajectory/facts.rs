//! Facts: exact values found without a model (ids, paths, numbers, dates, addresses, names in code).
//!
//! A value is a run of characters that people and programs copy exactly: it holds a digit, or joins words with
//! one of `_ @ / # . : -`, or mixes cases inside a word. Plain words of a language are no values.

use std::hash::{Hash, Hasher};
use std::ops::Range;

use rustc_hash::FxHasher;
use serde::{Deserialize, Serialize};

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FactKind {
    /// `src/main.rs`, `/etc/hosts`.
    Path,
    /// `https://…`.
    Url,
    /// `a@b.c`.
    Address,
    /// `2024-05-20`, `12:30:00`.
    Date,
    /// Letters and digits mixed, or a long number.
    Id,
    /// Digits only, or with one decimal point.
    Number,
    /// `snake_case`, `CamelCase`, `a.b.c`.
    Name,
}

/// A value in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Where it stands, in bytes.
    pub span: Range<usize>,
    /// What it looks like.
    pub kind: FactKind,
}

/// Identity of a value's text: equal texts have equal keys on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FactKey(u64);

impl FactKey {
    /// Returns the key of a value's text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut hasher = FxHasher::default();
        text.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The least length of a value, in bytes.
const LEAST: usize = 3;
/// The greatest length of a value, in bytes: longer runs are data, not something to quote.
const MOST: usize = 160;

/// Returns the values of a text in order. Linear in its length.
#[must_use]
pub fn facts(text: &str) -> Vec<Fact> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (is_part(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.extend(fact_in(text, from..at));
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        found.extend(fact_in(text, from..text.len()));
    }
    found
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$' | '%' | '+' | ':' | '.' | '-' | '/' | '~')
}

/// Trims a run to its value and tells what it is, if it is one.
fn fact_in(text: &str, run: Range<usize>) -> Option<Fact> {
    let raw = text.get(run.clone())?;
    let rooted = ["./", "../", "~/"].iter().any(|root| raw.starts_with(root));
    let left = if rooted { raw } else { raw.trim_start_matches(['.', ':', '-', '+', '$', '%', '~']) };
    let value = left.trim_end_matches(['.', ':', '-', '+', '/', '$', '%', '@', '#', '~']);
    if value.len() < LEAST || value.len() > MOST {
        return None;
    }
    let start = run.start + raw.len() - left.len();
    kind_of(value).map(|kind| Fact { span: start..start + value.len(), kind })
}

/// What one pass over a value sees: how many characters of each sort.
#[derive(Default)]
struct Shape {
    digits: usize,
    letters: usize,
    slash: usize,
    at: usize,
    hash: usize,
    under: usize,
    dot: usize,
    dash: usize,
    colon: usize,
    /// A capital after a small letter.
    humps: usize,
}

fn shape_of(value: &str) -> Shape {
    let mut shape = Shape::default();
    let mut before = ' ';
    for c in value.chars() {
        match c {
            '/' => shape.slash += 1,
            '@' => shape.at += 1,
            '#' => shape.hash += 1,
            '_' => shape.under += 1,
            '.' => shape.dot += 1,
            '-' => shape.dash += 1,
            ':' => shape.colon += 1,
            c if c.is_numeric() => shape.digits += 1,
            c if c.is_alphabetic() => {
                shape.letters += 1;
                shape.humps += usize::from(c.is_uppercase() && before.is_lowercase());
            }
            _ => {}
        }
        before = c;
    }
    shape
}

fn kind_of(value: &str) -> Option<FactKind> {
    let shape = shape_of(value);
    if shape.letters == 0 && shape.digits == 0 {
        return None;
    }
    if value.contains("://") {
        return Some(FactKind::Url);
    }
    if shape.at > 0 && shape.letters > 0 && !value.starts_with('@') {
        return Some(FactKind::Address);
    }
    if shape.slash > 0 {
        return (shape.letters + shape.digits >= 3).then_some(FactKind::Path);
    }
    if shape.letters == 0 {
        return number_or_date(&shape);
    }
    if shape.digits > 0 {
        return Some(if shape.under + shape.dot > 0 { FactKind::Name } else { FactKind::Id });
    }
    let joined = shape.under + shape.humps + shape.hash > 0 || (shape.dot > 0 && value.len() >= 4);
    joined.then_some(FactKind::Name)
}

fn number_or_date(shape: &Shape) -> Option<FactKind> {
    if shape.dash >= 2 || shape.colon >= 1 {
        return (shape.digits >= 4).then_some(FactKind::Date);
    }
    let id = shape.digits >= 6 && shape.dot == 0;
    (shape.digits >= 3).then_some(if id { FactKind::Id } else { FactKind::Number })
}

/// Words that name nothing.
pub const EMPTY_WORDS: [&str; 24] = [
    "the", "and", "for", "with", "that", "this", "from", "are", "was", "you", "your", "have", "has", "not", "but",
    "can", "will", "its", "any", "all", "true", "false", "null", "none",
];

/// Returns how many words of three letters and more stand in a text outside of its values and say what these are.
#[must_use]
pub fn naming_words(text: &str, values: &[Fact]) -> u32 {
    let mut count = 0;
    let mut from = 0;
    for value in values {
        count += text.get(from..value.span.start).map_or(0, naming_words_in);
        from = value.span.end;
    }
    count + text.get(from..).map_or(0, naming_words_in)
}

fn naming_words_in(text: &str) -> u32 {
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| word.chars().nth(2).is_some());
    let naming = words.filter(|word| !EMPTY_WORDS.iter().any(|empty| word.eq_ignore_ascii_case(empty)));
    u32::try_from(naming.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(&str, FactKind)> {
        facts(text).into_iter().map(|fact| (text.get(fact.span).unwrap_or("?"), fact.kind)).collect()
    }

    #[test]
    fn values_are_found_and_words_are_not() {
        use FactKind::{Address, Date, Id, Name, Number, Path, Url};
        assert_eq!(values("The plain words, of a sentence. End"), vec![]);
        assert_eq!(
            values("see ./src/main.rs and /etc/hosts, mail a.b@c.org; #W123 on 2024-05-20 at 12:30."),
            vec![
                ("./src/main.rs", Path),
                ("/etc/hosts", Path),
                ("a.b@c.org", Address),
                ("#W123", Id),
                ("2024-05-20", Date),
                ("12:30", Date)
            ]
        );
        assert_eq!(
            values("self.query.low_mark = __init__(CamelCase, 1505, 3.14) https://x.io/a"),
            vec![
                ("self.query.low_mark", Name),
                ("__init__", Name),
                ("CamelCase", Name),
                ("1505", Number),
                ("3.14", Number),
                ("https://x.io/a", Url)
            ]
        );
        assert_eq!(values("größe_x naïve"), vec![("größe_x", Name)]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_spans_inside_it(text in "\\PC{0,200}") {
            let mut end = 0;
            for fact in facts(&text) {
                proptest::prop_assert!(fact.span.start >= end && text.get(fact.span.clone()).is_some());
                end = fact.span.end;
            }
        }
    }
}
