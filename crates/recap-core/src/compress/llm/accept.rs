//! Whether a model's reply may stand.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::reply::read;
use super::{Grounds, Part};
use crate::tokens::TokenCounter;

/// Under which terms a reply stands.
pub struct Terms<'a> {
    /// The sections that it must have, in order.
    pub parts: &'a [Part],
    /// What it may speak of.
    pub grounds: &'a Grounds<'a>,
    /// Most tokens of what is kept of it.
    pub most_tokens: u32,
    /// Tokens of what it replaces.
    pub source_tokens: u32,
    /// Counts tokens.
    pub counter: &'a dyn TokenCounter,
}

/// What a model wrote, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The sections under their headings.
    pub text: String,
    /// Tokens of `text`.
    pub tokens: u32,
    /// Values that no source holds; the items that held them are left out. At most 16.
    pub rejected: Vec<String>,
}

/// Why a reply cannot stand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It says nothing.
    #[error("it is empty")]
    Empty,
    /// It is neither the JSON object asked for nor text under the headings asked for.
    #[error("it is not of the form that was asked for")]
    Garbage,
    /// A section is missing.
    #[error("the section {0} is missing")]
    MissingSection(String),
    /// Most of it speaks of values that its source does not hold.
    #[error("{} of {items} items hold values that the source does not hold", .values.len())]
    Invented {
        /// The values, at most 16.
        values: Vec<String>,
        /// Items in all.
        items: usize,
    },
    /// It is not smaller than what it replaces (law 4).
    #[error("it takes {tokens} tokens, its source {source_tokens}")]
    NotSmaller {
        /// Its tokens.
        tokens: u32,
        /// Tokens of the source.
        source_tokens: u32,
    },
}

impl Rejection {
    /// Returns the name that counters and job records use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Garbage => "garbage",
            Self::MissingSection(_) => "missing_section",
            Self::Invented { .. } => "invented",
            Self::NotSmaller { .. } => "not_smaller",
        }
    }
}

/// Invented values that are listed.
const MOST_REJECTED: usize = 16;
/// Tokens of one item: longer ones are copies or loops.
const MOST_ITEM_TOKENS: u32 = 160;

/// Checks a reply and returns what may stand of it.
///
/// Items are left out that hold a value which no source holds (law 9), repeat another, are longer than 160 tokens, or
/// hold recapd's own frame. Where more than half hold invented values, the whole reply is rejected.
///
/// # Errors
/// [`Rejection`], which says it in words that a model can act on.
pub fn accept(reply: &str, terms: &Terms<'_>) -> Result<Written, Rejection> {
    let sections = read(reply, terms.parts)?;
    let mut sifted = Sifted { seen: HashSet::new(), invented: Vec::new(), bad: 0, items: 0 };
    let kept: Vec<Vec<String>> = sections
        .into_iter()
        .map(|items| items.into_iter().filter(|item| sifted.keeps(item, terms)).collect())
        .collect();
    if sifted.bad * 2 > sifted.items {
        return Err(Rejection::Invented { values: sifted.invented, items: sifted.items });
    }
    let text = fitted(kept, terms);
    if text.is_empty() {
        return Err(Rejection::Empty);
    }
    let tokens = terms.counter.count(&text);
    if tokens >= terms.source_tokens {
        return Err(Rejection::NotSmaller { tokens, source_tokens: terms.source_tokens });
    }
    Ok(Written { text, tokens, rejected: sifted.invented })
}

struct Sifted {
    seen: HashSet<String>,
    invented: Vec<String>,
    bad: usize,
    items: usize,
}

impl Sifted {
    fn keeps(&mut self, item: &str, terms: &Terms<'_>) -> bool {
        self.items += 1;
        let invented = terms.grounds.invented(item);
        let is_grounded = invented.is_empty();
        self.bad += usize::from(!is_grounded);
        let room = MOST_REJECTED - self.invented.len().min(MOST_REJECTED);
        self.invented.extend(invented.into_iter().take(room).map(str::to_owned));
        let is_framed = item.contains("recapd_context");
        is_grounded && !is_framed && self.seen.insert(item.to_lowercase()) && {
            terms.counter.count(item) <= MOST_ITEM_TOKENS
        }
    }
}

/// The sections under their headings, within their caps; while all are too long, the longest loses its last item.
fn fitted(mut sections: Vec<Vec<String>>, terms: &Terms<'_>) -> String {
    for (items, part) in sections.iter_mut().zip(terms.parts) {
        let mut left = part.most_tokens.unwrap_or(u32::MAX);
        items.retain(|item| match left.checked_sub(terms.counter.count(item)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        });
    }
    loop {
        let text = rendered(&sections, terms.parts);
        if terms.counter.count(&text) <= terms.most_tokens {
            return text;
        }
        let longest = sections.iter_mut().max_by_key(|items| items.iter().map(String::len).sum::<usize>());
        if longest.and_then(Vec::pop).is_none() {
            return String::new();
        }
    }
}

fn rendered(sections: &[Vec<String>], parts: &[Part]) -> String {
    let mut text = String::new();
    for (items, part) in sections.iter().zip(parts).filter(|(items, _)| !items.is_empty()) {
        let _infallible = writeln!(text, "{}:", part.name);
        for item in items {
            let _infallible = writeln!(text, "- {item}");
        }
    }
    text
}
