//! Which counter a model's name asks for.

use std::sync::Arc;

use super::counter::Counter;
use super::encodings::{Approximate, Encoding, Exact};

/// Beginnings of OpenAI's model names with their encodings; the first that fits wins.
const OPENAI: &[(&str, Encoding)] = &[
    ("gpt-oss", Encoding::O200kHarmony),
    ("gpt-4o", Encoding::O200kBase),
    ("gpt-4.", Encoding::O200kBase),
    ("gpt-5", Encoding::O200kBase),
    ("chatgpt", Encoding::O200kBase),
    ("codex-mini", Encoding::O200kBase),
    ("computer-use", Encoding::O200kBase),
    ("o1", Encoding::O200kBase),
    ("o3", Encoding::O200kBase),
    ("o4", Encoding::O200kBase),
    ("gpt-4", Encoding::Cl100kBase),
    ("gpt-3.5", Encoding::Cl100kBase),
    ("gpt-35", Encoding::Cl100kBase),
    ("davinci-002", Encoding::Cl100kBase),
    ("babbage-002", Encoding::Cl100kBase),
    ("text-embedding", Encoding::Cl100kBase),
    ("text-davinci-002", Encoding::P50kBase),
    ("text-davinci-003", Encoding::P50kBase),
    ("code-davinci", Encoding::P50kBase),
    ("code-cushman", Encoding::P50kBase),
    ("text-davinci", Encoding::R50kBase),
    ("davinci", Encoding::R50kBase),
    ("gpt2", Encoding::R50kBase),
    ("gpt-2", Encoding::R50kBase),
];

/// Other families: a word of the name, the factor on the `o200k_base` count in percent, the stated error.
/// The factors follow vocabulary size and digit splitting, on the safe side for English and code.
const FAMILIES: &[(&str, u32, f64)] = &[
    ("claude", 130, 0.25),
    ("gemini", 115, 0.20),
    ("gemma", 115, 0.20),
    ("llama-2", 135, 0.25),
    ("llama2", 135, 0.25),
    ("llama", 110, 0.15),
    ("qwen", 120, 0.20),
    ("qwq", 120, 0.20),
    ("mixtral", 135, 0.25),
    ("mistral", 125, 0.25),
    ("devstral", 125, 0.25),
    ("codestral", 125, 0.25),
    ("deepseek", 115, 0.20),
    ("kimi", 115, 0.20),
    ("glm", 115, 0.20),
    ("minimax", 115, 0.20),
    ("grok", 120, 0.25),
    ("command", 120, 0.25),
    ("nova", 125, 0.25),
    ("phi", 120, 0.25),
];

/// The error stated where no model is named: another family's count may be this much larger or smaller.
const UNNAMED_ERROR: f64 = 0.30;

/// The factor in percent, and the error, for a model of no known family.
const UNKNOWN: (u32, f64) = (125, 0.30);

/// Returns the counter for a model: exact for OpenAI's models, else a named approximation.
///
/// Takes provider prefixes (`openai/gpt-4o`, `us.anthropic.claude-…`), dated names and fine-tunes
/// (`ft:gpt-4o:…`), in any case. Without a model it is `o200k_base` with a stated error.
#[must_use]
pub fn for_model(model: Option<&str>) -> Counter {
    let Some(model) = model.map(str::trim).filter(|name| !name.is_empty()) else {
        return Arc::new(Approximate { name: "o200k_base".to_owned(), percent: 100, error: UNNAMED_ERROR });
    };
    let name = model.to_ascii_lowercase();
    let bare = bare_name(&name);
    if let Some(encoding) = openai_encoding(bare) {
        return Arc::new(Exact(encoding));
    }
    let (family, percent, error) =
        FAMILIES.iter().copied().find(|(family, ..)| has_word(&name, family)).unwrap_or((bare, UNKNOWN.0, UNKNOWN.1));
    let factor = f64::from(percent) / 100.0;
    Arc::new(Approximate { name: format!("o200k_base*{factor} ({family})"), percent, error })
}

/// Returns the model's name without provider, fine-tune and variant marks.
fn bare_name(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    let last = last.strip_prefix("ft:").unwrap_or(last);
    let last = last.split([':', '@']).next().unwrap_or(last);
    last.strip_prefix("openai.").unwrap_or(last)
}

fn openai_encoding(bare: &str) -> Option<Encoding> {
    OPENAI.iter().find(|(start, _)| starts_with_name(bare, start)).map(|(_, encoding)| *encoding)
}

/// Tells whether `bare` starts with `start` and goes on, if at all, with no letter or digit after a digit.
fn starts_with_name(bare: &str, start: &str) -> bool {
    bare.strip_prefix(start).is_some_and(|rest| {
        let digit_end = start.ends_with(|c: char| c.is_ascii_digit());
        !(digit_end && rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
    })
}

/// Tells whether a family's name stands in `name`, not in the middle of a longer word.
fn has_word(name: &str, family: &str) -> bool {
    name.match_indices(family).any(|(at, _)| {
        name.get(..at).is_none_or(|before| !before.ends_with(|c: char| c.is_ascii_alphabetic())) || family.len() > 4
    })
}
