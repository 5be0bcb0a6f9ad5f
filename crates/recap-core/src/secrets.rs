//! Secrets in texts: found by their form, and masked wherever they stand again. Imports nothing.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Captures, Regex, RegexSet};

/// What stands instead of a secret.
pub const MASK: &str = "[secret]";
/// Secrets of one run that are known by heart; more are masked by their form alone.
const MOST_KNOWN: usize = 4_096;
/// Characters of a secret that is masked wherever it stands.
const LEAST_KNOWN: usize = 6;

/// What secrets look like, with their names.
const FORMS: [(&str, &str); 8] = [
    ("a private key", r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)"),
    ("an AWS access key", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    ("a GitHub token", r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    ("a provider's API key", r"\bsk-[A-Za-z0-9_-]{20,}"),
    ("a Slack token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
    ("a key of recapd", r"\brecapd_[0-9a-f]{32,}"),
    ("a JSON web token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ("a password in an address", r"[a-z][a-z0-9+.-]*://[^\s/:@]+:([^\s/:@]+)@"),
];

/// Values that are secret because of the name before them, in quotes of JSON or code, and bare.
const NAMED: [&str; 3] = [
    r#"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)\\*["']?\s*[:=]\s*"((?:[^"\\]|\\.){4,})""#,
    r#"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)\\*["']?\s*[:=]\s*(?:\\"|')([^"'\\]{4,})"#,
    r#"(?i)(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key)\\*["']?\s*(?:[:=]|\bis\b)\s*([^\s"'\\,;<>{}()\[\]]{6,})"#,
];
const BEARER: &str = r"(?i)\bbearer\s+([A-Za-z0-9._~+/=-]{16,})";

static ONE_LINE: LazyLock<Option<RegexSet>> = LazyLock::new(|| RegexSet::new(FORMS.map(|(_, form)| form)).ok());
static ALL: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let forms = FORMS.iter().map(|(_, form)| *form).chain(NAMED).chain([BEARER]);
    forms.filter_map(|form| Regex::new(form).ok()).collect()
});

/// Returns what the first line with a secret of a well-known form holds, and its number from 1.
#[must_use]
pub fn secret_in(text: &str) -> Option<(usize, &'static str)> {
    let forms = ONE_LINE.as_ref()?;
    text.lines().enumerate().find_map(|(line, words)| {
        let form = forms.matches(words).into_iter().next()?;
        Some((line + 1, FORMS.get(form)?.0))
    })
}

/// The secrets of a run, gathered from its texts.
#[derive(Debug, Clone, Default)]
pub struct Secrets(BTreeSet<String>);

/// Masks the secrets of a run.
#[derive(Debug, Clone, Default)]
pub struct Masking(Option<AhoCorasick>);

/// A text without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The text.
    pub text: String,
    /// How many secrets it held.
    pub secrets: usize,
}

impl Secrets {
    /// Takes the secrets of a text.
    pub fn learn(&mut self, text: &str) {
        for form in ALL.iter() {
            for found in form.captures_iter(text).filter(is_meant) {
                let secret = secret_of(&found);
                let unescaped = serde_json::from_str::<String>(&format!("\"{secret}\"")).ok();
                for secret in std::iter::once(secret.to_owned()).chain(unescaped) {
                    if self.0.len() < MOST_KNOWN && is_specific(&secret) {
                        self.0.insert(secret);
                    }
                }
            }
        }
    }

    /// Returns what masks them.
    #[must_use]
    pub fn masking(&self) -> Masking {
        let known = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&self.0);
        Masking(known.ok().filter(|_| !self.0.is_empty()))
    }
}

impl Masking {
    /// Puts [`MASK`] where a known secret stands, or what has the form of one.
    #[must_use]
    pub fn mask(&self, text: &str) -> Masked {
        let mut masked = Masked { text: text.to_owned(), secrets: 0 };
        if let Some(known) = &self.0 {
            masked.secrets += known.find_iter(text).count();
            masked.text = known.replace_all(text, &vec![MASK; known.patterns_len()]);
        }
        for form in ALL.iter() {
            let Masked { text, secrets } = &mut masked;
            let replaced = form.replace_all(text, |found: &Captures<'_>| {
                let whole = found.get(0).map_or("", |whole| whole.as_str());
                let secret = secret_of(found);
                if secret.contains(MASK) || !is_meant(found) {
                    return whole.to_owned();
                }
                *secrets += 1;
                // the secret is the end of what its name finds, or followed by what closes it
                match whole.rfind(secret).and_then(|at| whole.split_at_checked(at)) {
                    Some((before, rest)) => {
                        format!("{before}{MASK}{}", rest.strip_prefix(secret).unwrap_or_default())
                    }
                    None => MASK.to_owned(),
                }
            });
            *text = replaced.into_owned();
        }
        masked
    }
}

