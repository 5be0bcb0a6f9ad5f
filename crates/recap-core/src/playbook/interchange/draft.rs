//! Lines made into bullets.

use std::sync::Arc;

use super::super::resolve::{plain_content, plain_section};
use super::super::state::heading_key;
use super::{Counts, ImportError, ImportFault, Imported, ImportedBullet, MOST_IMPORT_BULLETS, NO_SECTION};

/// What has been read of a file.
#[derive(Default)]
pub(super) struct Draft<'a> {
    imported: Imported,
    section: Option<Arc<str>>,
    open: Option<Open<'a>>,
}

/// The start of a bullet.
pub(super) struct Start<'a> {
    /// Its line.
    pub line: usize,
    /// Its id, if it has one.
    pub id: Option<&'a str>,
    /// Its counters.
    pub counts: Counts,
    /// Its words so far.
    pub words: &'a str,
    /// Blanks that its further lines are indented by.
    pub indent: usize,
}

struct Open<'a> {
    start: Start<'a>,
    more: Vec<&'a str>,
}

impl<'a> Draft<'a> {
    /// Tells whether nothing has been read yet.
    pub(super) fn is_empty(&self) -> bool {
        self.imported.sections.is_empty() && self.open.is_none()
    }

    /// Tells whether the last bullet, under this heading, has an id; `None` if there is no bullet yet.
    pub(super) fn open_has_id(&self) -> Option<bool> {
        self.open.as_ref().map(|open| open.start.id.is_some())
    }

    /// Begins a section.
    pub(super) fn heading(&mut self, line: usize, name: &str) -> Result<(), ImportError> {
        self.close()?;
        self.section = Some(self.imported.section(line, name)?);
        Ok(())
    }

    /// Begins a bullet.
    pub(super) fn start(&mut self, start: Start<'a>) -> Result<(), ImportError> {
        self.close()?;
        self.open = Some(Open { start, more: Vec::new() });
        Ok(())
    }

    /// Takes a further line of the last bullet; a blank one before the first bullet is nothing.
    pub(super) fn more(&mut self, line: &'a str) {
        if let Some(open) = &mut self.open {
            open.more.push(line);
        }
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> Result<Imported, ImportError> {
        self.close()?;
        Ok(self.imported)
    }

    fn close(&mut self) -> Result<(), ImportError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let section = match &self.section {
            Some(section) => Arc::clone(section),
            None => self.imported.section(open.start.line, NO_SECTION)?,
        };
        let (line, words) = (open.start.line, open.words());
        let id = open.start.id.map(str::to_owned);
        self.imported.bullet(line, id, section, &words, open.start.counts)
    }
}

impl Open<'_> {
    /// All words, without the indentation that all further lines share.
    fn words(&self) -> String {
        let blanks = |line: &str| line.chars().take_while(|c| *c == ' ').count();
        let of_words = self.more.iter().filter(|line| !is_blank(line));
        let shared = of_words.map(|line| blanks(line)).min().unwrap_or(0).min(self.start.indent);
        let mut words = self.start.words.to_owned();
        for line in &self.more {
            words.push('\n');
            let mut rest = *line;
            for _ in 0..shared {
                rest = rest.strip_prefix(' ').unwrap_or(rest);
            }
            words.push_str(rest);
        }
        words
    }
}

impl Imported {
    /// Opens a section, if it is not there, and returns its heading.
    pub(super) fn section(&mut self, line: usize, name: &str) -> Result<Arc<str>, ImportError> {
        let key = heading_key(name);
        if let Some(known) = self.sections.iter().find(|section| heading_key(section) == key) {
            return Ok(Arc::clone(known));
        }
        let wrong = |detail| ImportError { line, reason: ImportFault::Section(detail) };
        let section: Arc<str> = plain_section(name).map_err(wrong)?.into();
        self.sections.push(Arc::clone(&section));
        Ok(section)
    }

    /// Takes a bullet whose section is there.
    pub(super) fn bullet(
        &mut self,
        line: usize,
        id: Option<String>,
        section: Arc<str>,
        content: &str,
        counts: Counts,
    ) -> Result<(), ImportError> {
        let wrong = |reason| ImportError { line, reason };
        if self.bullets.len() >= MOST_IMPORT_BULLETS {
            return Err(wrong(ImportFault::TooMany));
        }
        let content = plain_content(content).map_err(|detail| wrong(ImportFault::Content(detail)))?;
        self.bullets.push(ImportedBullet { id, section, content, counts });
        Ok(())
    }
}

/// Tells whether a line has blanks only.
pub(super) fn is_blank(line: &str) -> bool {
    line.trim_start_matches([' ', '\t']).is_empty()
}
