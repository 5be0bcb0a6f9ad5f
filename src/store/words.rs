//! The words by which texts are found, the same on every engine.

use std::collections::HashSet;

/// The most characters of a word that count; longer ones are cut, in texts and queries alike.
const MAX_WORD_CHARS: usize = 64;
/// The most bytes of distinct words that are indexed of one text (PostgreSQL's limit is 1 MiB).
const MAX_INDEXED_BYTES: usize = 1_000_000;

/// Returns a text's distinct words in order of appearance: lower-cased runs of letters and digits, each
/// ideograph and kana by itself. Only the first million bytes of distinct words of a text count.
#[must_use]
pub(super) fn distinct_words(text: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut words = Vec::new();
    let mut bytes = 0;
    for word in raw_words(text) {
        let word = normalise(word);
        if seen.contains(&word) {
            continue;
        }
        bytes += word.len();
        if bytes > MAX_INDEXED_BYTES {
            break;
        }
        seen.insert(word.clone());
        words.push(word);
    }
    words
}

/// Returns the byte offset of the first word of the text that is one of `wanted`.
#[must_use]
pub(super) fn first_match(text: &str, wanted: &HashSet<&str>) -> Option<usize> {
    raw_words(text)
        .find(|word| wanted.contains(normalise(word).as_str()))
        .map(|word| word.as_ptr() as usize - text.as_ptr() as usize)
}

fn normalise(word: &str) -> String {
    word.chars()
        .take(MAX_WORD_CHARS)
        .flat_map(char::to_lowercase)
        .collect()
}

fn raw_words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| !c.is_alphanumeric());
        let first = rest.chars().next()?;
        let end = if stands_alone(first) {
            first.len_utf8()
        } else {
            rest.find(|c: char| !c.is_alphanumeric() || stands_alone(c))
                .unwrap_or(rest.len())
        };
        let (word, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(word)
    })
}

/// Scripts that write no spaces between words.
fn stands_alone(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let words = distinct_words("Error: can't open /etc/App_v2.conf — ÉTÉ 漢字 error");
        assert_eq!(
            words,
            [
                "error", "can", "t", "open", "etc", "app", "v2", "conf", "été", "漢", "字"
            ]
        );
    }

    #[test]
    fn match_is_found_where_it_starts() {
        let text = "… a Größe b";
        let at = first_match(text, &HashSet::from(["größe"]));
        assert_eq!(at, text.find('G'));
    }
}
