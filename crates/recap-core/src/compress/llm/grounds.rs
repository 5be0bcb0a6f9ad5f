//! What a reply may speak of: the values that its source holds.

use memchr::memmem;

use crate::trajectory::facts;

/// The texts that a reply was made from.
#[derive(Debug, Clone, Default)]
pub struct Grounds<'a> {
    texts: Vec<&'a str>,
}

impl<'a> Grounds<'a> {
    /// Returns the grounds of some texts.
    #[must_use]
    pub fn of(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self { texts: texts.into_iter().collect() }
    }

    /// Returns the values of a text that no source holds verbatim, in order.
    #[must_use]
    pub fn invented<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let values = facts(text).into_iter().filter_map(|fact| text.get(fact.span));
        values.filter(|value| !self.hold(value)).collect()
    }

    /// Whether a value stands in a source as a word of its own: `360` is not in `3600`.
    #[must_use]
    pub fn hold(&self, value: &str) -> bool {
        let finder = memmem::Finder::new(value);
        self.texts.iter().any(|text| {
            finder.find_iter(text.as_bytes()).any(|at| {
                let before = text.get(..at).and_then(|text| text.chars().next_back());
                let after = text.get(at + value.len()..).and_then(|text| text.chars().next());
                !continues(before) && !continues(after)
            })
        })
    }
}

fn continues(char: Option<char>) -> bool {
    char.is_some_and(char::is_alphanumeric)
}
