//! Rules that a model wants changed, written into a guideline's front matter. The body, and every field that is not
//! touched, stay byte for byte.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::compress::Rules;

/// A list of the front matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RuleList {
    /// Lines to keep.
    #[serde(rename = "keep")]
    Keep,
    /// Lines to drop.
    #[serde(rename = "drop")]
    Drop,
    /// Keys of JSON members to keep.
    #[serde(rename = "keys.keep")]
    KeysKeep,
    /// Keys of JSON members to drop.
    #[serde(rename = "keys.drop")]
    KeysDrop,
    /// Headings to keep.
    #[serde(rename = "sections.keep")]
    SectionsKeep,
    /// Headings to drop.
    #[serde(rename = "sections.drop")]
    SectionsDrop,
}

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleChange {
    /// It is added at the end.
    Add,
    /// It goes.
    Remove,
}

/// One entry of a list, added or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleEdit {
    /// What becomes of it.
    pub change: RuleChange,
    /// The list.
    pub list: RuleList,
    /// The entry as the front matter writes it: words, `/a regular expression/`, or a name with `*` and `?`.
    pub pattern: String,
}

impl RuleList {
    /// Every list.
    pub(super) const ALL: [Self; 6] =
        [Self::Keep, Self::Drop, Self::KeysKeep, Self::KeysDrop, Self::SectionsKeep, Self::SectionsDrop];

    /// Returns the field of the front matter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeysKeep => "keys.keep",
            Self::KeysDrop => "keys.drop",
            Self::SectionsKeep => "sections.keep",
            Self::SectionsDrop => "sections.drop",
        }
    }

    fn field(self) -> &'static str {
        self.name().split('.').next().unwrap_or_default()
    }
}

/// The entries of every list.
struct Lists([Vec<String>; 6]);

impl Lists {
    fn of(rules: &Rules) -> Self {
        let (keys, sections) = (&rules.keys, &rules.sections);
        Self([
            written(&rules.keep),
            written(&rules.drop),
            written(&keys.keep),
            written(&keys.drop),
            written(&sections.keep),
            written(&sections.drop),
        ])
    }

    fn entries(&self, list: RuleList) -> &[String] {
        RuleList::ALL.iter().position(|known| *known == list).and_then(|at| self.0.get(at)).map_or(&[], Vec::as_slice)
    }

    /// Tells whether the entry was not there, or was.
    fn take(&mut self, edit: &RuleEdit) -> bool {
        let at = RuleList::ALL.iter().position(|known| *known == edit.list);
        let Some(entries) = at.and_then(|at| self.0.get_mut(at)) else { return false };
        let is_known = entries.contains(&edit.pattern);
        match edit.change {
            RuleChange::Add if !is_known => entries.push(edit.pattern.clone()),
            RuleChange::Remove if is_known => entries.retain(|entry| *entry != edit.pattern),
            RuleChange::Add | RuleChange::Remove => return false,
        }
        true
    }

    /// A field's lines, empty where it has no entries.
    fn lines(&self, field: &str) -> String {
        let mut out = String::new();
        let own = RuleList::ALL.into_iter().filter(|list| list.field() == field);
        for list in own {
            let entries = self.entries(list);
            if entries.is_empty() {
                continue;
            }
            let (name, indent) = match list.name().split_once('.') {
                None => (list.name(), ""),
                Some((_, name)) => {
                    if out.is_empty() {
                        let _infallible = writeln!(out, "{field}:");
                    }
                    (name, "  ")
                }
            };
            let _infallible = writeln!(out, "{indent}{name}:");
            for entry in entries {
                let _infallible = writeln!(out, "{indent}  - {}", quoted(entry));
            }
        }
        out
    }
}

/// The entries of a list as the front matter writes them.
fn written<T: Serialize>(entries: &[T]) -> Vec<String> {
    let texts = entries.iter().filter_map(|entry| serde_json::to_value(entry).ok());
    texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

/// A scalar in single quotes, which leave backslashes alone.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns the guideline's text with its lists changed, and how many edits changed anything. `rules` are those of the text.
/// Fields that are not touched keep their bytes; a touched one is written anew.
pub(super) fn with_edits(text: &str, rules: &Rules, edits: &[RuleEdit]) -> (String, usize) {
    let mut lists = Lists::of(rules);
    let effective: Vec<&RuleEdit> = edits.iter().filter(|edit| lists.take(edit)).collect();
    let mut text = text.to_owned();
    for field in ["keep", "drop", "keys", "sections"] {
        if effective.iter().any(|edit| edit.list.field() == field) {
            text = with_field(&text, field, &lists.lines(field));
        }
    }
    (text, effective.len())
}

/// Returns the text with a top field of its front matter replaced, or put at its end.
fn with_field(text: &str, field: &str, lines: &str) -> String {
    let Some((front, body)) = halves(text) else { return format!("---\n{lines}---\n{text}") };
    let mut out = String::new();
    let (mut is_inside, mut is_written) = (false, false);
    for line in front.split_inclusive('\n') {
        let opens = line.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with(':'));
        is_inside = opens || (is_inside && (line.starts_with([' ', '\t', '-']) || line.trim().is_empty()));
        if opens && !is_written {
            out.push_str(lines);
            is_written = true;
        }
        if !is_inside {
            out.push_str(line);
        }
    }
    if !is_written {
        out.push_str(lines);
    }
    format!("---\n{out}---\n{body}")
}

/// Returns the text with another body.
pub(super) fn with_body(text: &str, body: &str) -> String {
    match halves(text) {
        Some((front, _)) => format!("---\n{front}---\n{body}"),
        None => body.to_owned(),
    }
}

/// Front matter without its marks, and body; `None` without front matter.
fn halves(text: &str) -> Option<(&str, &str)> {
    let mut end = 0;
    let mut start = None;
    for line in text.split_inclusive('\n') {
        end += line.len();
        let is_mark = line.trim_end() == "---";
        match start {
            None if is_mark => start = Some(end),
            None => return None,
            Some(start) if is_mark => return text.get(start..end - line.len()).zip(text.get(end..)),
            Some(_) => {}
        }
    }
    None
}
