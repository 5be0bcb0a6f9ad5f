//! The words of a bullet: as they are compared with another bullet's, and as they are looked for.

use rustc_hash::FxHashMap;
use unicode_segmentation::UnicodeSegmentation;

/// Characters of the longest term; longer runs are data.
const MOST_TERM_CHARS: usize = 64;
/// English words that turn a sentence round; those in `n't` too.
const NEGATIONS: [&str; 8] = ["not", "no", "never", "nor", "neither", "none", "without", "cannot"];

/// Returns the words of a text in lower case (Unicode Standard Annex #29).
pub(super) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().map(str::to_lowercase)
}

/// Returns a text in lower case with one blank for each run of blanks and punctuation. Signs that carry meaning in code
/// and numbers stay, punctuation or not.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut apart = false;
    let mut chars = text.chars().flat_map(char::to_lowercase).peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek();
        let sign = match c {
            '!' => next == Some(&'='),
            '-' => next.is_some_and(char::is_ascii_digit),
            '.' => next.is_some_and(char::is_ascii_digit) && folded.ends_with(|c: char| c.is_ascii_digit()) && !apart,
            '<' | '>' | '=' | '+' | '%' | '$' | '&' | '|' | '^' | '~' | '@' | '/' | '\\' => true,
            _ => !c.is_ascii() && !c.is_whitespace() && !is_punctuation(c),
        };
        if c.is_alphanumeric() || sign {
            if apart && !folded.is_empty() {
                folded.push(' ');
            }
            folded.push(c);
            apart = false;
        } else {
            apart = true;
        }
    }
    folded
}

/// Punctuation beyond ASCII: of Latin texts, general, and of East Asia.
fn is_punctuation(c: char) -> bool {
    matches!(c, '«' | '»' | '¡' | '¿' | '·' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}'
        | '\u{3008}'..='\u{3011}' | '\u{ff01}' | '\u{ff08}' | '\u{ff09}' | '\u{ff0c}' | '\u{ff0e}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff1f}')
}

/// Returns what must be the same in two texts that say the same, however alike their other words are: numbers, names with
/// digits, comparisons, and how often something is negated. Sorted.
pub(super) fn stakes(text: &str) -> Vec<String> {
    let mut stakes: Vec<String> = words(text)
        .filter_map(|word| {
            let negates = NEGATIONS.contains(&word.as_str()) || word.ends_with("n't") || word.ends_with("n’t");
            if negates { Some("not".to_owned()) } else { word.contains(char::is_numeric).then_some(word) }
        })
        .collect();
    let signs = text.match_indices(['<', '>', '≤', '≥']).map(|(_, sign)| sign.to_owned());
    stakes.extend(signs);
    stakes.extend(text.matches("!=").map(str::to_owned));
    stakes.sort_unstable();
    stakes
}

/// Numbers for the words and pairs of neighbouring words of texts. The second of two equal ones has a number of its own,
/// so that sets of numbers are multisets of words.
#[derive(Default)]
pub(super) struct Grams {
    words: FxHashMap<String, u32>,
    grams: FxHashMap<(u32, Option<u32>, u32), u32>,
    texts: Vec<u32>,
}

impl Grams {
    /// Returns a text's grams, in no order.
    pub(super) fn of(&mut self, text: &str) -> Vec<u32> {
        let mut bag = Vec::new();
        let mut times: FxHashMap<(u32, Option<u32>), u32> = FxHashMap::default();
        let mut last = None;
        for word in words(text) {
            let fresh = number(self.words.len());
            let word = *self.words.entry(word).or_insert(fresh);
            let pair = last.map(|last| (last, Some(word)));
            for (first, second) in std::iter::once((word, None)).chain(pair) {
                let time = times.entry((first, second)).or_default();
                *time += 1;
                bag.push(self.gram((first, second, *time)));
            }
            last = Some(word);
        }
        bag
    }

    /// Returns how many grams there are.
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Renumbers the grams of all texts so that rare ones come first, and sorts each text's.
    pub(super) fn rank(&self, bags: &mut [Vec<u32>]) {
        let mut order: Vec<u32> = (0..number(self.texts.len())).collect();
        order.sort_by_key(|gram| self.texts.get(*gram as usize));
        let mut ranks = vec![0; order.len()];
        for (rank, gram) in order.iter().enumerate() {
            ranks[*gram as usize] = number(rank);
        }
        for bag in bags {
            bag.iter_mut().for_each(|gram| *gram = ranks[*gram as usize]);
            bag.sort_unstable();
        }
    }

