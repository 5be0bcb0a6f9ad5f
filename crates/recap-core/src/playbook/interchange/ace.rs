//! The published text form: <https://github.com/ace-agent/ace>.
//!
//! A line that begins with two `#` or more is a heading, one that begins with `[id]` a bullet: `[id] words`, or
//! `[id] helpful=3 harmful=1 :: words`, also with `neutral=`. All other lines belong to the bullet above them, whose words
//! they are with or without indentation, so that raw lines of other programs are taken as they stand. The published
//! program knows neither further lines nor `neutral=`, which is written only where it is not zero.

use std::fmt::Write as _;

use super::super::bullet::{Bullet, BulletId};
use super::super::state::Playbook;
use super::draft::{Draft, Start, is_blank};
use super::{Counts, ImportError, ImportFault, Imported, MOST_IMPORT_COUNT, write_words};

/// Blanks before further lines.
const INDENT: usize = 2;

/// Tells whether a line begins a bullet.
pub(super) fn is_bullet(line: &str) -> bool {
    bracket(line).is_some_and(|(id, _)| id.parse::<BulletId>().is_ok())
}

pub(super) fn read(text: &str) -> Result<Imported, ImportError> {
    let mut draft = Draft::default();
    for (at, text) in text.split('\n').enumerate() {
        let line = at + 1;
        let of_no_bullet = draft.open_has_id().is_none();
        let is_free = draft.open_has_id() != Some(true);
        if is_blank(text) {
            draft.more(text);
        } else if let Some(name) = heading(text) {
            draft.heading(line, name)?;
        } else if let Some(start) = bullet(line, text)? {
            draft.start(start)?;
        } else if draft.is_empty() && text.starts_with("# ") {
            // a title
        } else if let Some(words) = item(text).filter(|_| is_free) {
            draft.start(Start { line, id: None, counts: Counts::default(), words, indent: INDENT })?;
        } else if of_no_bullet {
            draft.start(Start { line, id: None, counts: Counts::default(), words: text, indent: INDENT })?;
        } else {
            draft.more(text);
        }
    }
    draft.finish()
}

fn heading(text: &str) -> Option<&str> {
    let name = text.strip_prefix("##")?.trim_start_matches('#');
    (name.starts_with([' ', '\t']) && !is_blank(name)).then_some(name)
}

fn item(text: &str) -> Option<&str> {
    ["- ", "* ", "+ "].into_iter().find_map(|mark| text.strip_prefix(mark))
}

fn bullet(line: usize, text: &str) -> Result<Option<Start<'_>>, ImportError> {
    let Some((id, words)) = bracket(text) else { return Ok(None) };
    let is_id = id.parse::<BulletId>().is_ok();
    let (counts, words) = match counts(words) {
        Ok(Some((counts, words))) => (counts, words),
        Ok(None) if is_id => (Counts::default(), words),
        Ok(None) => return Ok(None),
        Err(reason) => return Err(ImportError { line, reason }),
    };
    Ok(Some(Start { line, id: Some(id), counts, words, indent: INDENT }))
}

/// What stands in brackets at the start of a line, and what follows them.
fn bracket(text: &str) -> Option<(&str, &str)> {
    let (id, rest) = text.strip_prefix('[')?.split_once(']')?;
    let is_apart = rest.is_empty() || rest.starts_with([' ', '\t']);
    is_apart.then_some((id, rest.trim_start_matches([' ', '\t'])))
}

/// The counters before `::`, and the words after it; `None` if something else stands there.
fn counts(text: &str) -> Result<Option<(Counts, &str)>, ImportFault> {
    let Some((before, words)) = text.split_once("::") else { return Ok(None) };
    let (mut helpful, mut harmful, mut neutral) = (None, None, None);
    for one in before.split([' ', '\t']).filter(|one| !one.is_empty()) {
        let Some((name, number)) = one.split_once('=') else { return Ok(None) };
        let place = match name {
            "helpful" => &mut helpful,
            "harmful" => &mut harmful,
            "neutral" => &mut neutral,
            _ => return Ok(None),
        };
        if place.is_some() || number.is_empty() || !number.chars().all(|c| c.is_ascii_digit()) {
            return Ok(None);
        }
        let number = number.parse().ok().filter(|number| *number <= MOST_IMPORT_COUNT).ok_or(ImportFault::Count)?;
        *place = Some(number);
    }
    if helpful.or(harmful).or(neutral).is_none() {
        return Ok(None);
    }
    let of = Option::<u64>::unwrap_or_default;
    let counts = Counts { helpful: of(helpful), harmful: of(harmful), neutral: of(neutral) };
    Ok(Some((counts, words.trim_start_matches([' ', '\t']))))
}

pub(super) fn write(playbook: &Playbook) -> String {
    let counted = playbook.bullets.iter().any(|bullet| !Counts::of(bullet).are_zero());
    let mut out = String::new();
    for (section, bullets) in playbook.by_section() {
        if !out.is_empty() {
            out.push('\n');
        }
        let _infallible = writeln!(out, "## {section}");
        for bullet in bullets {
            write_bullet(&mut out, bullet, counted);
        }
    }
    out
}

fn write_bullet(out: &mut String, bullet: &Bullet, counted: bool) {
    let _infallible = write!(out, "[{}] ", bullet.id);
    let first = bullet.content.split('\n').next().unwrap_or_default();
    let looks_counted = !matches!(counts(first), Ok(None));
    if counted || looks_counted {
        let Counts { helpful, harmful, neutral } = Counts::of(bullet);
        let _infallible = write!(out, "helpful={helpful} harmful={harmful} ");
        if neutral > 0 {
            let _infallible = write!(out, "neutral={neutral} ");
        }
        out.push_str(":: ");
    }
    write_words(out, &bullet.content);
}
