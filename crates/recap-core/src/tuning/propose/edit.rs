//! Edits of a guideline as text: what is not edited stays as it is written, byte for byte.

use std::ops::Range;

use super::Change;
use super::outline::{Entry, Node, Style, outline};
use crate::compress::rules::split;
use crate::compress::{Guideline, GuidelineKind, RulesError};

/// Why a guideline cannot be edited.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The front matter is written in a way that cannot be edited in place.
    #[error("the front matter is written in a way that cannot be edited in place; write it as docs/guidelines.md does")]
    Unknown,
    /// A field has no place, or what is to be taken out is not there.
    #[error("the front matter has no place for the change of `{field}`")]
    NoPlace {
        /// The field.
        field: String,
    },
    /// The result is no guideline.
    #[error("the edited guideline is refused: {0}")]
    Refused(#[from] RulesError),
}

/// Returns a guideline's text with changes of its front matter. Body and comments stay byte for byte.
///
/// # Errors
/// [`EditError`]; also where the result is no guideline of this kind, or says another thing than it was changed to.
pub fn edited(text: &str, kind: GuidelineKind, changes: &[Change]) -> Result<String, EditError> {
    let before = Guideline::parse_as(kind, text)?;
    let (mut yaml, body) = match split(text)? {
        Some((yaml, body)) => (yaml.to_owned(), body),
        None => (String::new(), text),
    };
    for change in changes {
        yaml = apply(&yaml, change)?;
    }
    // the opening line may end in white space, the closing one stands before the body
    let front = text.len() - body.len();
    let out = match split(text)? {
        Some((old, _)) => {
            let whole = text.get(..front).unwrap_or_default();
            let open = whole.find('\n').map_or(0, |at| at + 1);
            let close = whole.get(open + old.len()..).unwrap_or_default();
            format!("{}{yaml}{close}{body}", whole.get(..open).unwrap_or_default())
        }
        None => format!("---\n{yaml}---\n{body}"),
    };
    let after = Guideline::parse_as(kind, &out)?;
    if after.body != before.body || members(&after) + removed(changes) != members(&before) + added(changes) {
        return Err(EditError::Unknown);
    }
    Ok(out)
}

/// Tells whether two guidelines say the same: comments, the order of rules and how they are written apart.
#[must_use]
pub fn says_the_same(a: &Guideline, b: &Guideline) -> bool {
    let lists = |guideline: &Guideline| {
        let rules = &guideline.rules;
        let mut lists =
            [&rules.keep, &rules.drop].map(|list| list.iter().cloned().map(String::from).collect::<Vec<_>>()).to_vec();
        for names in [&rules.keys.keep, &rules.keys.drop, &rules.sections.keep, &rules.sections.drop] {
            lists.push(names.iter().cloned().map(String::from).collect());
        }
        lists.push(
            rules.favour.iter().map(|one| format!("{} {}", String::from(one.pattern.clone()), one.worth)).collect(),
        );
        for list in &mut lists {
            list.sort_unstable();
            list.dedup();
        }
        lists
    };
    let rest = |guideline: &Guideline| {
        let Guideline { write, thresholds, variables, weigh, body, rules, .. } = guideline.clone();
        (write, thresholds, variables, weigh, body, rules.caps)
    };
    lists(a) == lists(b) && rest(a) == rest(b)
}

/// Members of all lists together.
fn members(guideline: &Guideline) -> usize {
    let rules = &guideline.rules;
    let names = rules.keys.keep.len() + rules.keys.drop.len() + rules.sections.keep.len() + rules.sections.drop.len();
    rules.keep.len() + rules.drop.len() + rules.favour.len() + names
}

fn added(changes: &[Change]) -> usize {
    changes.iter().filter(|change| matches!(change, Change::Add { .. } | Change::Favour { .. })).count()
}

fn removed(changes: &[Change]) -> usize {
    changes.iter().filter(|change| matches!(change, Change::Remove { .. })).count()
}

fn apply(yaml: &str, change: &Change) -> Result<String, EditError> {
    let root = outline(yaml).ok_or(EditError::Unknown)?;
    let (field, edit) = match change {
        Change::Add { field, item } => (field.as_str(), add(&root, yaml, field, &quoted(item))),
        Change::Favour { pattern, worth } => {
            let item = format!("{{pattern: {}, worth: {worth}}}", quoted(pattern));
            ("favour", add(&root, yaml, "favour", &item))
        }
        Change::Remove { field, item } => (field.as_str(), remove(&root, yaml, field, item)),
        Change::Set { field, to, .. } => (field.as_str(), set(&root, yaml, field, &to.to_string())),
        Change::Unset { field } => (field.as_str(), unset(&root, yaml, field)),
    };
    let edit = edit.ok_or_else(|| EditError::NoPlace { field: field.to_owned() })?;
    let mut out = yaml.to_owned();
    for Edit { at, with } in edit.into_iter().rev() {
        out.replace_range(at, &with);
    }
    Ok(out)
}

/// A span and what stands in its place.
struct Edit {
    at: Range<usize>,
    with: String,
}

impl Edit {
    fn insert(at: usize, with: String) -> Vec<Self> {
        vec![Self { at: at..at, with }]
    }
}

