//! Playbooks as files: the published text form, the JSON of Kayba's engine, Markdown.
//!
//! What is written comes back: ids, sections and their order, contents to the byte, and counters that somebody said.
//! Origins, evidence, inferred counters and times stay behind. Of files by other hands no words are lost silently:
//!
//! - Words without an id get one. Under a heading they are a bullet of their own, before the first heading they stand
//!   under `OTHERS`.
//! - An id that is none of ours, or that a bullet of other words has or had, is replaced, and [`Import::renamed`] says so.
//!   The same holds for the second of two bullets of one id; if their words are the same too, it is
//!   [`Import::skipped`].
//! - A bullet with an id and no words, words that no bullet can have, a heading without a letter, and a counter that is
//!   no number are errors that name their line.
//! - Passed over: a title (a line with one `#` that no words stand under), lines that draw a rule in Markdown, and in
//!   JSON members that this program does not know and skills whose `status` is `invalid`.

mod ace;
mod adopt;
mod draft;
mod kayba;
mod markdown;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::state::Playbook;

pub use adopt::Import;

/// Bytes of a file.
pub const MOST_IMPORT_BYTES: usize = 16 * 1024 * 1024;
/// Bullets of a file.
pub const MOST_IMPORT_BULLETS: usize = 5_000;
/// Events of one counter in a file.
pub const MOST_IMPORT_COUNT: u64 = 1_000_000_000;
/// The heading over words that stand under none.
const NO_SECTION: &str = "OTHERS";

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The published text: `## HEADING`, `[id] words`, `[id] helpful=3 harmful=1 :: words` (ACE, arXiv 2510.04618).
    Ace,
    /// JSON with `bullets` or `skills`, `sections` and `next_id`.
    Kayba,
    /// `## Heading` and `- **[id]** (helpful 3, harmful 1): words`, or any list under headings.
    Markdown,
}

/// A name that is no format's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no format of playbooks: expected `ace`, `kayba` or `markdown`")]
pub struct FormatError;

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ace, Self::Kayba, Self::Markdown];

    /// Returns the name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ace => "ace",
            Self::Kayba => "kayba",
            Self::Markdown => "markdown",
        }
    }

    /// Returns the format that a text looks like.
    #[must_use]
    pub fn guess(text: &str) -> Self {
        if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
            Self::Kayba
        } else if text.lines().any(ace::is_bullet) {
            Self::Ace
        } else {
            Self::Markdown
        }
    }
}

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(name: &str) -> Result<Self, FormatError> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or(FormatError)
    }
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// The headings in order, those of empty sections too.
    pub sections: Vec<Arc<str>>,
    /// The bullets in order.
    pub bullets: Vec<ImportedBullet>,
}

/// A bullet of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedBullet {
    /// The id as the file has it, which need not be one that a bullet can have.
    pub id: Option<String>,
    /// Its heading, one of [`Imported::sections`].
    pub section: Arc<str>,
    /// Its words, as a bullet has them.
    pub content: Arc<str>,
    /// Its counters.
    pub counts: Counts,
}

/// Counters of what somebody said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// How often it helped.
    pub helpful: u64,
    /// How often it harmed.
    pub harmful: u64,
    /// How often it did neither.
    pub neutral: u64,
}

impl Counts {
    fn of(bullet: &super::Bullet) -> Self {
        let credits = &bullet.credits;
        let [helpful, harmful, neutral] =
            [&credits.helpful, &credits.harmful, &credits.neutral].map(super::Tally::count);
        Self { helpful, harmful, neutral }
    }

    fn are_zero(self) -> bool {
        self == Self::default()
    }
}

/// Why a file cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ImportError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: ImportFault,
}

/// What is wrong with a line of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// The file is too long.
    #[error("the text has {0} bytes, at most {MOST_IMPORT_BYTES} are taken")]
    TooLong(usize),
    /// It has too many bullets.
    #[error("more than {MOST_IMPORT_BULLETS} bullets")]
    TooMany,
    /// A bullet has no words, or words that no bullet can have.
    #[error("the bullet's text {0}")]
    Content(String),
    /// A heading is none.
    #[error("{0}")]
    Section(String),
    /// A counter is out of bounds.
    #[error("a counter is above {MOST_IMPORT_COUNT}")]
    Count,
    /// The JSON is none, or not of a playbook.
    #[error("{0}")]
    Json(String),
}

/// Reads a file.
///
/// # Errors
/// [`ImportError`], which names the line.
pub fn read(format: Format, text: &str) -> Result<Imported, ImportError> {
    if text.len() > MOST_IMPORT_BYTES {
        return Err(ImportError { line: 1, reason: ImportFault::TooLong(text.len()) });
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Ace => ace::read(&plain_lines(text)),
        Format::Kayba => kayba::read(text),
        Format::Markdown => markdown::read(&plain_lines(text)),
    }
}

/// Writes a file.
#[must_use]
pub fn write(format: Format, playbook: &Playbook) -> String {
    match format {
        Format::Ace => ace::write(playbook),
        Format::Kayba => kayba::write(playbook),
        Format::Markdown => markdown::write(playbook),
    }
}

/// A text whose lines end in `\n`.
fn plain_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n").into() } else { text.into() }
}

/// Ends a bullet that was begun: writes its words, further lines indented by two blanks, so that none of them can be taken
/// for anything else.
fn write_words(out: &mut String, content: &str) {
    for (at, line) in content.split('\n').enumerate() {
        if at > 0 && !line.is_empty() {
            out.push_str("  ");
        }
        out.push_str(line);
        out.push('\n');
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