    fn gram(&mut self, key: (u32, Option<u32>, u32)) -> u32 {
        let fresh = number(self.texts.len());
        let gram = *self.grams.entry(key).or_insert(fresh);
        if gram == fresh {
            self.texts.push(0);
        }
        self.texts[gram as usize] += 1;
        gram
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Calls `take` with each term of a text: words in lower case without a plural's `s`, and the parts of names in
/// `camelCase`, `snake_case` and with dots, besides the whole name. Stops after `most` words.
pub(super) fn for_each_term(text: &str, most: usize, mut take: impl FnMut(&str)) {
    let mut buffer = String::new();
    for word in text.unicode_words().take(most) {
        let mut parts = 0;
        for part in name_parts(word) {
            parts += 1;
            term(part, &mut buffer, &mut take);
        }
        if parts > 1 {
            term(word, &mut buffer, &mut take);
        }
    }
}

fn term(word: &str, buffer: &mut String, take: &mut impl FnMut(&str)) {
    if word.chars().nth(MOST_TERM_CHARS).is_some() {
        return;
    }
    buffer.clear();
    buffer.extend(word.chars().flat_map(char::to_lowercase));
    let plural = buffer.len() > 3 && buffer.is_ascii() && buffer.ends_with('s');
    if plural && !["ss", "us", "is"].iter().any(|end| buffer.ends_with(end)) {
        buffer.pop();
    }
    take(buffer);
}

/// Cuts a name where the case rises, before the last capital of a run, and at signs.
fn name_parts(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !c.is_alphanumeric()).flat_map(Humps).filter(|part| !part.is_empty())
}

/// What is left of a name in camel case.
struct Humps<'a>(&'a str);

impl<'a> Iterator for Humps<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        if self.0.is_empty() {
            return None;
        }
        let mut chars = self.0.char_indices().peekable();
        let mut before: Option<char> = None;
        while let Some((at, c)) = chars.next() {
            let rises = before.is_some_and(char::is_lowercase) && c.is_uppercase();
            let next_is_lower = chars.peek().is_some_and(|(_, next)| next.is_lowercase());
            let ends_run = before.is_some_and(char::is_uppercase) && c.is_uppercase() && next_is_lower;
            if rises || ends_run {
                let (part, rest) = self.0.split_at(at);
                self.0 = rest;
                return Some(part);
            }
            before = Some(c);
        }
        Some(std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        for_each_term(text, usize::MAX, |term| terms.push(term.to_owned()));
        terms
    }

    #[test]
    fn folding_leaves_words_and_signs() {
        assert_eq!(fold("  **Always**  check:\n\t`API docs`, first!"), "always check api docs first");
        assert_eq!(fold("ÜBER — «alles»… 先に、確認"), "über alles 先に 確認");
        assert_ne!(fold("if a < b"), fold("if a > b"));
        assert_ne!(fold("x == 1"), fold("x != 1"));
        assert_ne!(fold("wait 1.5 s"), fold("wait 15 s"));
        assert_ne!(fold("add 1"), fold("add -1"));
        assert_eq!(fold("Done."), fold("done"));
        assert_eq!(fold("?!…"), "");
    }

    #[test]
    fn names_are_cut_into_their_words() {
        assert_eq!(terms("showApiDoc"), ["show", "api", "doc", "showapidoc"]);
        assert_eq!(terms("show_api_doc"), ["show", "api", "doc", "show_api_doc"]);
        assert_eq!(terms("HTTPServer"), ["http", "server", "httpserver"]);
        assert_eq!(terms("two songs, one address"), ["two", "song", "one", "address"]);
        assert_eq!(terms("先に"), ["先", "に"]);
    }

    #[test]
    fn what_is_at_stake_is_seen() {
        assert_eq!(stakes("Don't retry 429"), stakes("never retry 429"));
        assert_ne!(stakes("always retry"), stakes("never retry"));
        assert_ne!(stakes("retry 3 times"), stakes("retry 5 times"));
        assert_ne!(stakes("a < b"), stakes("a > b"));
        assert_eq!(stakes("page through all of them"), stakes("page through them all"));
    }

    #[test]
    fn equal_words_are_counted_apart() {
        let mut grams = Grams::default();
        let bag = grams.of("no no no");
        assert_eq!(bag.len(), 5);
        assert_eq!(bag.iter().collect::<std::collections::BTreeSet<_>>().len(), 5);
        assert_eq!(grams.of("no no").len(), 3);
        assert_eq!(grams.len(), 5);
    }
}
