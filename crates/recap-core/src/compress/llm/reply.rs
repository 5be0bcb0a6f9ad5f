//! A reply read into its sections, from JSON or from headed plain text.

use serde_json::Value;

use super::{Part, Rejection};
use crate::prompt::unfenced;

/// The items of each section, in the guideline's order.
pub type Sections = Vec<Vec<String>>;

/// Reads a reply. Markdown fences around JSON are passed over.
///
/// # Errors
/// [`Rejection::Empty`], [`Rejection::Garbage`], [`Rejection::MissingSection`].
pub fn read(reply: &str, parts: &[Part]) -> Result<Sections, Rejection> {
    let text = unfenced(reply);
    if text.is_empty() {
        return Err(Rejection::Empty);
    }
    let sections = match serde_json::from_str::<Value>(text) {
        Ok(value) => from_json(&value, parts)?,
        Err(_) if text.starts_with('{') => return Err(Rejection::Garbage),
        Err(_) => from_text(text, parts)?,
    };
    if sections.iter().all(Vec::is_empty) { Err(Rejection::Empty) } else { Ok(sections) }
}

fn from_json(value: &Value, parts: &[Part]) -> Result<Sections, Rejection> {
    let object = value.as_object().ok_or(Rejection::Garbage)?;
    parts
        .iter()
        .map(|part| match object.get(&part.name) {
            None => Err(Rejection::MissingSection(part.name.clone())),
            Some(Value::Array(items)) => items
                .iter()
                .map(|listed| listed.as_str().map(item).ok_or(Rejection::Garbage))
                .filter(|item| item.as_ref().map_or(true, |item| !item.is_empty()))
                .collect(),
            Some(Value::String(text)) => Ok(text.lines().map(item).filter(|item| !item.is_empty()).collect()),
            Some(Value::Null) => Ok(Vec::new()),
            Some(_) => Err(Rejection::Garbage),
        })
        .collect()
}

/// Lines under headings; what stands before the first heading is passed over.
fn from_text(text: &str, parts: &[Part]) -> Result<Sections, Rejection> {
    let mut found: Vec<Option<Vec<String>>> = vec![None; parts.len()];
    let mut at: Option<usize> = None;
    for line in text.lines() {
        if let Some((part, rest)) = heading(line, parts) {
            at = Some(part);
            let items = found.get_mut(part).map(Option::get_or_insert_default);
            if let Some(items) = items.filter(|_| !rest.is_empty()) {
                items.push(flat(rest));
            }
        } else if let Some(Some(items)) = at.and_then(|at| found.get_mut(at)) {
            let item = item(line);
            if !item.is_empty() {
                items.push(item);
            }
        }
    }
    if found.iter().all(Option::is_none) {
        return Err(Rejection::Garbage);
    }
    let named = found.into_iter().zip(parts);
    named.map(|(items, part)| items.ok_or_else(|| Rejection::MissingSection(part.name.clone()))).collect()
}

/// The section that a line opens, and what stands after the colon.
fn heading<'a>(line: &'a str, parts: &[Part]) -> Option<(usize, &'a str)> {
    let bare = line.trim().trim_start_matches(['#', '*', ' ']);
    parts.iter().enumerate().find_map(|(at, part)| {
        let (head, rest) = bare.split_at_checked(part.name.len())?;
        let after = rest.trim_start_matches('*');
        let closes = after.is_empty() || after.starts_with(':');
        (closes && head.eq_ignore_ascii_case(&part.name)).then(|| (at, after.trim_start_matches([':', '*']).trim()))
    })
}

/// A list's line without its mark.
fn item(line: &str) -> String {
    let line = line.trim();
    let bare = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).or_else(|| line.strip_prefix("• "));
    let item = flat(bare.unwrap_or(line));
    let says_nothing = matches!(item.to_ascii_lowercase().as_str(), "none" | "none." | "n/a" | "-" | "empty" | "[]");
    if says_nothing { String::new() } else { item }
}

/// A text on one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