/// The part of a match that is the secret.
fn secret_of<'a>(found: &Captures<'a>) -> &'a str {
    found.get(1).or_else(|| found.get(0)).map_or("", |secret| secret.as_str())
}

/// Bare words after a name are code or prose unless they hold a digit: `token = next_token()` is none.
fn is_meant(found: &Captures<'_>) -> bool {
    let whole = found.get(0).map_or("", |whole| whole.as_str());
    let is_bare = found.get(1).is_some_and(|secret| {
        let before = whole.strip_suffix(secret.as_str()).unwrap_or("\"");
        !before.ends_with(['"', '\'']) && !before.trim_end().to_ascii_lowercase().ends_with("bearer")
    });
    !is_bare || secret_of(found).contains(|c: char| c.is_ascii_digit())
}

/// Whether a secret is no word that stands elsewhere for itself.
fn is_specific(secret: &str) -> bool {
    secret.chars().count() >= LEAST_KNOWN && !secret.chars().all(|c| c.is_lowercase() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_told_from_words() {
        let cases = [
            "-----BEGIN RSA PRIVATE KEY-----".to_owned(),
            format!("AKIA{}", "A1B2".repeat(4)),
            format!("ghp_{}", "a".repeat(36)),
            format!("sk-{}", "x".repeat(24)),
            format!("xoxb-{}", "1".repeat(12)),
            format!("recapd_{}", "0a".repeat(32)),
            format!("eyJ{0}.eyJ{0}.{0}", "a".repeat(12)),
            "postgres://me:hunter2@host/db".to_owned(),
        ];
        for (form, case) in cases.iter().enumerate() {
            let found = secret_in(&format!("Keep this.\n{case}\n"));
            assert_eq!(found, FORMS.get(form).map(|(name, _)| (2, *name)), "{case}");
            let masked = Masking::default().mask(&format!("Keep this.\n{case}\n"));
            assert_eq!(masked.secrets, 1, "{case}: {masked:?}");
        }
        assert_eq!(secret_in("Never drop sk- keys, https://example.com:80/a@b or a token."), None);
    }

    #[test]
    fn a_secret_that_is_known_by_its_name_is_masked_everywhere() {
        let mut secrets = Secrets::default();
        secrets.learn(r#"{"user": "ann", "password": "E7l$&x9", "max_tokens": 400}"#);
        secrets.learn("token = self.next_token()\nAuthorization: Bearer abcdefgh12345678");
        let masked = secrets.masking().mask("ann E7l$&x9 | abcdefgh12345678 | 400 | token = self.next_token()");
        assert_eq!(masked.text, "ann [secret] | [secret] | 400 | token = self.next_token()");
        assert_eq!(masked.secrets, 2);
        let escaped = secrets.masking().mask(r#"{\"access_token\": \"q1w2e3r4\", \"page\": 2}"#);
        assert_eq!(escaped.text, r#"{\"access_token\": \"[secret]\", \"page\": 2}"#);
    }

    #[test]
    fn a_private_key_goes_with_all_its_lines() {
        let text = "a\n-----BEGIN EC PRIVATE KEY-----\nMIIB\nAAAA\n-----END EC PRIVATE KEY-----\nb";
        assert_eq!(Masking::default().mask(text).text, "a\n[secret]\nb");
    }

    proptest! {
        #[test]
        fn a_planted_secret_never_stays(
            secret in "[A-Z][a-zA-Z0-9$%]{6,20}[0-9]",
            name in prop::sample::select(vec!["password", "api_key", "access_token", "client-secret"]),
            quote in prop::sample::select(vec!["\"", "'", "\\\""]),
            around in "[a-z ]{0,20}",
        ) {
            let text = format!("{around}{{{quote}{name}{quote}: {quote}{secret}{quote}}}");
            let mut secrets = Secrets::default();
            secrets.learn(&text);
            for text in [text.clone(), format!("{around} {secret} {around}")] {
                let masked = secrets.masking().mask(&text);
                prop_assert!(!masked.text.contains(&secret), "{}", masked.text);
            }
        }
    }
}
