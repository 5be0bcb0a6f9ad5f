//! Counters over the encodings that OpenAI publishes, and approximations built on one of them.

use tiktoken_rs::CoreBPE;

use super::counter::TokenCounter;

/// A longer text is counted in parts of about this many bytes: the splitting pattern gives up (and panics)
/// after a million steps back, which one run of blanks of that length could make it do.
const PART_BYTES: usize = 512 * 1024;

/// A published encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// GPT-4o, GPT-4.1, GPT-5, the o series.
    O200kBase,
    /// gpt-oss.
    O200kHarmony,
    /// GPT-4, GPT-3.5.
    Cl100kBase,
    /// Codex, text-davinci-002 and -003.
    P50kBase,
    /// GPT-2 and the first GPT-3.
    R50kBase,
}

impl Encoding {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::O200kBase => "o200k_base",
            Self::O200kHarmony => "o200k_harmony",
            Self::Cl100kBase => "cl100k_base",
            Self::P50kBase => "p50k_base",
            Self::R50kBase => "r50k_base",
        }
    }

    fn bpe(self) -> &'static CoreBPE {
        match self {
            // Harmony differs in its special tokens alone, and those are counted as plain text.
            Self::O200kBase | Self::O200kHarmony => tiktoken_rs::o200k_base_singleton(),
            Self::Cl100kBase => tiktoken_rs::cl100k_base_singleton(),
            Self::P50kBase => tiktoken_rs::p50k_base_singleton(),
            Self::R50kBase => tiktoken_rs::r50k_base_singleton(),
        }
    }

    pub(super) fn count(self, text: &str) -> u32 {
        let bpe = self.bpe();
        let tokens: usize = parts(text).map(|part| bpe.count_ordinary(part)).sum();
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }
}

/// Cuts a text that is longer than `PART_BYTES` where its count does not change: between a line that ends with a
/// visible character and one that starts with a letter or digit. Without such a place the cut is hard: the
/// sum is then at most a few tokens above the whole's, for each part.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (part, tail) = rest.split_at_checked(cut(rest)).unwrap_or((rest, ""));
        rest = tail;
        Some(part)
    })
}

/// Returns the byte offset of the first part's end.
fn cut(text: &str) -> usize {
    if text.len() <= PART_BYTES {
        return text.len();
    }
    let bytes = text.as_bytes();
    let clean = |end: &usize| match bytes.get(end.saturating_sub(2)..end.saturating_add(1)) {
        Some([before, b'\n', after]) => before.is_ascii_graphic() && after.is_ascii_alphanumeric(),
        _ => false,
    };
    (PART_BYTES / 2..=PART_BYTES).rev().find(clean).unwrap_or_else(|| text.floor_char_boundary(PART_BYTES))
}

/// A model's own encoding.
#[derive(Debug)]
pub(super) struct Exact(pub(super) Encoding);

impl TokenCounter for Exact {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn exact(&self) -> bool {
        true
    }

    fn stated_error(&self) -> Option<f64> {
        None
    }

    fn count(&self, text: &str) -> u32 {
        self.0.count(text)
    }
}

/// The `o200k_base` count times a factor, rounded up.
#[derive(Debug)]
pub(super) struct Approximate {
    pub(super) name: String,
    pub(super) percent: u32,
    pub(super) error: f64,
}

impl TokenCounter for Approximate {
    fn name(&self) -> &str {
        &self.name
    }

    fn exact(&self) -> bool {
        false
    }

    fn stated_error(&self) -> Option<f64> {
        Some(self.error)
    }

    fn count(&self, text: &str) -> u32 {
        let scaled = (u64::from(Encoding::O200kBase.count(text)) * u64::from(self.percent)).div_ceil(100);
        u32::try_from(scaled).unwrap_or(u32::MAX)
    }
}