/// Returns a text as a YAML scalar in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Adds an item to the list of a field, and the field where it is not there.
fn add(root: &Node, yaml: &str, field: &str, item: &str) -> Option<Vec<Edit>> {
    let (owner, name) = field.split_once('.').unwrap_or(("", field));
    let parent = if owner.is_empty() { Some(root) } else { root.entry(owner).map(|entry| &entry.value) };
    let Some(parent) = parent else {
        return Some(Edit::insert(yaml.len(), format!("{owner}:\n  {name}:\n    - {item}\n")));
    };
    match parent.entry(name) {
        Some(Entry { value: Node::List(items, style), .. }) => add_item(yaml, items, *style, item),
        Some(_) => None,
        None => add_entry(parent, yaml, name, &format!("[{item}]"), |indent| format!("\n{indent}  - {item}")),
    }
}

fn add_item(yaml: &str, items: &[Range<usize>], style: Style, item: &str) -> Option<Vec<Edit>> {
    Some(match (style, items.last()) {
        (Style::Block(indent), Some(last)) => Edit::insert(last.end, format!("{}- {item}\n", " ".repeat(indent))),
        (Style::Flow(_), Some(last)) => Edit::insert(last.end, format!(", {item}")),
        (Style::Flow(close), None) => Edit::insert(close, item.to_owned()),
        (Style::Block(_), None) => return None,
    })
    .filter(|_| yaml.ends_with('\n'))
}

/// Adds an entry to a map: its value as it is written in a flow map, and in a block of an indent.
fn add_entry(map: &Node, yaml: &str, name: &str, flow: &str, block: impl FnOnce(&str) -> String) -> Option<Vec<Edit>> {
    let Node::Map(entries, style) = map else { return None };
    Some(match (*style, entries.last()) {
        (Style::Block(indent), last) => {
            let indent = " ".repeat(indent);
            let value = block(&indent);
            Edit::insert(last.map_or(yaml.len(), |last| last.span.end), format!("{indent}{name}:{value}\n"))
        }
        (Style::Flow(_), Some(last)) => Edit::insert(last.span.end, format!(", {name}: {flow}")),
        (Style::Flow(close), None) => Edit::insert(close, format!("{name}: {flow}")),
    })
}

/// Takes an item out of the list of a field. A block list that has no other becomes `[]`.
fn remove(root: &Node, yaml: &str, field: &str, item: &str) -> Option<Vec<Edit>> {
    let entry = find(root, field)?;
    let Node::List(items, style) = &entry.value else { return None };
    let is_it = |span: &Range<usize>| {
        let text = yaml.get(span.clone()).map(str::trim_start);
        let text =
            text.map(|text| text.strip_prefix("- ").filter(|_| matches!(style, Style::Block(_))).unwrap_or(text));
        text.and_then(|text| serde_yaml_ng::from_str::<String>(text).ok()).is_some_and(|text| text == item)
    };
    let at = items.iter().position(is_it)?;
    let span = items.get(at)?.clone();
    let without = match style {
        Style::Block(_) => Edit { at: span, with: String::new() },
        Style::Flow(_) => Edit { at: with_comma(yaml, items.iter().cloned(), at)?, with: String::new() },
    };
    let empties = items.len() == 1 && matches!(style, Style::Block(_));
    let mark = empties.then(|| Edit { at: entry.colon..entry.colon, with: " []".to_owned() });
    Some(mark.into_iter().chain([without]).collect())
}

/// Takes a field out of a map. A block map that has no other becomes `{}`.
fn unset(root: &Node, yaml: &str, field: &str) -> Option<Vec<Edit>> {
    let (owner, name) = field.split_once('.')?;
    let entry = root.entry(owner)?;
    let Node::Map(entries, style) = &entry.value else { return None };
    let at = entries.iter().position(|entry| entry.key == name)?;
    let spans = entries.iter().map(|entry| entry.span.clone());
    let gone = match style {
        Style::Block(_) => entries.get(at)?.span.clone(),
        Style::Flow(_) => with_comma(yaml, spans, at)?,
    };
    let empties = entries.len() == 1 && matches!(style, Style::Block(_));
    let mark = empties.then(|| Edit { at: entry.colon..entry.colon, with: " {}".to_owned() });
    Some(mark.into_iter().chain([Edit { at: gone, with: String::new() }]).collect())
}

/// The span of a member of a flow collection with the comma beside it.
fn with_comma(yaml: &str, members: impl Iterator<Item = Range<usize>>, at: usize) -> Option<Range<usize>> {
    let members: Vec<_> = members.collect();
    let span = members.get(at)?.clone();
    Some(match (at.checked_sub(1).and_then(|before| members.get(before)), members.get(at + 1)) {
        (Some(before), _) => before.end..span.end,
        (None, Some(after)) => span.start..after.start,
        (None, None) => {
            let rest = yaml.get(span.end..)?;
            let gap = rest.len() - rest.trim_start().len();
            let comma = rest.trim_start().starts_with(',').then_some(gap + 1);
            span.start..span.end + comma.unwrap_or(0)
        }
    })
}

/// Sets a number of a map, as `caps.list_items`.
fn set(root: &Node, yaml: &str, field: &str, value: &str) -> Option<Vec<Edit>> {
    let (owner, name) = field.split_once('.')?;
    let Some(parent) = root.entry(owner) else {
        return Some(Edit::insert(yaml.len(), format!("{owner}:\n  {name}: {value}\n")));
    };
    match parent.value.entry(name) {
        Some(Entry { value: Node::Scalar(span), .. }) => Some(vec![Edit { at: span.clone(), with: value.to_owned() }]),
        Some(_) => None,
        None => add_entry(&parent.value, yaml, name, value, |_| format!(" {value}")),
    }
}

fn find<'a>(root: &'a Node, field: &str) -> Option<&'a Entry> {
    match field.split_once('.') {
        Some((owner, name)) => root.entry(owner)?.value.entry(name),
        None => root.entry(field),
    }
}
