//! Markdown: `## Section`, and list items `- **[id]**: words` or `- **[id]** (helpful 3, harmful 1): words`, also with
//! `neutral`.
//!
//! Of files by hand, each item of a list under a heading of any level is a bullet, nested lists and further lines included;
//! so is each paragraph and each block of code that follows no item.

use std::fmt::Write as _;

use super::super::bullet::{Bullet, BulletId};
use super::super::state::Playbook;
use super::draft::{Draft, Start, is_blank};
use super::{Counts, ImportError, ImportFault, Imported, MOST_IMPORT_COUNT, write_words};

const TITLE: &str = "# Playbook";

pub(super) fn read(text: &str) -> Result<Imported, ImportError> {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut reader = Reader { draft: Draft::default(), fence_ends: 0, after_blank: true };
    for (at, text) in lines.iter().enumerate() {
        reader.line(at + 1, text, lines.get(at + 1..).unwrap_or_default())?;
        reader.after_blank = is_blank(text);
    }
    reader.draft.finish()
}

struct Reader<'a> {
    draft: Draft<'a>,
    /// The last line of the block of code that was begun last.
    fence_ends: usize,
    after_blank: bool,
}

impl<'a> Reader<'a> {
    /// Takes a line; `rest` are those below it.
    fn line(&mut self, line: usize, text: &'a str, rest: &[&str]) -> Result<(), ImportError> {
        let is_indented = text.starts_with([' ', '\t']) && self.draft.open_has_id().is_some();
        if line <= self.fence_ends || is_blank(text) || is_indented {
            self.draft.more(text);
        } else if let Some((level, name)) = heading(text) {
            if level > 1 || !is_title(rest) {
                self.draft.heading(line, name)?;
            }
        } else if let Some((indent, words)) = item(text) {
            self.draft.start(bullet(line, indent, words)?)?;
        } else if is_rule(text) {
            self.draft.more("");
        } else {
            self.words(line, text, rest)?;
        }
        Ok(())
    }

    /// Takes a line that is no markup, or begins a block of code.
    fn words(&mut self, line: usize, text: &'a str, rest: &[&str]) -> Result<(), ImportError> {
        let fenced = fence(text).and_then(|mark| rest.iter().position(|line| line.starts_with(mark)));
        if let Some(fenced) = fenced {
            self.fence_ends = line + fenced + 1;
        }
        let is_apart = self.after_blank && fenced.is_none();
        if self.draft.open_has_id().is_none() || is_apart {
            self.draft.start(Start { line, id: None, counts: Counts::default(), words: text, indent: 0 })
        } else {
            self.draft.more(text);
            Ok(())
        }
    }
}

/// Tells whether a heading of the first level is a title: nothing stands below it, or a heading of a lower level.
fn is_title(rest: &[&str]) -> bool {
    let next = rest.iter().find(|line| !is_blank(line));
    next.is_none_or(|next| heading(next).is_some_and(|(level, _)| level > 1))
}

/// A heading's level and name.
fn heading(text: &str) -> Option<(usize, &str)> {
    let name = text.trim_start_matches('#');
    let level = text.len() - name.len();
    let is_heading = (1..=6).contains(&level) && name.starts_with([' ', '\t']) && !is_blank(name);
    is_heading.then_some((level, name))
}

/// How far the words of a list's item are indented, and the words.
fn item(text: &str) -> Option<(usize, &str)> {
    let marked = ["- ", "* ", "+ "].into_iter().find_map(|mark| text.strip_prefix(mark));
    if let Some(words) = marked {
        return (!is_rule(text)).then_some((2, words));
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.len() - rest.len();
    let words = [". ", ") "].into_iter().find_map(|mark| rest.strip_prefix(mark))?;
    (1..=9).contains(&digits).then_some((digits + 2, words))
}

/// Tells whether a line draws a rule, or underlines.
fn is_rule(text: &str) -> bool {
    let marks: String = text.split([' ', '\t']).collect();
    marks.len() >= 3 && ['-', '*', '_', '='].into_iter().any(|mark| marks.chars().all(|c| c == mark))
}

/// The mark that begins and ends a block of code.
fn fence(text: &str) -> Option<&'static str> {
    ["```", "~~~"].into_iter().find(|mark| text.starts_with(mark))
}

fn bullet(line: usize, indent: usize, words: &str) -> Result<Start<'_>, ImportError> {
    let own = own(words).map_err(|reason| ImportError { line, reason })?;
    Ok(match own {
        Some((id, counts, words)) => Start { line, id: Some(id), counts, words, indent },
        None => Start { line, id: None, counts: Counts::default(), words, indent },
    })
}

/// Id, counters and words of an item that this program wrote.
fn own(words: &str) -> Result<Option<(&str, Counts, &str)>, ImportFault> {
    let Some((id, rest)) = words.strip_prefix("**[").and_then(|rest| rest.split_once("]**")) else { return Ok(None) };
    if id.parse::<BulletId>().is_err() {
        return Ok(None);
    }
    if let Some(words) = rest.strip_prefix(':') {
        return Ok(Some((id, Counts::default(), words)));
    }
    let Some((counters, words)) = rest.strip_prefix(" (").and_then(|rest| rest.split_once("):")) else {
        return Ok(None);
    };
    Ok(counts(counters)?.map(|counts| (id, counts, words)))
}

fn counts(text: &str) -> Result<Option<Counts>, ImportFault> {
    let mut counts = Counts::default();
    for one in text.split(", ") {
        let Some((name, number)) = one.split_once(' ') else { return Ok(None) };
        let place = match name {
            "helpful" => &mut counts.helpful,
            "harmful" => &mut counts.harmful,
            "neutral" => &mut counts.neutral,
            _ => return Ok(None),
        };
        if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
            return Ok(None);
        }
        *place = number.parse().ok().filter(|number| *number <= MOST_IMPORT_COUNT).ok_or(ImportFault::Count)?;
    }
    Ok(Some(counts))
}

pub(super) fn write(playbook: &Playbook) -> String {
    let mut out = format!("{TITLE}\n");
    for (section, bullets) in playbook.by_section() {
        let _infallible = writeln!(out, "\n## {section}\n");
        for bullet in &bullets {
            write_bullet(&mut out, bullet);
        }
        if bullets.is_empty() {
            out.pop();
        }
    }
    out
}

fn write_bullet(out: &mut String, bullet: &Bullet) {
    let _infallible = write!(out, "- **[{}]**", bullet.id);
    let counts = Counts::of(bullet);
    if !counts.are_zero() {
        let _infallible = write!(out, " (helpful {}, harmful {}", counts.helpful, counts.harmful);
        if counts.neutral > 0 {
            let _infallible = write!(out, ", neutral {}", counts.neutral);
        }
        out.push(')');
    }
    out.push_str(": ");
    write_words(out, &bullet.content);
}
