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
                let before = text.get(..at).unwrap_or_default().chars().rev();
                let after = text.get(at + value.len()..).unwrap_or_default().chars();
                let first = value.chars().next();
                !goes_on(before, first, "") && !goes_on(after, value.chars().next_back(), "/")
            })
        })
    }
}

/// Whether a value goes on beyond its edge: `360` does in `3600` and in `360.5`, `get_user` in `get_user_id`, `/etc` in
/// `/etc/passwd`; `src/main.rs` does not in `./src/main.rs:12`. `joints` join words to one value.
fn goes_on(mut beyond: impl Iterator<Item = char>, edge: Option<char>, joints: &str) -> bool {
    let Some(next) = beyond.next() else { return false };
    let then = beyond.next();
    let number = edge.is_some_and(|edge| edge.is_ascii_digit())
        && matches!(next, '.' | ',' | '-')
        && then.is_some_and(|then| then.is_ascii_digit());
    let joined = joints.contains(next) && then.is_some_and(char::is_alphanumeric);
    next.is_alphanumeric() || next == '_' || number || joined
}
