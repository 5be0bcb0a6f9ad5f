//! A playbook as text, for models and people.

use std::fmt::Write as _;

use super::bullet::{Bullet, Origin};

/// Writes bullets under their headings. They come by section, in order; a heading stands where the section changes.
#[must_use]
pub fn text<'a>(bullets: impl IntoIterator<Item = &'a Bullet>) -> String {
    let mut out = String::new();
    let mut section: Option<&str> = None;
    for bullet in bullets {
        if section != Some(&bullet.section) {
            if section.is_some() {
                out.push('\n');
            }
            let _infallible = writeln!(out, "## {}", bullet.section);
            section = Some(&bullet.section);
        }
        out.push_str(&line(bullet));
    }
    out
}

/// Writes one bullet: its id, where its words come from if that must be known, its words. Further lines are indented, so
/// that none can be taken for a heading or another bullet.
#[must_use]
pub fn line(bullet: &Bullet) -> String {
    let mark = if bullet.origin == Origin::Observed { " (quoted from a tool's answer)" } else { "" };
    let mut out = format!("[{}]{mark} ", bullet.id);
    for (at, words) in bullet.content.lines().enumerate() {
        if at > 0 && !words.is_empty() {
            out.push_str("  ");
        }
        out.push_str(words);
        out.push('\n');
    }
    out
}
