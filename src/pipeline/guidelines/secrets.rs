//! Secrets that do not belong into a guideline, which models and other people read.

use std::sync::LazyLock;

use regex::RegexSet;

/// What secrets look like, with their names in [`NAMES`].
static FORMS: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    let forms = [
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
        r"\bgh[pousr]_[A-Za-z0-9]{36,}",
        r"\bsk-[A-Za-z0-9_-]{20,}",
        r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
        r"\brecapd_[0-9a-f]{32,}",
        r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
        r"[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/:@]+@",
    ];
    RegexSet::new(forms).ok()
});

const NAMES: [&str; 8] = [
    "a private key",
    "an AWS access key",
    "a GitHub token",
    "a provider's API key",
    "a Slack token",
    "a key of recapd",
    "a JSON web token",
    "a password in an address",
];

/// Returns what the first line with a secret holds, and its number from 1.
pub(super) fn secret_in(text: &str) -> Option<(usize, &'static str)> {
    let forms = FORMS.as_ref()?;
    text.lines().enumerate().find_map(|(line, words)| {
        let form = forms.matches(words).into_iter().next()?;
        Some((line + 1, *NAMES.get(form)?))
    })
}

#[cfg(test)]
mod tests {
    use super::secret_in;

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
            assert_eq!(found, super::NAMES.get(form).map(|name| (2, *name)), "{case}");
        }
        assert_eq!(secret_in("Never drop sk- keys, https://example.com:80/a@b or a token."), None);
    }
}
